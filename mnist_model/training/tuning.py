"""Search for settings of `cnn` with an Optuna study whose trials are short training runs.

A study is stored in an SQLite file or a PostgreSQL database. Any number of workers can run its trials. Each worker
sends heartbeats; if they stop, its trial is marked as failed and repeated.
"""

import contextlib
import dataclasses
import logging
import os
import platform
import random
import re
import time
import warnings
from pathlib import Path

import keras
import optuna
import sqlalchemy.exc
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import TrialState
from tqdm import tqdm

from mnist_model import model_folder
from mnist_model.data import mnist
from mnist_model.errors import InputError
from mnist_model.evaluation import plots
from mnist_model.training.config import OPTIMIZERS, TrainConfig
from mnist_model.training.models import build_model
from mnist_model.training.train import fit

DATABASE_FILE = "study.db"  # the study itself, unless another storage is given
STUDY_FILE = "study.json"  # its settings, its trials, and the best of them as a TrainConfig
HISTORY_FILE = "history.png"
IMPORTANCES_FILE = "importances.png"
COORDINATES_FILE = "parallel_coordinates.png"

# The settings of the first trial, chosen by hand as a baseline.
UNTUNED = {
    "optimizer": "adam",
    "learning_rate": 4e-3,
    "batch_size": 128,
    "conv_layers": 5,
    "filters": 24,
    "dense_layers": 0,
    "neurons": 64,
    "dropout": 0.3,
    "augmentation": 1.0,
}


def suggest_config(trial, epochs):
    """Return the TrainConfig of an Optuna trial. This defines the search space.

    One strength sets the four limits of the augmentation, which saves three dimensions.
    """
    network = {
        "conv_layers": trial.suggest_int("conv_layers", 3, 7),
        "filters": trial.suggest_int("filters", 8, 40, step=4),
        "dense_layers": trial.suggest_int("dense_layers", 0, 2),
        "neurons": trial.suggest_int("neurons", 32, 256, step=32),
        "dropout": trial.suggest_float("dropout", 0, 0.5, step=0.05),
    }
    strength = trial.suggest_float("augmentation", 0, 2, step=0.05)
    return TrainConfig(
        model="cnn",
        network=network,
        epochs=epochs,
        batch_size=trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
        optimizer=trial.suggest_categorical("optimizer", OPTIMIZERS),
        learning_rate=float(f"{trial.suggest_float('learning_rate', 5e-4, 5e-2, log=True):.2g}"),
        schedule="cosine",
        rotation=round(10 * strength, 4),
        zoom=round(0.1 * strength, 4),
        shear=round(0.15 * strength, 4),
        shift=round(1.5 * strength, 4),
    )


def study_settings(images, *, epochs, max_parameters):
    """Return the settings that all trials of a study share, a dict."""
    return {"images_md5": mnist.images_md5(images), "epochs": epochs, "max_parameters": max_parameters}


def open_study(storage, name, settings, *, grace=60):
    """Open a study, or create it if it does not exist.

    Args:
        storage: an SQLAlchemy URL such as `sqlite:///study.db` or `postgresql+psycopg://USER@HOST/DATABASE`.
        name: the study's name.
        settings: a dict from `study_settings`.
        grace: seconds without a heartbeat after which a worker counts as dead.

    Returns:
        An optuna.Study whose `user_attrs` hold `settings`.

    Raises:
        InputError: the storage cannot be used, or the study has other settings.
    """
    # After five trials, compare each with the median of the others from its third epoch on.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
    with _storage_errors(storage), _experiments_expected():
        try:
            opened = _open_storage(storage, grace)
        # The port is not a number, no driver is installed, or another version of Optuna made the storage.
        except (ValueError, ImportError, RuntimeError) as error:
            raise sqlalchemy.exc.ArgumentError(str(error)) from None
        # Sample settings jointly, as a good rate depends on the optimizer. Count a running trial of another worker as
        # bad, so that the next one differs from it.
        sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True)
        options = {"study_name": name, "storage": opened, "sampler": sampler, "pruner": pruner}
        try:
            study = optuna.create_study(direction="maximize", **options)
            study.enqueue_trial(UNTUNED)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(**options)
        for key, value in settings.items():
            begun_with = study.user_attrs.get(key)
            if begun_with is None:  # new, or still being created by another worker
                study.set_user_attr(key, value)
            elif begun_with != value:
                raise InputError(f"Expected {key} to be {begun_with}, as the study {name} began. Received: {value}")
    return study


def _open_storage(storage, grace):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    address = sqlalchemy.make_url(storage)
    if address.get_backend_name() == "postgresql":
        address = address.update_query_dict({"connect_timeout": "10", **address.query})
    for attempt in range(10):
        try:
            return RDBStorage(
                address.render_as_string(hide_password=False),
                engine_kwargs={"pool_pre_ping": True},
                heartbeat_interval=max(1, grace // 4),
                grace_period=grace,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
            )
        except sqlalchemy.exc.DBAPIError as error:
            # Workers that start together all try to create the tables, and all but the first fail.
            if attempt == 9 or not re.search("already exists|duplicate key|UNIQUE constraint", str(error)):
                raise
            time.sleep(random.uniform(0.1, 1))


@contextlib.contextmanager
def _storage_errors(storage):
    """Report a storage error in one line, without the password."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        shown = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", storage)
        raise InputError(f"Expected a usable storage. Received: {shown}: {reason}") from None


@contextlib.contextmanager
def _experiments_expected():
    """Silence Optuna 5.0.0's warning that heartbeats and parallel sampling are experimental.

    To drop this, check that a study prints no ExperimentalWarning without it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def run_study(study, images, labels, trials):
    """Run trials until the study has `trials` finished ones, complete or pruned, by any worker.

    Networks that are too large are neither trained nor counted. The function returns when all trials are finished,
    including those of other workers. Ctrl-C queues the current trial again for when the study is resumed.

    Args:
        study: from `open_study`.
        images: (N, 28, 28) uint8, MNIST's training images.
        labels: (N,) integers from 0 to 9.
        trials: the number of finished trials to reach.
    """
    # TensorFlow 2.21.0 warns that each trial's network is traced again. To drop this, run a study and read its log.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _storage_errors(f"the study {study.study_name}"), _experiments_expected(), _Bar(study, trials) as bar:

        def objective(trial):
            # Two workers may both have started the last trial. The later one withdraws.
            if sum(other.number < trial.number for other in _counted(study)) >= trials:
                trial.set_user_attr("withdrawn", True)
                raise _Withdrawn
            trial.set_user_attr("worker", f"{platform.node()}:{os.getpid()}")
            config = suggest_config(trial, study.user_attrs["epochs"])
            keras.backend.clear_session()
            parameters = build_model(config).count_params()
            trial.set_user_attr("parameters", parameters)
            if parameters > study.user_attrs["max_parameters"]:
                trial.set_user_attr("too_large", True)
                raise optuna.TrialPruned  # not a failure, from which the sampler learns nothing
            try:
                _, history = fit(config, images, labels, callbacks=[_Report(trial, bar)], verbose=0)
            except KeyboardInterrupt:
                RetryHeartbeatStaleTrialCallback()(study, study.trials[trial.number])
                raise
            return history[-1]["val_accuracy"]

        while True:
            fail_stale_trials(study)
            bar.update()
            counted = _counted(study)
            if len(counted) < trials or any(trial.state == TrialState.WAITING for trial in counted):
                try:
                    study.optimize(objective, n_trials=1, catch=_Withdrawn)
                except (optuna.exceptions.UpdateFinishedTrialError, ValueError) as error:
                    # This worker was silent for too long, and another repeats its trial. Optuna 5.0.0 says so with a
                    # plain ValueError. To drop the check of its text, see whether Optuna raises an error of its own.
                    if isinstance(error, ValueError) and str(error) != "Cannot tell a FAIL trial.":
                        raise
            elif all(trial.state.is_finished() for trial in counted):
                break
            else:
                bar.say("waiting for the last trials of other workers")
                time.sleep(1)


def _counted(study):
    """Return the trials that are finished, running or queued, except failed and too large ones."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state != TrialState.FAIL and not trial.user_attrs.get("too_large")]


class _Withdrawn(Exception):
    """The trial is one more than requested."""


class _Report(keras.callbacks.Callback):
    """Report each epoch to the study and the bar, and stop a trial that is worse than the others."""

    def __init__(self, trial, bar):
        super().__init__()
        self.trial, self.bar = trial, bar

    def on_epoch_end(self, epoch, logs):
        self.trial.report(logs["val_accuracy"], epoch + 1)
        self.bar.say(f"trial {self.trial.number}, epoch {epoch + 1}: {logs['val_accuracy']:.2%}")
        if self.trial.should_prune():
            raise optuna.TrialPruned


class _Bar:
    """A progress bar: the finished trials of a study, its best so far, and this worker's trial."""

    def __init__(self, study, trials):
        self.study = study
        self._bar = tqdm(initial=len(self._finished()), total=trials, unit="trial", dynamic_ncols=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._bar.close()

    def update(self):
        finished = self._finished()
        self._bar.n = len(finished)
        complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
        if complete:
            best = max(complete, key=lambda trial: trial.value)
            self._bar.set_description_str(f"best {best.value:.2%} (trial {best.number})")
        self._bar.refresh()

    def say(self, text):
        self._bar.set_postfix_str(text)

    def _finished(self):
        return [trial for trial in _counted(self.study) if trial.state.is_finished()]


def write_study(study, folder):
    """Write the results of a study to `study.json` and pictures in a folder, and return the record.

    Raises:
        InputError: the study has no complete trial.
    """
    trials = study.get_trials(deepcopy=False)
    if not any(trial.state == TrialState.COMPLETE for trial in trials):
        raise InputError(f"Expected a study with a complete trial. Received: {study.study_name}, which has none")
    best = study.best_trial
    config = suggest_config(optuna.trial.FixedTrial(best.params), study.user_attrs["epochs"])
    record = {
        "study": study.study_name,
        "settings": study.user_attrs,
        "best": {"number": best.number, "val_accuracy": round(best.value, 6)},
        "config": dataclasses.asdict(config),
        "importances": _importances(study),
        **model_folder.provenance("keras", "tensorflow", "numpy", "optuna"),
        "trials": [_trial_record(trial) for trial in trials],
    }
    model_folder.write_json(folder / STUDY_FILE, record)
    plots.draw_study_history(record["trials"], folder / HISTORY_FILE)
    plots.draw_importances(record["importances"], folder / IMPORTANCES_FILE)
    plots.draw_parallel_coordinates(record["trials"], folder / COORDINATES_FILE)
    return record


def _importances(study):
    """Return the importance of each setting, largest first; empty for fewer than two trials."""
    if len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna 5.0.0 warns that few trials make them inaccurate
        importances = optuna.importance.get_param_importances(study)
    return {name: round(float(share), 6) for name, share in importances.items()}


def _trial_record(trial):
    seconds = (trial.datetime_complete - trial.datetime_start).total_seconds() if trial.datetime_complete else None
    return {
        "number": trial.number,
        "state": next((why for why in ("withdrawn", "too_large") if why in trial.user_attrs), trial.state.name.lower()),
        "repeats": trial.system_attrs.get("failed_trial"),
        "val_accuracy": [round(value, 6) for value in trial.intermediate_values.values()],
        "parameters": trial.user_attrs.get("parameters"),
        "params": trial.params,
        "seconds": seconds,
    }


def best_config(folder):
    """Return the TrainConfig of the best trial of the study in `folder`."""
    path = Path(folder) / STUDY_FILE
    if not path.is_file():
        raise InputError(f"Expected the folder of a finished study, with {STUDY_FILE}. Received: {folder}")
    try:
        return TrainConfig(**model_folder.read_json(path)["config"])
    except (KeyError, TypeError) as error:
        raise InputError(f"Expected the results of a study. Received: {path}, unreadable: {error}") from None
