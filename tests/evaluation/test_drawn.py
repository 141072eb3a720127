import json
import shutil

import numpy as np
import pytest

from mnist_model import model_folder
from mnist_model.evaluation import drawn, metrics
from mnist_model.reading.preprocessing import preprocess


@pytest.fixture(scope="module")
def test_set(small_npz):
    with np.load(small_npz) as arrays:
        return arrays["x_test"], arrays["y_test"]


@pytest.fixture(scope="module")
def folder(small_flagship, tmp_path_factory):
    return shutil.copytree(small_flagship, tmp_path_factory.mktemp("measured") / "model")


@pytest.fixture(scope="module")
def record(folder, small_model, pen_digits, test_set):
    metrics.evaluate(folder, *test_set)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn, "NEGATIVES_PER_KIND", 10)
        return drawn.evaluate(folder, small_model, pen_digits[::6], *test_set)


@pytest.mark.slow
def test_it_measures_on_writers_that_were_not_trained_on(record):
    assert record["writers"] == [5, 10, 15, 20, 25, 30]
    assert (record["digits"], record["photographs"]) == (10, 4)


@pytest.mark.slow
def test_every_condition_is_measured_with_every_system(record):
    assert list(record["systems"]) == ["this model", "trained on MNIST alone", "the same, canvas shrunk to 28×28"]
    for system in record["systems"].values():
        assert {group: len(conditions) for group, conditions in system["conditions"].items()} == {
            **{"brush": 5, "size": 5, "place": 5},
            **{"turn": 5, "paper": 2, "photograph": 9},
        }
        drawn_conditions = [of for group, of in system["conditions"].items() if group != "photograph"]
        shares = [share for conditions in drawn_conditions for share in conditions.values()]
        assert all(0 <= share <= 1 for share in shares)
        ordinary = system["ordinary"]["accuracy"]
        # The ordinary way is in each of the five groups, but counts once.
        assert system["all"]["accuracy"] == pytest.approx((sum(shares) - 4 * ordinary) / 18, abs=1e-5)
        assert 0 <= system["ordinary"]["expected_calibration_error"] <= 1


@pytest.mark.slow
def test_preprocessing_is_worth_something(record):
    systems = record["systems"]
    alone, shrunk = systems["trained on MNIST alone"], systems["the same, canvas shrunk to 28×28"]
    assert alone["all"]["accuracy"] > shrunk["all"]["accuracy"] + 0.1
    assert alone["mnist_test"] == shrunk["mnist_test"]


@pytest.mark.slow
def test_refusals_are_by_kind(record, folder):
    refusals = record["refusals"]
    assert len(refusals["no_digits"]) == 17
    assert refusals["all_no_digits"] == pytest.approx(np.mean(list(refusals["no_digits"].values())), abs=1e-5)
    fresh = [refusals["no_digits"][kind] for kind in ("word", "cyrillic", "sign", "stick figure", "flower")]
    assert refusals["fresh_no_digits"] == pytest.approx(np.mean(fresh), abs=1e-5)
    assert refusals["threshold"] == json.loads((folder / "detector.json").read_text())["threshold"]
    assert 0.3 < refusals["auroc"] <= 1


@pytest.mark.slow
def test_the_record_and_its_picture_lie_in_the_folder_and_outlive_another_evaluation(record, folder, test_set):
    assert (folder / "drawn.png").stat().st_size > 10_000
    assert json.loads((folder / "metrics.json").read_text())["drawn"] == record
    assert record["sha256"]["detector.tflite"] == model_folder.sha256(folder / "detector.tflite")
    assert metrics.evaluate(folder, *test_set)[0]["drawn"] == record


@pytest.mark.slow
def test_the_record_of_other_files_is_dropped(record, folder, test_set, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "detector.json").write_text('{"threshold": 0.5}')
    assert "drawn" not in metrics.evaluate(other, *test_set)[0]


def test_the_usual_way_shrinks_the_canvas_with_ink_bright():
    canvas = np.full((280, 280), 255, np.uint8)
    canvas[100:200, 140:160] = 0
    small = drawn.shrink(canvas)
    assert small.shape == (28, 28)
    assert small[15, 14] > 200
    assert small[2, 2] == 0
    assert np.array_equal(small, drawn.shrink(255 - canvas))
    assert not np.array_equal(small, preprocess(canvas))
