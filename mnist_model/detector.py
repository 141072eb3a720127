"""Whether a picture holds a digit at all: a second, small network beside the one that reads.

It is trained on digits and on drawings that are none, which have a class of their own: an outlier exposure, as in
Hendrycks et al., Deep Anomaly Detection with Outlier Exposure, 2019, https://arxiv.org/abs/1812.04606.
"""

import keras
import numpy as np

from mnist_model.augmentation import AugmentedBatches
from mnist_model.models import digit_or_not

NO_DIGIT = 10  # label of what is none
EPOCHS = 8
BATCH_SIZE = 128
LEARNING_RATE = 0.008
REFUSED = 0.0025  # share of the validation digits of each kind that the threshold may refuse


def fit(images, labels, others, *, seed, verbose="auto"):
    """Train a detector.

    Args:
        images: (N, 28, 28) uint8, digits.
        labels: (N,) integers from 0 to 9.
        others: (M, 28, 28) uint8, what is no digit.
        seed: of weights, order, augmentation and dropout.
        verbose: as Keras has it; 0 for no bar.

    Returns:
        A Keras model, (N, 28, 28, 1) grey levels -> (N, 11) probabilities: see `models.digit_or_not`.
    """
    batches = AugmentedBatches(
        np.concatenate([images, others]),
        np.concatenate([labels, np.full(len(others), NO_DIGIT, labels.dtype)]),
        batch_size=BATCH_SIZE,
        seed=seed,
        rotation=8,
        zoom=0.1,
        shear=0.12,
        shift=1.5,
        elastic=0.6,
        thickness=0.4,
    )
    keras.utils.set_random_seed(seed)
    model = digit_or_not()
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=LEARNING_RATE / 20,
        warmup_target=LEARNING_RATE,
        warmup_steps=len(batches),
        decay_steps=(EPOCHS - 1) * len(batches),
    )
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: setattr(batches, "epoch", epoch))
    model.fit(batches, shuffle=False, epochs=EPOCHS, callbacks=[begin], verbose=verbose)
    return model


def scorer(weights):
    """Return the network that `fit` trained, in float32, answering (N, 1): the probability that it is a digit."""
    model = digit_or_not()
    model.set_weights(weights)
    return keras.Model(model.inputs, 1 - model.outputs[0][:, NO_DIGIT:], name="detector")


def threshold(*scores):
    """Return the score below which a picture is refused.

    Args:
        scores: for each kind of validation digits what the detector says of them, (N,) float32; of no kind more
            than the share REFUSED is below the threshold.
    """
    return float(min(np.quantile(kind, REFUSED, method="lower") for kind in scores))
