"""How good a model folder is, measured on the very files that lie in it."""

import keras
import numpy as np

from mnist_model import data, model_folder
from mnist_model.errors import InputError
from mnist_model.inference import LiteRTModel


def evaluate(folder, images, labels):
    """Measure both forms of the model on MNIST's test images, and write `metrics.json` into its folder.

    Args:
        folder: a model folder.
        images: (N, 28, 28) uint8.
        labels: (N,) integers from 0 to 9.

    Returns:
        What was written: under "mnist_test" the number of images, their md5 and the accuracy of each file, under
        "sha256" the hashes of the files that were measured, and where and with which versions it was done.

    Raises:
        InputError: the folder or one of the files is missing or damaged.
    """
    names = (model_folder.KERAS_FILE, model_folder.LITERT_FILE)
    paths = keras_path, litert_path = model_folder.find(folder, *names)
    answers = {
        model_folder.KERAS_FILE: load_keras(keras_path).predict(images[..., np.newaxis], batch_size=1000),
        model_folder.LITERT_FILE: LiteRTModel(litert_path).probabilities(images),
    }
    metrics = {
        "mnist_test": {
            "images": len(images),
            "images_md5": data.images_md5(images),
            "accuracy": {name: accuracy(answer, labels) for name, answer in answers.items()},
        },
        "sha256": {path.name: model_folder.sha256(path) for path in paths},
        **model_folder.provenance("keras", "tensorflow", "numpy", "ai-edge-litert"),
    }
    model_folder.write_json(keras_path.with_name(model_folder.METRICS_FILE), metrics)
    return metrics


def load_keras(path):
    """Load a `.keras` file for prediction; InputError if it is damaged."""
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(f"Expected a Keras model. Received: {path}, unreadable: {error}") from None


def accuracy(probabilities, labels):
    """Return the fraction of rows of (N, K) `probabilities` whose largest is at the label, 0–1."""
    return float((probabilities.argmax(axis=1) == labels).mean())
