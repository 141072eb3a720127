"""Calibrate a model's confidence with one temperature, fitted on validation data.

Guo et al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599
"""

import numpy as np
from scipy.optimize import minimize_scalar

LIMITS = (0.2, 5.0)  # smallest and largest temperature


def fit_temperature(*answers):
    """Return the temperature that minimises the negative log-likelihood of the labels.

    Args:
        answers: for each kind of picture, a pair of probabilities, (N, 10), and labels, (N,) integers from 0 to 9.
            All kinds have the same weight, regardless of how many pictures they have.

    Returns:
        The temperature; above 1 if the model is overconfident.
    """
    logarithms = [(np.log(np.maximum(rows.astype(float), 1e-30)), labels) for rows, labels in answers]

    def surprise(log_temperature):
        return sum(_surprise(rows / np.exp(log_temperature), labels) for rows, labels in logarithms)

    return float(np.exp(minimize_scalar(surprise, bounds=np.log(LIMITS), method="bounded").x))


def _surprise(logits, labels):
    """Return the mean negative log-likelihood."""
    logits = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean())


def apply_temperature(model, temperature):
    """Divide the logits of a Keras model by the temperature, in place; its last layer must be a Dense softmax."""
    last = model.layers[-1]
    last.set_weights([weights / temperature for weights in last.get_weights()])
