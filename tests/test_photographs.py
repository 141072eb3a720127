import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from mnist_model import DigitClassifier, photographs
from mnist_model.photographs import PAPERS, photograph
from mnist_model.preprocessing import preprocess
from tests.strokes import strokes

CLASSIFIER = DigitClassifier.from_pretrained()


def opened(content):
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("paper", PAPERS)
def test_digits_are_read_on_every_paper(paper):
    rng = np.random.default_rng(1)
    digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    pictures = [opened(photograph(strokes(digit), rng, **PAPERS[paper])) for digit in digits]
    answers = [int(each.probabilities.argmax()) for each in CLASSIFIER.predict_batch(pictures)]
    assert sum(answer != digit for answer, digit in zip(answers, digits, strict=True)) <= 1, answers


def test_a_photograph_follows_from_the_seed_and_is_turned_by_exif():
    files = [photograph(strokes(4), np.random.default_rng(seed), **PAPERS["pencil"]) for seed in range(12)]
    assert files[0] == photograph(strokes(4), np.random.default_rng(0), **PAPERS["pencil"])
    pictures = [opened(file) for file in files]
    assert {picture.getexif()[photographs.ORIENTATION] for picture in pictures} == {1, 3, 6, 8}
    assert {ImageOps.exif_transpose(picture).size for picture in pictures} == {(480, 640)}


@pytest.mark.parametrize("paper", ["plain", "uneven light", "coarse JPEG"])
def test_paper_without_a_digit_is_blank(paper):
    rng = np.random.default_rng(3)
    assert not any(preprocess(opened(photograph([], rng, **PAPERS[paper]))).any() for _ in range(4))


def test_a_digit_that_touches_the_border_is_read():
    rng = np.random.default_rng(0)
    paper = np.asarray(ImageOps.exif_transpose(opened(photograph(strokes(7), rng, light=photographs.uneven_light))))
    rows = np.flatnonzero((paper.mean(axis=2) < 0.5 * np.median(paper)).any(axis=1))
    assert CLASSIFIER.predict(paper[: rows.max() - 3]).probabilities.argmax() == 7


def test_chalk_on_a_blackboard_is_read():
    rng = np.random.default_rng(0)
    board = 255 - np.asarray(opened(photograph(strokes(5), rng, light=photographs.uneven_light)))
    exif = opened(photograph(strokes(5), np.random.default_rng(0), light=photographs.uneven_light)).getexif()
    image = Image.fromarray(board)
    image.getexif()[photographs.ORIENTATION] = exif[photographs.ORIENTATION]
    assert CLASSIFIER.predict(image).probabilities.argmax() == 5
