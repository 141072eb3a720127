"""Data + model -> model folder."""

import dataclasses
import functools
import os
import shutil
import time
from pathlib import Path

import keras
import numpy as np

from mnist_model import data, export, model_folder, plots
from mnist_model.config import TrainConfig
from mnist_model.errors import InputError
from mnist_model.models import build_model, network_settings

CHECKPOINT_FILE = "checkpoint.keras"  # the model with the optimizer's state, after the last whole epoch
STATE_FILE = "state.json"  # the settings of the run, and its history so far


def train(config, images, labels, folder, *, resume=False):
    """Train a model and write its folder.

    After each epoch the run is kept beside `folder`, in `.NAME.run`, so that it can be resumed with the very numbers it
    would have had.

    Args:
        config: a TrainConfig.
        images: (N, 28, 28) uint8, MNIST's training images; split here into training and validation.
        labels: (N,) integers from 0 to 9.
        folder: the model folder to make.
        resume: go on from the last whole epoch of an earlier call with the same `config`.

    Returns:
        The record written to `training.json`, a dict.

    Raises:
        InputError: `folder` exists; an unfinished run is there and `resume` is false, or is not and `resume` is true;
            the run was begun with other settings.
    """
    folder = Path(folder)
    model_folder.refuse_existing(folder)
    run = unfinished_run(folder)
    if resume:
        begun_with = resumed_config(folder)
        if config != begun_with:
            raise InputError(f"Expected the settings the run began with, {begun_with}. Received: {config}")
    elif run.exists():
        raise InputError(
            f"Expected --resume, another name, or {run} removed, as that run is unfinished. Received: {folder.name}"
        )

    # Asked now: the checkout may move on while a long run goes.
    provenance = model_folder.provenance("keras", "tensorflow", "numpy", "ai-edge-litert")
    model, history = fit(config, images, labels, run=run)
    training, validation = data.split_indices(labels, config.validation_split)
    record = {
        # With the network's settings in full: their defaults may be others one day.
        "config": dataclasses.asdict(config) | {"network": network_settings(config)},
        "parameters": model.count_params(),
        "data": {"images_md5": data.images_md5(images), "training": len(training), "validation": len(validation)},
        "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
        **provenance,
        "history": history,
    }
    with model_folder.new_folder(folder) as new:
        # Saved from a net that was never compiled: the optimizer's state would make the file three times as large.
        bare = build_model(config)
        bare.set_weights(model.get_weights())
        bare.save(new / model_folder.KERAS_FILE)
        record["litert_max_difference"] = export.export_litert(
            model, new / model_folder.LITERT_FILE, images[validation]
        )
        model_folder.write_json(new / model_folder.TRAINING_FILE, record)
        plots.draw_learning_curves(history, new / model_folder.CURVES_FILE)
    shutil.rmtree(run)
    return record


def fit(config, images, labels, *, run=None, callbacks=(), verbose="auto"):
    """Train a model on the training part of the images, and measure it on the rest after each epoch.

    Args:
        config: a TrainConfig.
        images: (N, 28, 28) uint8.
        labels: (N,) integers from 0 to 9.
        run: a folder to keep the run in after each epoch; where it holds one, of the same `config`, that goes on.
        callbacks: more Keras callbacks.
        verbose: as Keras has it; 0 for no bar.

    Returns:
        The model, and a list with a dict for each epoch: loss and accuracy, in training and on the rest, and seconds.
    """
    training, validation = data.split_indices(labels, config.validation_split)
    if config.loss == "categorical_crossentropy":
        labels = keras.utils.to_categorical(labels, 10)
    batches = data.AugmentedBatches(
        images[training],
        labels[training],
        batch_size=config.batch_size,
        seed=config.seed,
        rotation=config.rotation,
        zoom=config.zoom,
        shear=config.shear,
        shift=config.shift,
    )
    keras.utils.set_random_seed(config.seed)
    if run and (run / CHECKPOINT_FILE).exists():
        model = keras.saving.load_model(run / CHECKPOINT_FILE)
        epochs_done = int(model.optimizer.iterations) // len(batches)
        history = model_folder.read_json(run / STATE_FILE)["history"][:epochs_done]
    else:
        model, history = _compiled(config, len(batches)), []

    own = [_Epochs(config.seed, batches, history)]
    if run:
        own.append(_KeepRun(run, config, history))
    batches.epoch = len(history)  # Keras looks at a batch before the first epoch begins
    model.fit(
        batches,
        shuffle=False,  # AugmentedBatches has shuffled the images; Keras would shuffle the batches, by another seed
        validation_data=(images[validation][..., np.newaxis], labels[validation]),
        validation_batch_size=1000,
        initial_epoch=len(history),
        epochs=config.epochs,
        callbacks=[*own, *callbacks],
        verbose=verbose,
    )
    return model, history


def unfinished_run(folder):
    """Return the path where the run that is to make `folder` keeps its state."""
    return folder.with_name(f".{folder.name}.run")


def resumed_config(folder):
    """Return the TrainConfig that the unfinished run of `folder` was begun with; InputError if there is none."""
    state = unfinished_run(Path(folder)) / STATE_FILE
    if not state.exists():
        raise InputError(f"Expected an unfinished run to resume. Received: {folder}, which has none")
    return TrainConfig(**model_folder.read_json(state)["config"])


def _compiled(config, steps_per_epoch):
    rate = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=rate / 20,
            warmup_target=rate,
            warmup_steps=steps_per_epoch,
            decay_steps=max(1, (config.epochs - 1) * steps_per_epoch),
        )
    optimizers = {
        "adam": keras.optimizers.Adam,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": functools.partial(keras.optimizers.SGD, momentum=0.9, nesterov=True),
    }
    model = build_model(config)
    model.compile(
        optimizers[config.optimizer](rate),
        config.loss,
        metrics=["accuracy"],
        jit_compile=False,  # on a CPU, XLA makes small nets 1.5 times slower
    )
    return model


class _Epochs(keras.callbacks.Callback):
    """Starts each epoch from what follows from (seed, epoch), and writes its figures into the history."""

    def __init__(self, seed, batches, history):
        super().__init__()
        self.seed, self.batches, self.history = seed, batches, history

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch
        # Keras does not save where a dropout layer's seed stands, so that too follows from the seed and the epoch.
        rng = np.random.default_rng((self.seed, epoch))
        for variable in self.model.variables:
            if variable.name == "seed_generator_state":
                variable.assign(rng.integers(2**32, size=variable.shape, dtype=np.uint32))
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs):
        figures = {name: round(float(value), 6) for name, value in logs.items()}
        self.history.append({"epoch": epoch + 1, **figures, "seconds": round(time.perf_counter() - self._start, 1)})


class _KeepRun(keras.callbacks.Callback):
    """Keeps the run in a folder: its settings from the beginning, its history and the model after each epoch."""

    def __init__(self, run, config, history):
        super().__init__()
        self.run, self.config, self.history = run, config, history

    def on_train_begin(self, logs=None):
        self.run.mkdir(parents=True, exist_ok=True)
        self._write_state()

    def on_epoch_end(self, epoch, logs):
        self._write_state()
        # The checkpoint comes last: until it is in place, the history's last epoch does not count.
        beside = self.run / f"partial.{CHECKPOINT_FILE}"
        self.model.save(beside)
        os.replace(beside, self.run / CHECKPOINT_FILE)

    def _write_state(self):
        state = {"config": dataclasses.asdict(self.config), "history": self.history}
        model_folder.write_json(self.run / STATE_FILE, state)
