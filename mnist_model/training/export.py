"""Keras -> LiteRT, with the proof that both answer alike."""

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np

from mnist_model.reading.classifier import LiteRTModel

PARITY_TOLERANCE = 1e-5  # greatest difference of a probability between Keras and LiteRT


def export_litert(model, path, images):
    """Write `model` to `path` as a float32 LiteRT model, and return how far its answers are from Keras's.

    Args:
        model: the Keras model, (N, 28, 28, 1) -> (N, K) probabilities.
        path: the `.tflite` file to write.
        images: (N, 28, 28) uint8, the images on which both are compared.

    Returns:
        The greatest absolute difference of a probability.

    Raises:
        RuntimeError: it is over PARITY_TOLERANCE; then `path` is not written.
    """
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        exported = Path(folder) / "model.tflite"
        with _quiet_converter():
            model.export(str(exported), format="litert", verbose=False)
        answers = model.predict(images[..., np.newaxis].astype(np.float32), verbose=0)
        difference = float(
            np.abs(LiteRTModel(exported, outputs=answers.shape[1]).probabilities(images) - answers).max()
        )
        if difference > PARITY_TOLERANCE:
            raise RuntimeError(
                f"Expected LiteRT to answer as Keras does, to {PARITY_TOLERANCE}. Received: {difference:.1e} off"
            )
        os.replace(exported, path)
    return difference


@contextlib.contextmanager
def _quiet_converter():
    """Keep the converter's log off the terminal: C++ writes it, past `sys.stderr`."""
    saved = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
