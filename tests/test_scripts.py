"""The scripts as a person starts them: the lines they print, their exit status, and the mistakes one makes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mnist_model import model_folder
from scripts import evaluate, predict, run, train
from tests.conftest import ROOT
from tests.strokes import drawing


@pytest.fixture
def pictures(tmp_path):
    """Paths of a 3, a blank, a file that is no picture, and one that is missing."""
    paths = [tmp_path / name for name in ("three.png", "blank.png", "notes.txt", "missing.png")]
    Image.fromarray(drawing(3)).save(paths[0])
    Image.new("L", (50, 50)).save(paths[1])
    paths[2].write_text("milk, bread")
    return [str(path) for path in paths]


def test_predict_gives_a_line_a_picture(pictures, capsys):
    assert predict.main(pictures[:2]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{pictures[0]}: 3 (")
    assert lines[1] == f"{pictures[1]}: blank"


def test_a_bad_picture_costs_its_own_line_and_the_status(pictures, capsys):
    assert predict.main(["--json", *pictures]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"] for row in rows] == pictures
    assert set(rows[0]) == {"path", "digit", "confidence", "probabilities", "status"}
    assert (rows[0]["digit"], rows[0]["status"], len(rows[0]["probabilities"])) == (3, "digit", 10)
    assert (rows[1]["digit"], rows[1]["status"]) == (None, "blank")
    assert [set(row) for row in rows[2:]] == [{"path", "error"}] * 2


def test_evaluate_measures_the_files_of_the_folder(small_model, small_npz, capsys):
    for _ in range(2):
        with pytest.warns(UserWarning, match="not the canonical MNIST test images"):
            evaluate.main([str(small_model), "--data", str(small_npz)])
        metrics = model_folder.read_json(small_model / "metrics.json")
        accuracy = metrics["mnist_test"]["accuracy"]
        assert accuracy["model.keras"] == accuracy["model.tflite"] > 0.85
        assert metrics["mnist_test"]["images"] == 297
        assert f"model.tflite  {accuracy['model.tflite']:.2%} of 297 test digits" in capsys.readouterr().out
    (small_model / "metrics.json").unlink()


MISTAKES = {
    "no such folder": (predict, "--model {0}/nowhere 7.png", "nowhere, which is no folder"),
    "no model": (predict, "--model {0} 7.png", "Expected a model folder with model.tflite"),
    "nothing to evaluate": (evaluate, "{0}", "Expected a model folder with model.keras"),
    "no arrays": (train, "--out {0} --data {0}/letters.npz", "Expected arrays x_train and y_train"),
    "no data": (train, "--out {0} --data {0}/nowhere.npz", "Received: no file at"),
    "name exists": (train, "--out {0} --name taken", "taken, which exists"),
    "nothing to resume": (train, "--out {0} --name new --resume", "Expected an unfinished run to resume"),
    "no epochs": (train, "--out {0} --epochs 0", "Expected epochs of at least 1"),
}


@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
@pytest.mark.parametrize(("script", "line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_a_status(script, line, message, tmp_path, small_npz, monkeypatch):
    np.savez(tmp_path / "letters.npz", letters=np.zeros(3))
    (tmp_path / "taken").mkdir()
    monkeypatch.setenv("MNIST_NPZ", str(small_npz))
    with pytest.raises(SystemExit) as end:
        run(lambda: script.main(line.format(tmp_path).split()))
    assert end.value.code.startswith("error: Expected")
    assert message in end.value.code
    assert "\n" not in end.value.code


def test_training_without_tensorflow_says_what_to_install():
    code = "import sys; sys.modules['tensorflow'] = None; from scripts import run, train; run(train.main)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: Expected the packages for training (pip install -r requirements-train.txt). Received: no tensorflow"
    ]


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
def test_every_script_tells_its_options(name):
    result = subprocess.run(
        [sys.executable, "-m", f"scripts.{name}", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0
    assert f"python -m scripts.{name}" in result.stdout
