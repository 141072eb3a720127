"""The ablation of the flagship's recipe."""

import shutil

import pytest

from benchmarks import ablate, results
from mnist_model import model_folder
from mnist_model.data import strokes
from mnist_model.training import train

FAST = {"precision": "float32"}  # without AVX512-BF16, bfloat16 is ten times slower


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
def test_each_run_is_made_once_and_the_records_become_a_table(small_npz, pen_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(ablate, "RECORD", tmp_path / "ablation.json")
    monkeypatch.setattr(ablate, "PARTS", {"nothing": FAST | {"ink": 4}, "pen strokes": FAST | {"ink": 0}})
    monkeypatch.setattr(ablate, "COPIES", 1)
    monkeypatch.setattr(strokes, "load", lambda path: pen_digits)
    command = ["--epochs", "1", "--seeds", "0", "--data", str(small_npz), "--out", str(tmp_path / "runs")]

    ablate.main(command)
    records = model_folder.read_json(tmp_path / "ablation.json")
    assert [(record["without"], record["config"]["ink"]) for record in records] == [("nothing", 4), ("pen strokes", 0)]
    for record in records:
        assert 0 < record["accuracy"]["held_out_writers"] < 1
    assert results.ablation_table().count("| 1 |") == 2
    assert len(list((tmp_path / "runs").iterdir())) == 2

    monkeypatch.setattr(train, "fit", lambda *_, **__: pytest.fail("a run was made again"))
    ablate.main(command)
    shutil.rmtree(tmp_path / "runs")
    ablate.main(command)
    assert model_folder.read_json(tmp_path / "ablation.json") == records
