"""The networks by name. Each takes (N, 28, 28, 1) grey levels from 0 to 255 and answers (N, 10) probabilities."""

import keras
from keras import layers


def cnn():
    """Five convolutions on three scales, averaged over the image (158k parameters).

    Batch normalisation after each convolution, and a stem that pools early: on a CPU most of the time of a small
    convolutional net goes into its first, full-size layers.
    """

    def convolution(filters, size):
        return [
            layers.Conv2D(filters, size, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            *convolution(24, 5),
            layers.MaxPooling2D(),
            *convolution(48, 3),
            *convolution(48, 3),
            layers.MaxPooling2D(),
            *convolution(96, 3),
            *convolution(96, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ],
        name="cnn",
    )


MODELS = {"cnn": cnn}
