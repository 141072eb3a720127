import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from mnist_model import DigitClassifier
from mnist_model.data import photographs
from mnist_model.data.photographs import PAPERS, photograph
from mnist_model.reading.preprocessing import preprocess
from tests.strokes import strokes_of

CLASSIFIER = DigitClassifier.from_pretrained()


def opened(content):
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("paper", PAPERS)
def test_digits_are_read_on_every_paper(paper):
    rng = np.random.default_rng(1)
    digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    pictures = [opened(photograph(strokes_of(digit), rng, **PAPERS[paper])) for digit in digits]
    answers = [int(each.probabilities.argmax()) for each in CLASSIFIER.predict_batch(pictures)]
    assert sum(answer != digit for answer, digit in zip(answers, digits, strict=True)) <= 1, answers


def test_a_photograph_follows_from_the_seed_and_is_turned_by_exif():
    files = [photograph(strokes_of(4), np.random.default_rng(seed), **PAPERS["pencil"]) for seed in range(12)]
    assert files[0] == photograph(strokes_of(4), np.random.default_rng(0), **PAPERS["pencil"])
    pictures = [opened(file) for file in files]
    assert {picture.getexif()[photographs.ORIENTATION] for picture in pictures} == {1, 3, 6, 8}
    assert {ImageOps.exif_transpose(picture).size for picture in pictures} == {(480, 640)}


@pytest.mark.parametrize("paper", ["plain", "uneven light", "coarse JPEG"])
def test_paper_without_a_digit_is_blank(paper):
    rng = np.random.default_rng(3)
    assert not any(preprocess(opened(photograph([], rng, **PAPERS[paper]))).any() for _ in range(4))


@pytest.mark.parametrize("shaded", [0.3, 0.55, 0.8])
def test_a_digit_is_read_where_half_of_the_paper_lies_in_the_shade(shaded):
    def shade(rng, shape):
        return np.where(np.arange(shape[1]) < shaded * shape[1], 0.45, 0.95) * np.ones(shape)

    picture = opened(photograph(strokes_of(2), np.random.default_rng(0), light=shade))
    assert CLASSIFIER.predict(picture).probabilities.argmax() == 2


def test_a_shadow_along_squared_paper_takes_no_stroke_of_the_digit_with_it():
    def shade(rng, shape):
        across = np.linspace(0, 1, shape[1])
        return np.broadcast_to(1 - 0.4 / (1 + np.exp((0.88 - across) / 0.01)), shape)

    def read(seed, lines):
        rng = np.random.default_rng(seed)
        return preprocess(opened(photograph(strokes_of(4), rng, pen="blue", light=shade, lines=lines)))

    for seed in range(6):
        assert np.abs(read(seed, True) - read(seed, False).astype(float)).mean() < 8


def test_a_digit_that_touches_the_border_is_read():
    rng = np.random.default_rng(0)
    paper = np.asarray(ImageOps.exif_transpose(opened(photograph(strokes_of(7), rng, light=photographs.uneven_light))))
    rows = np.flatnonzero((paper.mean(axis=2) < 0.5 * np.median(paper)).any(axis=1))
    assert CLASSIFIER.predict(paper[: rows.max() - 3]).probabilities.argmax() == 7


def test_chalk_on_a_blackboard_is_read():
    rng = np.random.default_rng(0)
    board = 255 - np.asarray(opened(photograph(strokes_of(5), rng, light=photographs.uneven_light)))
    exif = opened(photograph(strokes_of(5), np.random.default_rng(0), light=photographs.uneven_light)).getexif()
    image = Image.fromarray(board)
    image.getexif()[photographs.ORIENTATION] = exif[photographs.ORIENTATION]
    assert CLASSIFIER.predict(image).probabilities.argmax() == 5
