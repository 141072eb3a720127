"""Measure how good a model is, from its probabilities and labels or from its model folder."""

import keras
import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support, top_k_accuracy_score

from mnist_model import model_folder
from mnist_model.data import mnist
from mnist_model.errors import InputError
from mnist_model.evaluation import plots
from mnist_model.reading.classifier import LiteRTModel

DIGITS = np.arange(10)
BINS = 15  # bins of the reliability diagram


def evaluate(folder, images, labels):
    """Measure a model folder on MNIST's test images, and write `metrics.json` and plots into it.

    Args:
        folder: a model folder.
        images: (N, 28, 28) uint8.
        labels: (N,) integers from 0 to 9.

    Returns:
        The content of `metrics.json`, a dict, and the probabilities, (N, 10) float32. "mnist_test" has the number and
        md5 of the images, the accuracy of each file, and the result of `measure` for `model.tflite`; "sha256" and
        "bytes" describe the measured files; the rest is the provenance. The results of the benchmarks for the same
        files are kept.

    Raises:
        InputError: the folder or a file is missing or damaged.
    """
    names = (model_folder.KERAS_FILE, model_folder.LITERT_FILE)
    paths = keras_path, litert_path = model_folder.find(folder, *names)
    model = load_keras(keras_path)
    probabilities = LiteRTModel(litert_path).probabilities(images)
    answers = {
        model_folder.KERAS_FILE: model.predict(images[..., np.newaxis], batch_size=1000),
        model_folder.LITERT_FILE: probabilities,
    }
    metrics = {
        "mnist_test": {
            "images": len(images),
            "images_md5": mnist.images_md5(images),
            "accuracy": {name: float(is_right(answer, labels).mean()) for name, answer in answers.items()},
            **measure(probabilities, labels),
        },
        "sha256": {path.name: model_folder.sha256(path) for path in paths},
        "bytes": {path.name: path.stat().st_size for path in paths},
        **model_folder.provenance("keras", "tensorflow", "numpy", "scikit-learn", "ai-edge-litert"),
    }
    folder = keras_path.parent
    plots.draw_confusion(metrics["mnist_test"]["confusion_matrix"], folder / model_folder.CONFUSION_FILE)
    plots.draw_reliability(metrics["mnist_test"]["reliability"], folder / model_folder.RELIABILITY_FILE)
    plots.draw_samples(images, labels, probabilities, folder / model_folder.SAMPLES_FILE)
    plots.draw_errors(images, labels, probabilities, folder / model_folder.ERRORS_FILE)
    plots.draw_filters(model, folder / model_folder.FILTERS_FILE)
    metrics |= _kept(folder)
    model_folder.write_json(folder / model_folder.METRICS_FILE, metrics)
    return metrics, probabilities


def _kept(folder):
    """Return the benchmarks' parts of the folder's metrics that are about the current files."""
    path = folder / model_folder.METRICS_FILE
    earlier = model_folder.read_json(path) if path.exists() else {}
    current = model_folder.serving_sha256(folder)
    return {name: earlier[name] for name in model_folder.BENCHMARKS if earlier.get(name, {}).get("sha256") == current}


def load_keras(path):
    """Load a `.keras` file for prediction; InputError if it is damaged."""
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(f"Expected a Keras model. Received: {path}, unreadable: {error}") from None


def is_right(probabilities, labels):
    """Return (N,) bool: whether the label of each row of (N, 10) `probabilities` is the most probable digit."""
    return probabilities.argmax(axis=1) == labels


def measure(probabilities, labels):
    """Return the metrics of a model's probabilities.

    Args:
        probabilities: (N, 10) float32.
        labels: (N,) integers from 0 to 9.

    Returns:
        A dict; fractions are from 0 to 1. "accuracy_interval": the 95 % interval of the accuracy (Wilson's score
        interval); "top_2_accuracy"; "negative_log_likelihood": the mean, in nats; "expected_calibration_error" and
        "reliability": see `reliability`; "macro": the mean over the classes of "precision", "recall" and "f1";
        "classes": the same for each digit, with the interval of its recall and its number of images;
        "confusion_matrix": [label][answer]. Values that are undefined, for lack of images or answers, are 0.
    """
    answers = probabilities.argmax(axis=1)
    right = is_right(probabilities, labels)
    scores = precision_recall_fscore_support(labels, answers, labels=DIGITS, zero_division=0)
    names = ("precision", "recall", "f1")
    bins = reliability(probabilities, labels)
    error = sum(each["images"] * abs(each["accuracy"] - each["confidence"]) for each in bins) / len(labels)
    return {
        "accuracy_interval": interval(right),
        "top_2_accuracy": _rounded(top_k_accuracy_score(labels, probabilities, k=2, labels=DIGITS)),
        "negative_log_likelihood": _rounded(log_loss(labels, probabilities, labels=DIGITS)),
        "expected_calibration_error": _rounded(error),
        "macro": {name: _rounded(score.mean()) for name, score in zip(names, scores, strict=False)},
        "classes": [
            {
                "digit": int(digit),
                **dict(zip(names, map(_rounded, row), strict=False)),
                "recall_interval": interval(right[labels == digit]),
                "images": int(row[3]),
            }
            for digit, row in zip(DIGITS, np.transpose(scores), strict=True)
        ],
        "confusion_matrix": confusion_matrix(labels, answers, labels=DIGITS).tolist(),
        "reliability": bins,
    }


def reliability(probabilities, labels):
    """Compare confidence with accuracy, in 15 bins of equal width.

    The expected calibration error is the mean over the images of the difference between the two in their bin: Guo et
    al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599

    Returns:
        A list with a dict for each bin that is not empty: its limits "from" and "to", the mean "confidence" and the
        "accuracy" of its images, and their number, "images".
    """
    confidence, right = probabilities.max(axis=1), is_right(probabilities, labels)
    edges = np.linspace(0, 1, BINS + 1)
    places = np.digitize(confidence, edges[1:-1], right=True)
    return [
        {
            "from": _rounded(edges[place]),
            "to": _rounded(edges[place + 1]),
            "confidence": _rounded(confidence[places == place].mean()),
            "accuracy": _rounded(right[places == place].mean()),
            "images": int((places == place).sum()),
        }
        for place in np.unique(places)
    ]


def interval(right):
    """Return the 95 % interval of the share of `right`, (N,) bool; [0, 1] if it is empty."""
    if not len(right):
        return [0.0, 1.0]
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(confidence_level=0.95, method="wilson")
    return [_rounded(interval.low), _rounded(interval.high)]


def mcnemar(first_right, second_right):
    """Run McNemar's exact test of whether two models err equally often.

    McNemar, Note on the sampling error of the difference between correlated proportions or percentages, 1947.

    Args:
        first_right: (N,) bool, whether the first model is right.
        second_right: (N,) bool, the same for the second model.

    Returns:
        The number of images that only the first reads correctly, that only the second does, and the two-sided p-value.
    """
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    if only_first + only_second == 0:
        return 0, 0, 1.0
    return only_first, only_second, float(binomtest(only_first, only_first + only_second).pvalue)


def _rounded(value):
    """Round to six decimals; later ones differ between machines."""
    return round(float(value), 6)
