"""Export a Keras model to LiteRT, and check that both give the same answers."""

import os
import tempfile
from pathlib import Path

import numpy as np

from mnist_model.quiet import quiet_stderr
from mnist_model.reading.classifier import LiteRTModel

PARITY_TOLERANCE = 1e-5  # greatest difference between a probability of Keras and of LiteRT


def export_litert(model, path, images):
    """Write `model` to `path` as a float32 LiteRT model, and compare its answers with those of Keras.

    Args:
        model: the Keras model, (N, 28, 28, 1) -> (N, K) probabilities.
        path: the `.tflite` file to write.
        images: (N, 28, 28) uint8, the images to compare on.

    Returns:
        The greatest absolute difference of a probability.

    Raises:
        RuntimeError: the difference is over PARITY_TOLERANCE; `path` is not written then.
    """
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        exported = Path(folder) / "model.tflite"
        with quiet_stderr():
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
