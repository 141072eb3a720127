"""The scripts as a person runs them: their output, their exit status, and common mistakes."""

import functools
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks.pages import ROOT
from mnist_model import DigitClassifier, model_folder
from mnist_model.data import mnist
from scripts import evaluate, predict, push_to_hub, run, train, train_detector
from tests.strokes import drawing

slow = functools.partial(pytest.param, marks=pytest.mark.slow)


@pytest.fixture
def pictures(tmp_path):
    """Paths of a 3, a blank picture, a text file, and a missing file."""
    paths = [tmp_path / name for name in ("three.png", "blank.png", "notes.txt", "missing.png")]
    Image.fromarray(drawing(3)).save(paths[0])
    Image.new("L", (50, 50)).save(paths[1])
    paths[2].write_text("milk, bread")
    return [str(path) for path in paths]


def test_predict_prints_a_line_per_picture(pictures, capsys):
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
def test_evaluate_gives_the_same_figures_again(small_model, small_npz, tmp_path, capsys):
    folder = shutil.copytree(small_model, tmp_path / "model")
    assert evaluate.main([str(folder), "--data", str(small_npz)]) is None
    metrics = model_folder.read_json(folder / "metrics.json")
    test = metrics["mnist_test"]
    assert test["images"] == 297
    assert test["accuracy"]["model.keras"] == test["accuracy"]["model.tflite"] > 0.85
    assert metrics["bytes"]["model.tflite"] == (folder / "model.tflite").stat().st_size
    output = capsys.readouterr().out
    assert f"accuracy of model.tflite {test['accuracy']['model.tflite']:11.2%}" in output
    assert f" mean {test['macro']['precision']:10.2%}" in output
    pictures = {"confusion_matrix.png", "reliability.png", "samples.png", "errors.png", "filters.png"}
    assert pictures | {"metrics.json"} == {path.name for path in folder.iterdir()} - {
        path.name for path in small_model.iterdir()
    }

    assert evaluate.main([str(folder), "--data", str(small_npz)]) is None
    assert model_folder.read_json(folder / "metrics.json") == metrics


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
def test_evaluate_tells_how_two_models_differ(small_model, small_npz, tmp_path, capsys):
    first = shutil.copytree(small_model, tmp_path / "first")
    line = "--model mlp-128 --epochs 1 --name second"
    train.main([*line.split(), "--out", str(tmp_path), "--data", str(small_npz)])
    evaluate.main([str(first), str(tmp_path / "second"), "--data", str(small_npz)])
    assert not (tmp_path / "second" / "filters.png").exists()
    output = capsys.readouterr().out

    images, labels = mnist.load_test(small_npz)
    answers = [DigitClassifier(tmp_path / name)._model.probabilities(images) for name in ("first", "second")]
    read = [answer.argmax(axis=1) for answer in answers]
    differing = np.flatnonzero(read[0] != read[1])
    alone = [np.sum((one == labels) & (other != labels)) for one, other in (read, read[::-1])]
    assert 0 < len(differing) < 297
    assert f"They answer differently on {len(differing)} of 297 digits." in output
    assert f"only {first} is right on {alone[0]}, only {tmp_path / 'second'} on {alone[1]}" in output
    assert "McNemar's test: p = " in output
    rows = re.findall(r"^ +(\d+) +(\d+)  (\d) \(.+\) \| (\d) \(.+\)$", output, re.M)
    said = [tuple(map(int, row)) for row in rows]
    assert said == [(i, labels[i], read[0][i], read[1][i]) for i in differing]


MISTAKES = {
    "no such folder": (predict, "--model {0}/nowhere 7.png", "Expected a model folder, or a model on the Hub"),
    "no model": (predict, "--model {0} 7.png", "Expected a model folder with model.tflite"),
    "nothing to evaluate": (evaluate, "{0}", "Expected a model folder with model.keras"),
    "no arrays": (train, "--out {0} --data {0}/letters.npz", "Expected arrays x_train and y_train"),
    "no data": (train, "--out {0} --data {0}/nowhere.npz", "Received: no file at"),
    "name exists": (train, "--out {0} --name taken", "taken, which exists"),
    "nothing to resume": (train, "--out {0} --name new --resume", "Expected an unfinished run to resume"),
    "no study": (train, "--from-study {0}", "Expected the folder of a finished study"),
    "no detector": (train_detector, "{0} {0}/new", "Expected a model folder with training.json"),
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


def test_a_closed_output_ends_it_silently(pictures):
    command = [sys.executable, "-m", "scripts.predict", pictures[0]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert "Error" not in process.stderr.read()
    assert process.returncode == 141


def test_training_without_tensorflow_says_what_to_install():
    code = "import sys; sys.modules['tensorflow'] = None; from scripts import run, train; run(train.main)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: Expected the packages for training (pip install -r requirements-train.txt). Received: no tensorflow"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "scripts.predict",
        *(slow(f"scripts.{name}") for name in ("train", "train_detector", "evaluate", "tune")),
        *(slow(f"benchmarks.{name}") for name in ("ablate", "benchmark", "results")),
    ],
)
def test_every_script_tells_its_options(name):
    result = subprocess.run([sys.executable, "-m", name, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0
    assert f"python -m {name}" in result.stdout


def test_push_to_hub_prints_the_address_and_the_sha_to_pin(loopback, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_me")
    line = [str(model_folder.PRETRAINED), "--repo-id", "me/digits", "--revision", "v1.0"]
    for word in ("published", "unchanged"):
        push_to_hub.main(line)
        sha = loopback.repo("models", "me/digits").sha("v1.0")
        assert capsys.readouterr().out.splitlines() == [f"{loopback.url}/me/digits", f"{word}, to be pinned as {sha}"]


def test_a_dry_run_of_push_to_hub_writes_what_would_go_up_and_asks_nothing(loopback, tmp_path, monkeypatch):
    line = [str(model_folder.PRETRAINED), "--repo-id", "me/digits"]
    push_to_hub.main([*line, "--dry-run", str(tmp_path / "out")])
    assert loopback.requests == []
    monkeypatch.setenv("HF_TOKEN", "hf_me")
    push_to_hub.main(line)
    repo = loopback.repo("models", "me/digits")
    assert set(repo.files(repo.sha("main"))) - {".gitattributes"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["scripts.push_to_hub", "mnist_model/pretrained", "--repo-id", "me/digits"], "Expected a token of the Hub"),
        (["scripts.push_to_hub", "docs", "--repo-id", "me/digits"], "Expected a model folder with model.keras"),
        (
            ["scripts.deploy_space", "--space", "me/page", "--model", "me/no"],
            "Expected a model folder, or a model on the",
        ),
    ],
)
def test_what_cannot_be_published_is_one_line(loopback, line, message):
    result = subprocess.run([sys.executable, "-m", *line], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert "Traceback" not in result.stderr
