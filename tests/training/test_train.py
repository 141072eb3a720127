import dataclasses
import json
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from benchmarks.pages import ROOT
from mnist_model import model_folder
from mnist_model.data import strokes
from mnist_model.errors import InputError
from mnist_model.reading.classifier import LiteRTModel
from mnist_model.training import detector, export, train
from mnist_model.training.config import TrainConfig
from mnist_model.training.models import CNN, CONFIGS, DIGIT_OR_NOT, MODELS, SKETCH, build_model

SHORT = dataclasses.replace(CNN, epochs=2, network={"filters": 8, "conv_layers": 3})


@pytest.fixture(scope="module")
def digits(small_npz):
    with np.load(small_npz) as arrays:
        return arrays["x_train"][:360], arrays["y_train"][:360]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_grey_levels_and_answers_ten_probabilities(name):
    model = MODELS[name]()
    assert model.name == name
    assert model.count_params() <= 500_000
    answers = model.predict(np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8), verbose=0)
    assert answers.shape == (3, 10)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_every_model_has_settings_of_its_own():
    assert list(CONFIGS) == list(MODELS)


PARAMETERS = {
    "quick": (6 * 6 + 1) * 16 + 3 * 3 * 16 * 64 + 4 * 64 + (2 * 2 * 64 + 1) * 10,
    "cnn-classic": (3 * 3 + 1) * 32 + (3 * 3 * 32 + 1) * 64 + (5 * 5 * 64 + 1) * 10,
    "mlp-512": (784 + 1) * 512 + (512 + 1) * 10,
    "mlp-128-128": (784 + 1) * 128 + (128 + 1) * 128 + (128 + 1) * 10,
    "mlp-128": (784 + 1) * 128 + (128 + 1) * 10,
    "mlp-128-64": (784 + 1) * 128 + (128 + 1) * 64 + (64 + 1) * 10,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_small_networks_are_those_described(name):
    assert MODELS[name]().count_params() == PARAMETERS[name]


def test_the_network_of_the_cnn_is_a_setting():
    def layers(**network):
        model = build_model(dataclasses.replace(CNN, network=network))
        return [layer for layer in model.layers if layer.name.startswith(("conv", "dense"))]

    filters = [layer.filters for layer in layers(filters=8, conv_layers=6)[:-1]]
    assert filters == [8, 16, 16, 16, 32, 32]
    assert [layer.units for layer in layers(conv_layers=1, dense_layers=2, neurons=20)[1:]] == [20, 20, 10]


@pytest.mark.parametrize("model", ["quick", "cnn-classic"])  # integer labels, and one-hot labels
def test_a_step_is_traced_once(model, digits, monkeypatch):
    traced = []
    step = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda *args: traced.append(model) or step(*args))
    train.fit(dataclasses.replace(CONFIGS[model], epochs=1), *digits, verbose=0)
    assert traced == [model]


@pytest.mark.parametrize(
    ("optimizer", "learning_rate", "loss"),
    [("rmsprop", 1e-3, "categorical_crossentropy"), ("sgd", 0.05, "sparse_categorical_crossentropy")],
)
def test_every_optimizer_and_loss_trains(optimizer, learning_rate, loss, digits):
    config = TrainConfig("mlp-128", epochs=5, optimizer=optimizer, learning_rate=learning_rate, loss=loss)
    history = train.fit(config, *digits, verbose=0)[1]
    assert history[-1]["val_accuracy"] > 0.8


def test_a_run_leaves_a_whole_folder_and_nothing_else(small_model):
    assert {path.name for path in small_model.iterdir()} == {
        "model.keras",
        "model.tflite",
        "training.json",
        "learning_curves.png",
    }
    assert [path.name for path in small_model.parent.iterdir()] == ["small"]


def test_the_flagship_is_trained_on_ink_and_gets_a_detector(small_flagship):
    record = json.loads((small_flagship / "training.json").read_text())
    assert record["data"]["training"] == {"mnist": 330, "ink": 4 * (210 + 21)}
    assert record["data"]["validation"] == {"mnist": 30, "ink": 8 * 30}
    assert set(record["validation_accuracy"]) == {"mnist", "ink"}
    assert record["detector"]["others"] == 8 * 14
    assert json.loads((small_flagship / "detector.json").read_text()) == {"threshold": record["detector"]["threshold"]}
    answers = LiteRTModel(small_flagship / "detector.tflite", outputs=1).probabilities(np.zeros((3, 28, 28), np.uint8))
    assert answers.shape == (3, 1)


@pytest.mark.slow
def test_a_detector_trained_anew_by_the_same_settings_is_the_same(
    small_flagship, digits, pen_digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(detector, "DIGIT_OR_NOT", dataclasses.replace(DIGIT_OR_NOT, epochs=2))
    record = train.retrain_detector(small_flagship, tmp_path / "new", *digits, pen_digits)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {path.name for path in small_flagship.iterdir()}
    for name in ("model.keras", "model.tflite", "detector.json"):
        assert (tmp_path / "new" / name).read_bytes() == (small_flagship / name).read_bytes()
    before = model_folder.read_json(small_flagship / "training.json")
    assert record["history"] == before["history"]
    assert record["detector"].items() > {"threshold": before["detector"]["threshold"], "others": 8 * 14}.items()
    assert re.match("[0-9a-f]{40}", record["detector"]["git_commit"])


def test_a_detector_is_not_trained_anew_where_there_was_none(small_model, digits, pen_digits, tmp_path):
    with pytest.raises(InputError, match="Expected a model folder with a detector. Received: .*small, trained without"):
        train.retrain_detector(small_model, tmp_path / "new", *digits, pen_digits)
    assert not list(tmp_path.iterdir())


def test_a_model_is_saved_in_float32_whatever_its_training_precision(small_flagship):
    model = keras.saving.load_model(small_flagship / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_more_ones_and_crossed_sevens_are_drawn():
    stem, bar, stick = (
        np.array([[0, 0], [50, 0], [30, 99]]),
        np.array([[10, 50], [60, 50]]),
        np.array([[0, 0], [0, 99]]),
    )
    pen_digits = [strokes.PenDigit(*each) for each in ((7, 1, [stem, bar]), (7, 1, [stem]), (1, 1, [stick]))]
    config = dataclasses.replace(SKETCH, ink=4, ink_ones=3, ink_sevens=2, ink_variation=0.0)
    _, labels = train.draw_ink(config, pen_digits)
    assert np.bincount(labels)[[1, 7]].tolist() == [4 * 3, 4 * (2 + 2)]
    assert strokes.uncrossed(pen_digits[0]).strokes == [stem]


def test_ink_that_cannot_take_turns_is_refused():
    with pytest.raises(InputError, match="Expected ink to be a multiple of ink_turns. Received: 3 and 4"):
        dataclasses.replace(SKETCH, ink=3)


def test_ink_without_pen_digits_is_refused(digits, tmp_path):
    with pytest.raises(InputError, match="Expected pen digits.* Received: none"):
        train.train(dataclasses.replace(SKETCH, ink=4), *digits, tmp_path / "model")


def test_the_record_says_how_it_was_made(small_model):
    record = json.loads((small_model / "training.json").read_text())
    network = {"filters": 16, "conv_layers": 6, "dense_layers": 0, "neurons": 64, "dropout": 0.2}
    assert record["config"] == dataclasses.asdict(dataclasses.replace(CNN, epochs=4, network=network))
    assert build_model(TrainConfig(**record["config"])).count_params() == record["parameters"]
    assert len(record["data"]["images_md5"]) == 32
    assert (record["data"]["training"], record["data"]["validation"]) == ({"mnist": 1375, "ink": 0}, {"mnist": 125})
    assert 0.2 <= record["temperature"] <= 5
    assert record["validation_accuracy"]["mnist"] == record["history"][-1]["val_accuracy"]
    assert [epoch["epoch"] for epoch in record["history"]] == [1, 2, 3, 4]
    assert record["seconds"] > 0
    assert record["litert_max_difference"] < 1e-5
    assert {"python", "keras", "tensorflow"} <= set(record["versions"])
    assert "git_commit" in record
    assert record["history"][-1]["val_accuracy"] > 0.9


def test_both_files_answer_alike_and_hold_no_optimizer(small_model, digits):
    model = keras.saving.load_model(small_model / "model.keras")
    assert not model.compiled
    assert (small_model / "model.keras").stat().st_size < 1.3 * (small_model / "model.tflite").stat().st_size
    images = digits[0][:50]
    answers = model.predict(images[..., np.newaxis], verbose=0)
    assert np.abs(LiteRTModel(small_model / "model.tflite").probabilities(images) - answers).max() < 1e-5


def test_an_export_that_answers_otherwise_is_refused(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(export.LiteRTModel, "probabilities", lambda self, images: np.full((len(images), 10), 0.1))
    with pytest.raises(RuntimeError, match="Expected LiteRT to answer as Keras does"):
        export.export_litert(MODELS["cnn"](), tmp_path / "model.tflite", digits[0][:10])
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_killed_is_resumed_with_the_same_numbers(tmp_path, digits, monkeypatch):
    whole = train.train(SHORT, *digits, tmp_path / "whole")

    keep = train._KeepRun.on_epoch_end

    def stop_after_one(self, epoch, logs):
        keep(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train._KeepRun, "on_epoch_end", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            train.train(SHORT, *digits, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
    with pytest.raises(InputError, match="Expected --resume"):
        train.train(SHORT, *digits, tmp_path / "cut")
    with pytest.raises(InputError, match="Expected the settings the run began with"):
        train.train(dataclasses.replace(SHORT, seed=1), *digits, tmp_path / "cut", resume=True)

    resumed = train.train(train.resumed_config(tmp_path / "cut"), *digits, tmp_path / "cut", resume=True)

    def figures(record):
        return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in record["history"]]

    assert figures(resumed) == figures(whole)
    weights = [keras.saving.load_model(tmp_path / name / "model.keras").get_weights() for name in ("whole", "cut")]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]


@pytest.mark.slow
def test_a_run_that_ended_before_its_export_only_exports(tmp_path, digits, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(train.export, "export_litert", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train.train(SHORT, *digits, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == [".model.run"]
    record = train.train(SHORT, *digits, tmp_path / "model", resume=True)
    assert len(record["history"]) == SHORT.epochs
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_record_says_whether_the_source_was_changed(tmp_path, monkeypatch):
    source = tmp_path / "mnist_model" / "model_folder.py"
    source.parent.mkdir()
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(model_folder, "__file__", str(source))
    source.write_text("committed")
    for line in ("init -q", "add .", "-c user.name=me -c user.email=me@localhost commit -q -m source"):
        subprocess.run(["git", "-C", str(tmp_path), *line.split()], check=True)

    (tmp_path / "docs" / "record.json").write_text("{}")
    commit = model_folder.provenance()["git_commit"]
    assert re.fullmatch("[0-9a-f]{40}", commit)
    source.write_text("changed")
    assert model_folder.provenance()["git_commit"] == f"{commit}+changes"


def test_a_folder_that_fails_half_way_is_not_left(tmp_path):
    def fill():
        with model_folder.new_folder(tmp_path / "model") as folder:
            (folder / "model.keras").write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_not_touched(tmp_path, digits):
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="Received: .*mine, which exists"):
        train.train(SHORT, *digits, tmp_path / "mine")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "Expected epochs of at least 1. Received: 0"),
        ({"learning_rate": float("nan")}, "Expected a learning_rate above 0. Received: nan"),
        ({"zoom": 1.0}, "Expected zoom from 0 to under 1. Received: 1.0"),
        ({"optimizer": "lion"}, "Expected optimizer to be one of adam, rmsprop, sgd. Received: lion"),
        ({"validation_split": 1}, "Expected a validation_split between 0 and 1. Received: 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CNN, **settings)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TrainConfig("vgg"), "Expected model to be one of .*cnn.* Received: vgg"),
        (TrainConfig("cnn", {"width": 3}), "Expected network settings of cnn: filters, .* Received: width"),
        (TrainConfig("mlp-128", {"width": 3}), "Expected network settings of mlp-128: none. Received: width"),
        (TrainConfig("cnn", {"filters": -8}), "Expected network settings that build cnn. Received: {'filters': -8}"),
    ],
)
def test_a_network_that_cannot_be_built_leaves_nothing(config, message, tmp_path, digits):
    with pytest.raises(InputError, match=message):
        train.train(config, *digits, tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_killed_and_interrupted_processes_leave_a_run_to_resume(tmp_path, small_npz):
    """Kill one process, interrupt the next with Ctrl-C, and let the third finish: real processes, real signals."""
    command = [sys.executable, "-m", "scripts.train", "--data", str(small_npz), "--out", str(tmp_path), "--name", "run"]
    epochs = 40  # short ones
    state = tmp_path / ".run.run" / "state.json"

    def run_until(epoch, *arguments):
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            # Tests that run in the background ignore Ctrl-C, and their children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 120
        while not (state.exists() and len(json.loads(state.read_text())["history"]) >= epoch):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process

    process = run_until(1, "--model", "mlp-128", "--epochs", str(epochs))
    process.kill()
    process.communicate()
    assert not (tmp_path / "run").exists()

    process = run_until(epochs // 3, "--resume")
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert f"To resume: python -m scripts.train --out {tmp_path} --name run --resume" in output
    assert not (tmp_path / "run").exists()

    subprocess.run([*command, "--resume"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert [epoch["epoch"] for epoch in record["history"]] == list(range(1, epochs + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
