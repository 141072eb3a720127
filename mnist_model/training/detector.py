"""Detect whether a picture shows a digit at all, with a second, small network.

It is trained on digits and, as one more class, on drawings of other things. This is outlier exposure:
Hendrycks et al., Deep Anomaly Detection with Outlier Exposure, 2019, https://arxiv.org/abs/1812.04606.
"""

import dataclasses

import keras
import numpy as np

from mnist_model.data.augmentation import augmented_batches
from mnist_model.training.models import DIGIT_OR_NOT, compile_model, digit_or_not

NO_DIGIT = 10  # the label of everything else
REFUSED = 0.003  # maximum share of each kind of validation digits that may be refused


def fit(images, labels, others, *, seed, drawings=None, turns=1, verbose="auto"):
    """Train a detector.

    Args:
        images: (N, 28, 28) uint8, digits.
        labels: (N,) integers from 0 to 9.
        others: (M, 28, 28) uint8, drawings of anything but digits.
        seed: seed for weights, order and augmentation.
        drawings: more images of digits and their labels, or None.
        turns: each drawing is used in one of this many epochs, in turn.
        verbose: see `keras.Model.fit`; 0 for no bar.

    Returns:
        A Keras model, (N, 28, 28, 1) grey levels -> (N, 11) probabilities; see `models.digit_or_not`.
    """
    config = dataclasses.replace(DIGIT_OR_NOT, ink_turns=turns, seed=seed)
    images = np.concatenate([images, others])
    labels = np.concatenate([labels, np.full(len(others), NO_DIGIT, labels.dtype)])
    batches = augmented_batches(images, labels, config, drawings)
    keras.utils.set_random_seed(seed)
    model = digit_or_not()
    compile_model(model, config, len(batches))
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: setattr(batches, "epoch", epoch))
    model.fit(batches.dataset(), shuffle=False, epochs=config.epochs, callbacks=[begin], verbose=verbose)
    return model


def scorer(weights):
    """Return the network of `fit` in float32, with output (N, 1): the probability that a picture shows a digit."""
    model = digit_or_not()
    model.set_weights(weights)
    return keras.Model(model.inputs, 1 - model.outputs[0][:, NO_DIGIT:], name="detector")


def threshold(*scores):
    """Return the score below which a picture is refused.

    Args:
        scores: (N,) float32 for each kind of validation digits, the detector's scores. At most the share REFUSED of
            each kind is below the threshold.
    """
    return float(min(np.quantile(kind, REFUSED, method="lower") for kind in scores))
