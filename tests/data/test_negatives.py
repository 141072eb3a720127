import numpy as np
import pytest

from mnist_model.data import negatives
from mnist_model.data.negatives import FRESH_KINDS, TRAINING_KINDS, UNSEEN_KINDS


@pytest.mark.parametrize("kind", TRAINING_KINDS + UNSEEN_KINDS + FRESH_KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_drawn_in_many_ways(kind, pen_digits):
    images = negatives.varied_drawings([kind], pen_digits, 20, seed=0)
    assert images.shape == (20, 28, 28)
    assert (images.max(axis=(1, 2)) == 255).all()
    assert len({image.tobytes() for image in images}) == 20


def test_what_is_reported_on_was_not_trained_on():
    assert not set(TRAINING_KINDS) & set(UNSEEN_KINDS + FRESH_KINDS)
    assert not set(negatives.TRAINING_LETTERS.lower()) & set(negatives.UNSEEN_LETTERS.lower())
    assert not set(negatives.TRAINING_FONTS) & set(negatives.UNSEEN_FONTS)


def test_letters_that_are_written_like_a_digit_are_left_out():
    letters = negatives.TRAINING_LETTERS + negatives.UNSEEN_LETTERS
    assert not set(letters) & set("BDGIOQSYZbgijloqsyz")


def test_drawings_follow_from_the_seed(pen_digits):
    first = negatives.varied_drawings(TRAINING_KINDS, pen_digits, 2, seed=3)
    assert np.array_equal(first, negatives.varied_drawings(TRAINING_KINDS, pen_digits, 2, seed=3))
    assert not np.array_equal(first, negatives.varied_drawings(TRAINING_KINDS, pen_digits, 2, seed=4))
