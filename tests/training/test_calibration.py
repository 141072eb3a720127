import numpy as np
import pytest

from mnist_model.training import calibration
from mnist_model.training.models import MLP_128, build_model


def answers(temperature, count=20_000):
    """Return answers that are overconfident by a temperature, and labels."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, 10))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    sharp = np.exp(logits * temperature)
    return sharp / sharp.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_by_which_answers_are_too_sure_is_found(temperature):
    assert calibration.fit_temperature(answers(temperature)) == pytest.approx(temperature, rel=0.03)


def test_each_kind_counts_the_same():
    between = calibration.fit_temperature(answers(1.0, 2000), answers(2.0))
    assert 1.2 < between < 1.7


def test_a_model_is_made_less_sure_and_answers_the_same():
    model = build_model(MLP_128)
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1), np.uint8)
    before = model.predict(images, verbose=0)
    calibration.apply_temperature(model, 2.0)
    after = model.predict(images, verbose=0)
    softened = np.sqrt(before)
    assert np.allclose(after, softened / softened.sum(axis=1, keepdims=True), atol=1e-5)
