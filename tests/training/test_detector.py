import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mnist_model.data import negatives, strokes
from mnist_model.training import detector
from mnist_model.training.models import DIGIT_OR_NOT


@pytest.fixture(scope="module")
def trained(pen_digits):
    training = strokes.split(pen_digits)[0]
    images, labels = strokes.varied_drawings(training, 5, seed=0)
    others = negatives.varied_drawings(negatives.TRAINING_KINDS, training, 40, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector, "DIGIT_OR_NOT", dataclasses.replace(DIGIT_OR_NOT, epochs=6))
        return detector.fit(images, labels, others, seed=0, verbose=0)


@pytest.mark.slow
def test_other_drawings_score_lower_than_digits_even_of_unseen_kinds_and_writers(trained, pen_digits):
    held_out = strokes.split(pen_digits)[2]
    digits, _ = strokes.varied_drawings(held_out, 2, seed=1)
    others = negatives.varied_drawings(negatives.UNSEEN_KINDS, held_out, 10, seed=1)
    scores = detector.scorer(trained.get_weights()).predict(
        np.concatenate([digits, others])[..., np.newaxis], verbose=0
    )
    assert roc_auc_score([1] * len(digits) + [0] * len(others), scores[:, 0]) > 0.9


@pytest.mark.slow
def test_the_score_is_the_probability_of_any_digit(trained):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    scores = detector.scorer(trained.get_weights()).predict(images, verbose=0)
    assert scores.shape == (5, 1)
    assert np.allclose(scores[:, 0], trained.predict(images, verbose=0)[:, :10].sum(axis=1), atol=1e-5)


def test_the_threshold_refuses_no_more_than_asked_of_any_kind():
    rng = np.random.default_rng(0)
    kinds = rng.uniform(0.2, 1, 4000), rng.uniform(0.5, 1, 1000)
    threshold = detector.threshold(*kinds)
    assert [(scores < threshold).mean() for scores in kinds] == pytest.approx([detector.REFUSED, 0], abs=0.0005)
    assert (kinds[0] < threshold).mean() <= detector.REFUSED
