import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.pages import ROOT
from mnist_model import DigitClassifier, model_folder
from mnist_model.data import strokes
from mnist_model.errors import InputError
from tests.strokes import drawing, strokes_of


@pytest.fixture(scope="module")
def classifier():
    return DigitClassifier.from_pretrained()


@pytest.mark.parametrize("digit", range(10))
def test_it_reads_every_digit(classifier, digit):
    prediction = classifier.predict(drawing(digit))
    assert prediction.digit == digit
    assert prediction.status == "digit"
    assert prediction.probabilities.shape == (10,)
    assert prediction.probabilities.dtype == np.float32
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.confidence == prediction.probabilities.max()
    assert prediction.image.shape == (28, 28)
    assert prediction.image.dtype == np.uint8


@pytest.mark.parametrize("left", [8, 220])
@pytest.mark.parametrize("top", [8, 216])
def test_a_small_7_is_read_in_every_corner(classifier, left, top):
    assert classifier.predict(drawing(7, height=56, left=left, top=top, width=6)).digit == 7


@pytest.mark.parametrize("size", [0.2, 0.25, 0.3])
def test_a_7_that_is_small_and_bold_is_no_1(classifier, size):
    prediction = classifier.predict(strokes.draw(strokes_of(7), brush=17, size=size))
    assert prediction.digit == 7
    assert prediction.confidence > 0.8


@pytest.mark.parametrize("turn", [-10, 0, 15])
@pytest.mark.parametrize("size", [0.2, 0.35, 0.5, 0.7, 0.9])
def test_a_plain_stroke_is_a_1(classifier, size, turn):
    for brush in (4, 8, 12, 18):
        drawing = strokes.draw([np.array([(0, 0), (0, 1)])], brush=brush, size=size, turn=turn)
        assert classifier.predict(drawing).digit == 1


def test_digits_with_eight_pixels_a_side_are_read(classifier):
    # Real digits by 13 writers: the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak).
    images, labels = load_digits(return_X_y=True)
    predictions = classifier.predict_batch(list((images.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)))
    read = [prediction.digit == label for prediction, label in zip(predictions, labels, strict=True)]
    assert np.mean(read) > 0.9


def test_a_blank_picture_has_no_digit(classifier):
    prediction = classifier.predict(np.full((280, 280), 255, np.uint8))
    assert (prediction.digit, prediction.status) == (None, "blank")
    assert prediction.probabilities.tolist() == pytest.approx([0.1] * 10)


def test_a_batch_answers_as_one_by_one(classifier, tmp_path):
    Image.fromarray(drawing(2)).save(tmp_path / "two.png")
    pictures = [drawing(1), tmp_path / "two.png", str(tmp_path / "two.png"), Image.fromarray(drawing(3))] * 80
    batch = classifier.predict_batch(pictures)
    assert [prediction.digit for prediction in batch] == [1, 2, 2, 3] * 80
    for picture, prediction in zip(pictures[:4], batch, strict=False):
        assert np.allclose(classifier.predict(picture).probabilities, prediction.probabilities, atol=1e-6)
    assert classifier.predict_batch([]) == []


def test_threads_may_share_it(classifier):
    wrong = []

    def read(digit):
        for _ in range(50):
            if classifier.predict_batch([drawing(digit)] * (1 + digit)).pop().digit != digit:
                wrong.append(digit)

    threads = [threading.Thread(target=read, args=(digit,)) for digit in (0, 3, 4, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_its_metrics_were_measured_on_the_files_beside_them(classifier):
    assert classifier.metrics["sha256"] == {
        name: model_folder.sha256(classifier.folder / name) for name in ("model.keras", "model.tflite")
    }
    assert classifier.metrics["mnist_test"]["accuracy"]["model.tflite"] >= 0.995
    training = model_folder.read_json(classifier.folder / "training.json")
    assert "+changes" not in training["git_commit"]
    assert "+changes" not in classifier.metrics["git_commit"]


def test_what_is_no_digit_is_refused_with_its_probabilities(refusing_model):
    picture = drawing(3)
    plain = DigitClassifier.from_pretrained().predict(picture)
    refusing = DigitClassifier.from_pretrained(refusing_model)
    refused, blank = refusing.predict_batch([picture, np.zeros((28, 28), np.uint8)])
    assert (refused.digit, refused.status, str(refused)) == (None, "not_a_digit", "not a digit")
    assert refused.confidence == pytest.approx(plain.confidence)
    assert np.allclose(refused.probabilities, plain.probabilities)
    assert np.array_equal(refused.image, plain.image)
    assert blank.status == "blank"


def test_a_detector_without_its_threshold_is_refused(refusing_model, tmp_path):
    folder = shutil.copytree(refusing_model, tmp_path / "model")
    (folder / "detector.json").unlink()
    with pytest.raises(InputError, match="Expected a model folder with detector.json"):
        DigitClassifier.from_pretrained(folder)


def test_a_folder_without_metrics_serves_too(small_model):
    classifier = DigitClassifier.from_pretrained(small_model)
    assert classifier.metrics == {}
    assert classifier.predict(drawing(0)).digit == 0


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="Received: .*nowhere, which is not a folder"):
        DigitClassifier.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(InputError, match="Expected a model folder with model.tflite"):
        DigitClassifier.from_pretrained(tmp_path)
    (tmp_path / "model.tflite").write_bytes(b"damaged")
    with pytest.raises(InputError, match="Expected a LiteRT model"):
        DigitClassifier.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="Expected no revision with a folder"):
        DigitClassifier.from_pretrained(model_folder.PRETRAINED, revision="v1.0")


@pytest.mark.parametrize("module", ["mnist_model", "scripts.predict", pytest.param("app", marks=pytest.mark.slow)])
def test_serving_imports_no_tensorflow(module):
    code = (
        f"import sys, numpy as np, {module}; from mnist_model import DigitClassifier;"
        "DigitClassifier.from_pretrained().predict(np.zeros((28, 28), np.uint8));"
        "assert not {'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
