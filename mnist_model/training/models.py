"""Networks by name, and the settings to train each with.

Each network takes (N, 28, 28, 1) grey levels from 0 to 255 and returns (N, 10) probabilities.
"""

import functools
import inspect

import keras
import numpy as np
from keras import layers

from mnist_model.errors import InputError
from mnist_model.training.config import TrainConfig


def _network(name, *hidden, classes=10):
    """Return a network of the `hidden` layers between the input and output layers that all networks share."""
    first = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255)]
    # Probabilities stay in float32 under mixed precision.
    last = layers.Dense(classes, activation="softmax", dtype="float32")
    return keras.Sequential([*first, *hidden, last], name=name)


def _convolution(filters, size, *, pool=1, padding="same"):
    """Return a convolution with batch normalisation and ReLU.

    Pooling comes before both, which is less work: normalisation with a positive scale does not change the maximum.
    """
    return [
        layers.Conv2D(filters, size, padding=padding, use_bias=False),
        *([layers.MaxPooling2D(pool)] if pool > 1 else []),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
    ]


def sketch(dropout=0.4):
    """Build the flagship: convolutions at three scales, averaged over the image (389k parameters).

    Args:
        dropout: rate before the last layer; half of it is used at the lowest scale.
    """
    return _network(
        "sketch",
        *_convolution(32, 5, pool=2),
        *_convolution(48, 3),
        *_convolution(48, 3, pool=2),
        layers.Dropout(dropout / 2),
        *_convolution(128, 3),
        *_convolution(128, 3),
        layers.Dropout(dropout / 2),
        *_convolution(128, 3),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(dropout),
    )


SKETCH = TrainConfig(
    model="sketch",
    epochs=36,
    batch_size=128,
    learning_rate=0.008,
    schedule="cosine",
    rotation=10.0,
    zoom=0.12,
    shear=0.15,
    shift=1.5,
    elastic=0.55,
    thickness=0.4,
    ink=24,
    ink_ones=2,
    ink_sevens=1,
    ink_turns=4,
    negatives=3000,
    precision="mixed_bfloat16",
)


def digit_or_not():
    """Build a network with an eleventh class, last, for everything that is not a digit (71k parameters).

    It returns (N, 11) probabilities. It learns to tell the digits apart only because this helps to detect the rest.
    """
    return _network(
        "digit-or-not",
        *_convolution(16, 5, pool=2),
        *_convolution(32, 3),
        *_convolution(32, 3, pool=2),
        *_convolution(64, 3),
        *_convolution(64, 3),
        layers.GlobalAveragePooling2D(),
        classes=11,
    )


DIGIT_OR_NOT = TrainConfig(
    model="digit-or-not",
    epochs=16,
    batch_size=128,
    learning_rate=0.008,
    schedule="cosine",
    rotation=8.0,
    zoom=0.1,
    shear=0.12,
    shift=1.5,
    elastic=0.6,
    thickness=0.4,
    unaugmented=0.12,
)


def cnn(filters=16, conv_layers=6, dense_layers=0, neurons=64, dropout=0.2):
    """Build convolutions at three scales, averaged over the image (80k parameters with the defaults).

    Batch normalisation follows each convolution. The stem pools early: on a CPU, a small convolutional network
    spends most of its time in its first, full-size layers.

    Args:
        filters: filters of the 5×5 stem; the 3×3 convolutions at the next two scales have two and four times as many.
        conv_layers: number of convolutions, at least 1: the stem, then half of the others at each of the next two
            scales, and an odd one at the first of them.
        dense_layers: number of dense layers between the average and the last layer.
        neurons: units of each of those.
        dropout: rate before each dense layer, including the last.
    """
    hidden = [*_convolution(filters, 5), layers.MaxPooling2D()]
    lower = (conv_layers - 1) // 2
    for _ in range(conv_layers - 1 - lower):
        hidden += _convolution(2 * filters, 3)
    hidden += [layers.MaxPooling2D()]
    for _ in range(lower):
        hidden += _convolution(4 * filters, 3)
    hidden += [layers.GlobalAveragePooling2D(), layers.Dropout(dropout)]
    for _ in range(dense_layers):
        hidden += [layers.Dense(neurons, activation="relu"), layers.Dropout(dropout)]
    return _network("cnn", *hidden)


# scripts.tune found these settings, except the epochs, and the defaults above; the record is in docs/tuning.
CNN = TrainConfig(
    model="cnn",
    epochs=10,
    batch_size=128,
    learning_rate=0.012,
    schedule="cosine",
    rotation=12.0,
    zoom=0.12,
    shear=0.18,
    shift=1.8,
)


def quick(stem=16, size=6, strides=2, pool=2, filters=(64,)):
    """Build a network that trains in seconds: nearly all layers see at most 1/20 of the pixels (12k parameters).

    Args:
        stem: filters of the first convolution.
        size: its kernel size, in pixels.
        strides: its stride, in pixels.
        pool: size of the pooling after it.
        filters: filters of each following 3×3 convolution; the middle one is pooled by 2.
    """
    # No batch normalisation in the stem: on so many values it costs more time than it saves.
    hidden = [layers.Conv2D(stem, size, strides=strides), layers.MaxPooling2D(pool), layers.ReLU()]
    middle = len(filters) // 2
    for i, each in enumerate(filters):
        hidden += _convolution(each, 3, pool=2, padding="valid") if i == middle else _convolution(each, 3)
    return _network("quick", *hidden, layers.Flatten())


# Few steps: the learning rate rises and falls once, as in L. N. Smith and N. Topin, Super-Convergence, 2018,
# https://arxiv.org/abs/1708.07120, and the optimizer has a short memory.
QUICK = TrainConfig(
    model="quick",
    epochs=2,
    batch_size=256,
    learning_rate=0.02,
    beta_1=0.7,
    beta_2=0.9,
    schedule="cosine",
)


def cnn_classic():
    """Build the textbook network: two convolutions, each pooled, and one dense layer (35k parameters)."""
    return _network(
        "cnn-classic",
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5),
    )


CNN_CLASSIC = TrainConfig(model="cnn-classic", epochs=15, batch_size=128, loss="categorical_crossentropy")


def mlp_512():
    """Build a network with one wide hidden layer."""
    return _network("mlp-512", layers.Flatten(), layers.Dense(512, activation="relu"))


MLP_512 = TrainConfig(model="mlp-512", epochs=5, batch_size=128, optimizer="rmsprop", loss="categorical_crossentropy")


def mlp_128_128():
    """Build a network with two hidden layers of the same width."""
    dense = [layers.Dense(128, activation="relu") for _ in range(2)]
    return _network("mlp-128-128", layers.Flatten(), *dense)


MLP_128_128 = TrainConfig(model="mlp-128-128", epochs=15, validation_split=0.2)


def mlp_128():
    """Build the smallest dense network, with one hidden layer."""
    return _network("mlp-128", layers.Flatten(), layers.Dense(128, activation="relu"))


MLP_128 = TrainConfig(model="mlp-128", epochs=5)


def mlp_128_64():
    """Build a network with two hidden layers, the second narrower."""
    dense = [layers.Dense(128, activation="relu"), layers.Dense(64, activation="relu")]
    return _network("mlp-128-64", layers.Flatten(), *dense)


MLP_128_64 = TrainConfig(model="mlp-128-64", epochs=5, loss="categorical_crossentropy")


MODELS = {
    "sketch": sketch,
    "cnn": cnn,
    "quick": quick,
    "cnn-classic": cnn_classic,
    "mlp-512": mlp_512,
    "mlp-128-128": mlp_128_128,
    "mlp-128": mlp_128,
    "mlp-128-64": mlp_128_64,
}
CONFIGS = {
    config.model: config for config in (SKETCH, CNN, QUICK, CNN_CLASSIC, MLP_512, MLP_128_128, MLP_128, MLP_128_64)
}


def build_model(config):
    """Return a new network for a TrainConfig.

    Raises:
        InputError: the network is unknown, or cannot be built with `config.network`.
    """
    if config.model not in MODELS:
        raise InputError(f"Expected model to be one of {', '.join(MODELS)}. Received: {config.model}")
    function = MODELS[config.model]
    known = inspect.signature(function).parameters
    for name in config.network:
        if name not in known:
            raise InputError(
                f"Expected network settings of {config.model}: {', '.join(known) or 'none'}. Received: {name}"
            )
    try:
        return function(**config.network)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        received = f"{config.network}: {reason}"
        raise InputError(f"Expected network settings that build {config.model}. Received: {received}") from None


def network_settings(config):
    """Return all settings of a TrainConfig's network: the given ones, and defaults for the rest."""
    parameters = inspect.signature(MODELS[config.model]).parameters
    return {name: parameter.default for name, parameter in parameters.items()} | config.network


def compile_model(model, config, steps_per_epoch):
    """Compile a Keras model with the optimizer, schedule and loss of a TrainConfig."""
    rate = config.learning_rate
    if config.schedule == "cosine":
        steps = config.epochs * steps_per_epoch
        rising = min(steps_per_epoch, round(0.3 * steps))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=rate / 20, warmup_target=rate, warmup_steps=rising, decay_steps=steps - rising
        )
    optimizers = {
        "adam": functools.partial(keras.optimizers.Adam, beta_1=config.beta_1, beta_2=config.beta_2),
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": functools.partial(keras.optimizers.SGD, momentum=0.9, nesterov=True),
    }
    model.compile(
        optimizers[config.optimizer](rate),
        config.loss,
        metrics=["accuracy"],
        # XLA in TensorFlow 2.21.0 makes small networks 1.5 times slower on a CPU. To drop this, compare epoch times.
        jit_compile=False,
        steps_per_execution=16,  # a step of a small network takes no longer than Python's overhead
    )
    # Otherwise Keras 3.15.1 creates the optimizer's and metrics' variables while tracing the first step, and traces it
    # again. To drop this, check that test_a_step_is_traced_once passes without it.
    model.optimizer.build(model.trainable_variables)
    label = np.zeros((1, 10) if config.loss == "categorical_crossentropy" else 1)
    model.compute_metrics(None, label, np.zeros((1, 10)))
