"""Load a model folder and read pictures with it, on LiteRT and without TensorFlow."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.quiet import quiet_stderr
from mnist_model.reading.preprocessing import SIZE, preprocess

THREADS = 2  # per interpreter: nearly twice as fast as one thread, and a free Space has two CPUs
BATCH_SIZE = 256  # most images in one call of the interpreter, so that memory does not grow with their number


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer of a classifier for one picture.

    Attributes:
        digit: 0–9, or None if there is no digit.
        confidence: the largest of `probabilities`, 0.1–1.
        probabilities: (10,) float32, one for each digit, summing to 1; all equal if the picture is blank.
        image: (28, 28) uint8, what the model saw: ink 255 on 0.
        status: "digit"; "blank" if the picture has no ink; or "not_a_digit" if the ink is something else.
    """

    digit: int | None
    confidence: float
    probabilities: np.ndarray
    image: np.ndarray
    status: Literal["digit", "blank", "not_a_digit"]

    def __str__(self):
        """The digit and the confidence, "7 (98.2 %)", or why there is no digit, "not a digit"."""
        return self.status.replace("_", " ") if self.digit is None else f"{self.digit} ({percent(self.confidence)})"


def percent(confidence):
    """Format a confidence, 0–1. No model is certain, so rounding never gives 100 %."""
    return "over 99.9 %" if confidence > 0.999 else f"{100 * confidence:.1f} %"


class DigitClassifier:
    """Read a handwritten digit in any picture. Safe to share between threads.

    Attributes:
        folder: the model folder.
        origin: where the model comes from: "the bundled model", the folder, or the Hub repo and its full sha.
        metrics: the content of its `metrics.json`; empty if the model was not evaluated.
    """

    def __init__(self, folder, origin=None):
        (path,) = model_folder.find(folder, model_folder.LITERT_FILE)
        self.folder = Path(folder)
        self.origin = origin or f"the model in {folder}"
        self._model = LiteRTModel(path)
        # A model trained on MNIST alone has no detector.
        self._detector, self._threshold = None, 0.0
        if (self.folder / model_folder.DETECTOR_FILE).exists():
            self._detector = LiteRTModel(self.folder / model_folder.DETECTOR_FILE, outputs=1)
            (path,) = model_folder.find(folder, model_folder.THRESHOLD_FILE)
            self._threshold = model_folder.read_json(path)["threshold"]
        metrics = self.folder / model_folder.METRICS_FILE
        self.metrics = model_folder.read_json(metrics) if metrics.exists() else {}

    @classmethod
    def from_pretrained(cls, source=None, *, revision=None):
        """Load a classifier.

        Args:
            source: a model folder, or a repo on the Hub, "user/name"; None for the bundled model, which a wheel
                from the Hub does not have.
            revision: a branch, tag or full sha of the repo; None for the newest commit. Not for a folder.

        Raises:
            InputError: there is no model at `source`, or no bundled one; see `download.fetch` for a repo.
        """
        if source is None or isinstance(source, Path) or Path(source).exists():
            if revision is not None:
                raise InputError(f"Expected no revision with a folder. Received: {revision}")
            if source is not None:
                return cls(source)
            if not (model_folder.PRETRAINED / model_folder.LITERT_FILE).exists():
                raise InputError(
                    "Expected a model folder, or a model on the Hub, user/name, as this installation has no bundled "
                    "model. Received: none"
                )
            return cls(model_folder.PRETRAINED, "the bundled model")
        from mnist_model.reading import download  # the Hub's client takes a second to import

        folder = download.fetch(str(source), revision)
        return cls(folder, f"{source} at {folder.name}")

    def predict(self, image):
        """Return the Prediction for one picture: a PIL image, a uint8 array, or a path (see `preprocess`)."""
        return self.predict_batch([image])[0]

    def predict_batch(self, images):
        """Return a list of Predictions, one per picture."""
        seen = [preprocess(image) for image in images]
        if not seen:
            return []
        images = np.stack(seen)
        rows = self._model.probabilities(images)
        digits = self._detector.probabilities(images)[:, 0] >= self._threshold if self._detector else [True] * len(seen)
        return [_prediction(*each) for each in zip(seen, rows, digits, strict=True)]


def _prediction(image, probabilities, is_digit):
    if not image.any():
        return Prediction(None, 0.1, np.full(10, 0.1, np.float32), image, "blank")
    digit = int(probabilities.argmax())
    confidence = float(probabilities[digit])
    if not is_digit:
        return Prediction(None, confidence, probabilities, image, "not_a_digit")
    return Prediction(digit, confidence, probabilities, image, "digit")


class LiteRTModel:
    """A `.tflite` model of MNIST images: (N, 28, 28, 1) grey levels -> (N, `outputs`) probabilities."""

    def __init__(self, path, outputs=10):
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(str(path), num_threads=THREADS)
                self._interpreter.allocate_tensors()  # for one image, so that LiteRT logs here what it chose
        except (ValueError, RuntimeError) as error:
            raise InputError(f"Expected a LiteRT model. Received: {path}, unreadable: {error}") from None
        (self._input,), (self._output,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if (self._input["shape_signature"][1:].tolist(), self._output["shape_signature"].tolist()[-1]) != (
            [SIZE, SIZE, 1],
            outputs,
        ):
            raise InputError(
                f"Expected a model from (N, 28, 28, 1) to (N, {outputs}). "
                f"Received: {path}, from {self._input['shape_signature']} to {self._output['shape_signature']}"
            )
        self._batch = 1
        self._lock = threading.Lock()

    def probabilities(self, images):
        """Return (N, outputs) float32 for (N, 28, 28) uint8 images, ink 255 on 0."""
        parts = [self._invoke(images[i : i + BATCH_SIZE]) for i in range(0, len(images), BATCH_SIZE)]
        return np.concatenate(parts)

    def _invoke(self, images):
        with self._lock:
            if self._batch != len(images):
                self._interpreter.resize_tensor_input(self._input["index"], (len(images), SIZE, SIZE, 1))
                self._interpreter.allocate_tensors()
                self._batch = len(images)
            self._interpreter.set_tensor(self._input["index"], images[..., np.newaxis].astype(np.float32))
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._output["index"])
