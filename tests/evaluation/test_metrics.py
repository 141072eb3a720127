"""The metrics, checked against values worked out by hand."""

import math
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from mnist_model import model_folder
from mnist_model.data import mnist
from mnist_model.evaluation import metrics, plots
from tests.conftest import data_file


def probabilities(answers, confidences, runners_up=None):
    """Return a row per answer: its confidence at the answer, the rest at the runner-up (default: the next digit)."""
    rows = np.zeros((len(answers), 10), np.float32)
    runners_up = [(answer + 1) % 10 for answer in answers] if runners_up is None else runners_up
    for row, answer, confidence, runner_up in zip(rows, answers, confidences, runners_up, strict=True):
        row[answer], row[runner_up] = confidence, 1 - confidence
    return rows


def test_precision_recall_and_f1_of_six_digits():
    labels = np.array([0, 0, 0, 1, 1, 2])
    answers = [0, 0, 1, 1, 2, 2]
    figures = metrics.measure(probabilities(answers, [0.9] * 6), labels)
    intervals = [each.pop("recall_interval") for each in figures["classes"]]
    zero, one, two, *others = figures["classes"]
    # Two of the three 0s were read as 0, and no other digit was.
    assert zero == {"digit": 0, "precision": 1.0, "recall": 0.666667, "f1": 0.8, "images": 3}
    # One of the two 1s was read as 1, and so was a 0.
    assert one == {"digit": 1, "precision": 0.5, "recall": 0.5, "f1": 0.5, "images": 2}
    # The only 2 was read as 2, and so was a 1.
    assert two == {"digit": 2, "precision": 0.5, "recall": 1.0, "f1": 0.666667, "images": 1}
    assert all(each["precision"] == each["recall"] == each["f1"] == each["images"] == 0 for each in others)
    assert figures["macro"] == {"precision": 0.2, "recall": 0.216667, "f1": 0.196667}
    # Wilson's intervals of 2 in 3, 1 in 2 and 1 in 1, from his formula. Without images, it is [0, 1].
    assert np.array(intervals[:4]) == pytest.approx(
        np.array([[0.2077, 0.9385], [0.0945, 0.9055], [0.2065, 1], [0, 1]]), abs=1e-4
    )
    matrix = np.array(figures["confusion_matrix"])
    assert matrix[:3, :3].tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert matrix.sum() == 6


def test_the_interval_is_wilsons():
    labels = np.zeros(10, int)
    low, high = metrics.measure(probabilities([0] * 8 + [1] * 2, [0.9] * 10), labels)["accuracy_interval"]
    z = 1.959964
    middle, reach = (0.8 + z**2 / 20) / (1 + z**2 / 10), z * math.sqrt(0.8 * 0.2 / 10 + z**2 / 400) / (1 + z**2 / 10)
    assert (low, high) == pytest.approx((middle - reach, middle + reach), abs=1e-5)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_calibration_of_four_digits():
    labels = np.array([5, 5, 5, 5])
    # 0.9 twice, once right and once wrong; 0.57, right; 0.35, wrong.
    rows = probabilities([5, 3, 5, 3], [0.9, 0.9, 0.57, 0.9], [4, 4, 4, 4])
    rows[3] = [0, 0, 0, 0.35, 0.3, 0.2, 0.15, 0, 0, 0]
    figures = metrics.measure(rows, labels)
    assert [(each["confidence"], each["accuracy"], each["images"]) for each in figures["reliability"]] == [
        (0.35, 0.0, 1),
        (0.57, 1.0, 1),
        (0.9, 0.5, 2),
    ]
    assert [(each["from"], each["to"]) for each in figures["reliability"]] == [
        (0.333333, 0.4),
        (0.533333, 0.6),
        (0.866667, 0.933333),
    ]
    assert figures["expected_calibration_error"] == pytest.approx((0.35 + 0.43 + 2 * 0.4) / 4, abs=1e-6)


def test_likelihood_and_the_first_two():
    labels = np.array([1, 2, 3])
    rows = probabilities([1, 1, 1], [0.75, 0.75, 0.5], [0, 2, 0])
    rows[2] = [0.3, 0.5, 0, 0.2, 0, 0, 0, 0, 0, 0]
    figures = metrics.measure(rows, labels)
    assert figures["top_2_accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["negative_log_likelihood"] == pytest.approx(-math.log(0.75 * 0.25 * 0.2) / 3, abs=1e-5)


def test_mcnemar_counts_what_one_alone_has_right():
    first = np.array([True] * 10 + [True] + [False] * 5 + [False] * 4)
    second = np.array([True] * 10 + [False] + [True] * 5 + [False] * 4)
    # The chance that at most one of six falls on one side, for either side: 2 (1 + 6) / 2**6.
    assert metrics.mcnemar(first, second) == (1, 5, pytest.approx(14 / 64))
    assert metrics.mcnemar(first, first) == (0, 0, 1.0)


def test_the_hardest_errors_come_first(monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "draw_digits", lambda images, captions, path: drawn.append((images, captions)))
    images = np.arange(4, dtype=np.uint8)[:, np.newaxis, np.newaxis] + np.zeros((1, 28, 28), np.uint8)
    rows = probabilities([1, 2, 3, 4], [0.6, 0.99, 0.9995, 0.8])
    plots.draw_errors(images, np.array([0, 0, 0, 4]), rows, "errors.png")
    ((shown, captions),) = drawn
    assert shown[:, 0, 0].tolist() == [2, 1, 0]
    assert captions == [
        ("0 read as 3\nover 99.9 %", False),
        ("0 read as 2\n99.0 %", False),
        ("0 read as 1\n60.0 %", False),
    ]


def test_a_model_without_errors_still_has_its_pictures(tmp_path):
    images, labels = np.zeros((3, 28, 28), np.uint8), np.array([1, 2, 3])
    rows = probabilities([1, 2, 3], [0.9] * 3)
    plots.draw_errors(images, labels, rows, tmp_path / "errors.png")
    plots.draw_confusion(metrics.measure(rows, labels)["confusion_matrix"], tmp_path / "confusion.png")
    for path in tmp_path.iterdir():
        assert Image.open(path).convert("L").getextrema()[0] < 100


def test_the_filters_are_those_of_the_first_convolution(tmp_path):
    plots.draw_filters(keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()]), tmp_path / "none.png")
    assert not list(tmp_path.iterdir())
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(2, 3), keras.layers.Conv2D(3, 5)])
    kernels = np.full((3, 3, 1, 2), -1.0)
    kernels[..., 1] = 1
    model.layers[0].set_weights([kernels, np.zeros(2)])
    plots.draw_filters(model, tmp_path / "filters.png")
    picture = np.asarray(Image.open(tmp_path / "filters.png").convert("RGB")).astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).any(axis=0).nonzero()[0]
    red = (picture[..., 0] - picture[..., 2] > 60).any(axis=0).nonzero()[0]
    assert blue.max() < red.min() < red.max() < picture.shape[1] * 0.3


@pytest.mark.slow
def test_the_bundled_record_can_be_recomputed(tmp_path):
    images, labels = mnist.load_test(data_file("MNIST_NPZ"))
    folder = shutil.copytree(model_folder.PRETRAINED, tmp_path / "model")
    recorded = model_folder.read_json(folder / "metrics.json")["mnist_test"]
    computed = metrics.evaluate(folder, images, labels)[0]["mnist_test"]

    def close(one, other):
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
        if isinstance(one, list):
            return len(one) == len(other) and all(map(close, one, other))
        return one == pytest.approx(other, abs=1e-4)

    assert close(computed, recorded)
