"""Studies: small ones in an SQLite file, and one that three workers share on a PostgreSQL server."""

import dataclasses
import inspect
import signal
import subprocess
import sys
import time

import numpy as np
import optuna
import psycopg
import pytest
from optuna.trial import TrialState
from PIL import Image

from benchmarks.pages import ROOT, free_port
from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.training import models, tuning
from scripts import run, train, tune

SETTINGS = {"images_md5": "0" * 32, "epochs": 2, "max_parameters": 10_000_000}


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def quick(monkeypatch):
    """Replace training by a function whose accuracy is higher the nearer the rate is to 0.01."""

    def fit(config, images, labels, *, callbacks, verbose):
        accuracy = 1 / (1 + abs(np.log10(config.learning_rate) + 2))
        for epoch in range(config.epochs):
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"val_accuracy": accuracy})
        return None, [{"val_accuracy": accuracy}]

    monkeypatch.setattr(tuning, "fit", fit)


def states(study):
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]


def finished(study):
    trials = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])
    return [trial for trial in trials if "too_large" not in trial.user_attrs]


def is_begun(postgres):
    """Return whether a worker has created the tables and a study with its three settings."""
    try:
        with psycopg.connect(postgres.replace("+psycopg", "")) as connection:
            return connection.execute("SELECT count(*) FROM study_user_attributes").fetchone() == (3,)
    except psycopg.errors.UndefinedTable:
        return False


@pytest.mark.slow
def test_a_study_ends_with_a_config_that_train_takes(tmp_path, small_npz, capsys):
    line = f"--out {tmp_path} --name study --data {small_npz} --trials 3 --epochs 1 --max-parameters 1000000".split()
    with pytest.warns(UserWarning, match="not the canonical"):
        tune.main(line)
    folder = tmp_path / "study"
    record = model_folder.read_json(folder / "study.json")
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * 3
    assert record["trials"][0]["params"] == tuning.UNTUNED
    best = record["trials"][record["best"]["number"]]
    assert record["best"]["val_accuracy"] == best["val_accuracy"][-1]
    assert record["best"]["val_accuracy"] == max(trial["val_accuracy"][-1] for trial in record["trials"])
    assert record["config"]["optimizer"] == best["params"]["optimizer"]
    assert sum(record["importances"].values()) == pytest.approx(1, abs=1e-4)
    for name in (tuning.HISTORY_FILE, tuning.IMPORTANCES_FILE, tuning.COORDINATES_FILE):
        with Image.open(folder / name) as picture:
            assert picture.width > 500
    output = capsys.readouterr()
    assert f"To train with its settings: python -m scripts.train --from-study {folder}" in output.out
    assert f"best {best['val_accuracy'][-1]:.2%} (trial {best['number']})" in output.err

    with pytest.warns(UserWarning, match="not the canonical"):
        train.main(f"--from-study {folder} --out {tmp_path} --name model --data {small_npz} --seed 3".split())
    config = model_folder.read_json(tmp_path / "model" / "training.json")["config"]
    assert config == record["config"] | {"seed": 3}
    assert config["network"]["filters"] == best["params"]["filters"]


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_stopped(storage, quick, monkeypatch):
    fit, tried = tuning.fit, []

    def stopped_once(config, *arguments, **options):
        tried.append(config)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return fit(config, *arguments, **options)

    monkeypatch.setattr(tuning, "fit", stopped_once)
    with pytest.raises(KeyboardInterrupt):
        tuning.run_study(tuning.open_study(storage, "s", SETTINGS), None, None, 4)
    study = tuning.open_study(storage, "s", SETTINGS)
    assert states(study) == ["COMPLETE", "FAIL", "WAITING"]
    tuning.run_study(study, None, None, 4)
    assert tried[2] == tried[1]
    assert len(finished(study)) == 4
    assert len(states(study)) == 5
    tuning.run_study(study, None, None, 4)
    assert len(states(study)) == 5


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")
def test_a_trial_too_many_withdraws_and_waits_for_the_other(storage, quick, monkeypatch):
    """Two workers see that one trial is missing, and both begin one."""
    study = tuning.open_study(storage, "s", SETTINGS)
    tuning.run_study(study, None, None, 2)
    other = tuning.open_study(storage, "s", SETTINGS)
    optimize, trials, waited = study.optimize, [], []

    def begin_later(*arguments, **options):
        trials.append(other.ask())
        return optimize(*arguments, **options)

    def end_the_other(seconds):
        waited.append(seconds)
        other.tell(trials[0], 0.9)

    monkeypatch.setattr(study, "optimize", begin_later)
    monkeypatch.setattr(tuning.time, "sleep", end_the_other)
    tuning.run_study(study, None, None, 3)
    assert states(study) == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]
    assert len(waited) == 1
    assert [tuning._trial_record(trial)["state"] for trial in study.trials][-1] == "withdrawn"


def test_a_worker_that_was_taken_for_dead_drops_its_trial(storage, quick, monkeypatch):
    study = tuning.open_study(storage, "s", SETTINGS)
    other = tuning.open_study(storage, "s", SETTINGS)
    fit, tried = tuning.fit, []

    def asleep_once(config, *arguments, **options):
        tried.append(config)
        if len(tried) == 1:
            other.enqueue_trial(other.trials[0].params)
            other.tell(0, state=TrialState.FAIL)
        return fit(config, *arguments, **options)

    monkeypatch.setattr(tuning, "fit", asleep_once)
    tuning.run_study(study, None, None, 2)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert tried[1] == tried[0]


def test_what_goes_wrong_in_training_is_not_hidden(storage, quick, monkeypatch):
    def fail(*arguments, **options):
        raise ValueError("a bug")

    monkeypatch.setattr(tuning, "fit", fail)
    with pytest.raises(ValueError, match="a bug"):
        tuning.run_study(tuning.open_study(storage, "s", SETTINGS), None, None, 2)


@pytest.mark.slow
def test_bad_trials_are_pruned(storage, quick):
    study = tuning.open_study(storage, "s", SETTINGS | {"epochs": 3})
    for rate in [0.01] * 5 + [0.001]:
        study.enqueue_trial({**tuning.UNTUNED, "filters": 8, "learning_rate": rate})
    tuning.run_study(study, None, None, 7)
    trials = study.get_trials(deepcopy=False)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6 + [TrialState.PRUNED]
    assert len(trials[6].intermediate_values) == 2


def test_networks_that_are_too_large_are_neither_trained_nor_counted(storage, quick):
    study = tuning.open_study(storage, "s", SETTINGS | {"max_parameters": 158_337})
    study.enqueue_trial({**tuning.UNTUNED, "filters": 20})
    tuning.run_study(study, None, None, 1)
    large, small = study.get_trials(deepcopy=False)
    assert (large.user_attrs["parameters"], large.intermediate_values) == (158_338, {})
    assert small.state == TrialState.COMPLETE
    assert [tuning._trial_record(trial)["state"] for trial in (large, small)] == ["too_large", "complete"]


def test_the_untuned_settings_are_those_the_search_began_from():
    config = tuning.suggest_config(optuna.trial.FixedTrial(tuning.UNTUNED), epochs=30)
    assert config.rotation == 10
    assert models.build_model(config).count_params() == 158_338


def test_the_settings_of_the_cnn_are_the_best_of_the_study_that_is_kept():
    best, cnn = tuning.best_config(ROOT / "docs" / "tuning"), models.CNN
    assert dataclasses.replace(best, network={}, epochs=cnn.epochs) == cnn
    parameters = inspect.signature(models.cnn).parameters
    assert best.network == {name: parameter.default for name, parameter in parameters.items()}


@pytest.mark.parametrize("setting", [{"epochs": 3}, {"images_md5": "1" * 32}])
def test_a_study_is_not_mixed_with_other_settings(storage, setting):
    tuning.open_study(storage, "s", SETTINGS)
    ((name, value),) = setting.items()
    with pytest.raises(InputError, match=f"Expected {name} to be {SETTINGS[name]}, as the study s began.*: {value}"):
        tuning.open_study(storage, "s", SETTINGS | setting)


def test_a_study_without_a_complete_trial_has_no_best(storage, tmp_path):
    with pytest.raises(InputError, match="Expected a study with a complete trial"):
        tuning.write_study(tuning.open_study(storage, "s", SETTINGS), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"study.db"}


WRONG = {
    "no address": ("study.db", "Could not parse SQLAlchemy URL"),
    "no such database": ("mango://me:hunter2@127.0.0.1/db", "mango"),
    "no driver": ("mysql+mysqldb://me:hunter2@127.0.0.1/db", "Failed to import DB access module"),
    "no folder": ("sqlite:////nowhere/study.db", "unable to open database file"),
    "no server": ("postgresql+psycopg://me:hunter2@127.0.0.1:{port}/db", "onnection refused"),
    "no port": ("postgresql+psycopg://me:hunter2@127.0.0.1:port/db", "port"),
}


@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
@pytest.mark.parametrize(("storage", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_storage_is_one_line(storage, reason, tmp_path, small_npz):
    message = message_of("--storage", storage.format(port=free_port()), "--out", tmp_path, "--data", small_npz)
    assert message.startswith("error: Expected a usable storage. Received: ")
    assert reason in message
    assert "\n" not in message
    assert "hunter2" not in message


def message_of(*line):
    with pytest.raises(SystemExit) as end:
        run(lambda: tune.main([str(word) for word in line]))
    return end.value.code


@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
@pytest.mark.parametrize(("right", "wrong"), [("let%20me%20in", "hunter2"), ("/postgres", "/elsewhere")])
def test_a_server_that_refuses_is_one_line(right, wrong, postgres, tmp_path, small_npz):
    message = message_of("--storage", postgres.replace(right, wrong), "--out", tmp_path, "--data", small_npz)
    assert message.startswith("error: Expected a usable storage. Received: postgresql+psycopg://me:***@")
    assert "\n" not in message
    assert "hunter2" not in message


@pytest.mark.slow
def test_three_workers_share_a_study_and_one_is_killed(postgres, tmp_path, small_npz, request):
    """Kill a worker in the middle of a trial: the others finish the study and repeat that trial."""
    trials = 5
    line = f"-m scripts.tune --storage {postgres} --trials {trials} --epochs 3 --grace 3 --data {small_npz}"
    workers = [
        subprocess.Popen(
            [sys.executable, *line.split(), "--out", str(tmp_path / str(number))],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        for number in range(3)
    ]
    deadline = time.monotonic() + 300

    def wait():
        assert time.monotonic() < deadline
        assert all(worker.poll() is None for worker in workers)
        time.sleep(0.1)

    while not is_begun(postgres):
        wait()
    study = tuning.open_study(postgres, "cnn-study", {}, grace=3)
    request.addfinalizer(study._storage._backend.engine.dispose)
    victim, lost = workers[0], None
    while lost is None:
        wait()
        for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            in_the_middle = 0 < len(trial.intermediate_values) < 3
            if in_the_middle and trial.user_attrs["worker"].endswith(f":{victim.pid}"):
                victim.kill()
                lost = trial.number
    assert [worker.wait(300) for worker in workers] == [-signal.SIGKILL, 0, 0]

    every = study.get_trials(deepcopy=False)
    assert len(finished(study)) == trials
    assert {trial.state for trial in every} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    assert every[lost].state == TrialState.FAIL
    (again,) = [trial for trial in every if trial.system_attrs.get("failed_trial") == lost]
    assert again in finished(study)
    assert again.params == every[lost].params
    records = [model_folder.read_json(tmp_path / number / "cnn-study" / "study.json") for number in "12"]
    assert records[0]["trials"] == records[1]["trials"]
    assert records[0]["config"] == records[1]["config"]
    assert [trial["number"] for trial in records[0]["trials"]] == list(range(len(every)))
    assert records[0]["trials"][again.number]["repeats"] == lost
    others = [trial for trial in every if trial not in finished(study) and trial.number != lost]
    assert all({"withdrawn", "too_large"} & trial.user_attrs.keys() for trial in others)
    assert len({trial.user_attrs["worker"] for trial in finished(study)}) >= 2
