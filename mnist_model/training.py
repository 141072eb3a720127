"""Data + model -> model folder."""

import dataclasses
import math
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import keras
import matplotlib.figure
import numpy as np

from mnist_model import data, export, model_folder
from mnist_model.errors import InputError
from mnist_model.models import MODELS

CHECKPOINT_FILE = "checkpoint.keras"  # the model with the optimizer's state, after the last whole epoch
STATE_FILE = "state.json"  # the settings of the run, and its history so far


def setting(default, text):
    """A field of TrainConfig, with the words `--help` says of it."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainConfig:
    """Everything a run depends on but the data. The one home of the defaults."""

    model: str = setting("cnn", "which network")
    epochs: int = setting(30, "how many times each image is seen; the last epoch's weights are the result")
    batch_size: int = setting(128, "images a step")
    learning_rate: float = setting(4e-3, "Adam's peak rate: reached in the first epoch, then falling as a cosine")
    rotation: float = setting(10.0, "greatest turn of a training image, in degrees")
    zoom: float = setting(0.1, "greatest change of its width and of its height, as a fraction")
    shear: float = setting(0.15, "greatest shear, as a fraction of the height")
    shift: float = setting(1.5, "greatest move, in pixels")
    seed: int = setting(0, "seed of weights, order, augmentation and dropout")

    def __post_init__(self):
        if self.model not in MODELS:
            raise InputError(f"Expected a model of {', '.join(MODELS)}. Received: {self.model}")
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"Expected {name} of at least {least}. Received: {getattr(self, name)}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"Expected a learning_rate above 0. Received: {self.learning_rate}")
        for name, limit in (("rotation", 180), ("zoom", 1), ("shear", 1), ("shift", 28)):
            if not 0 <= getattr(self, name) < limit:
                raise InputError(f"Expected {name} from 0 to under {limit}. Received: {getattr(self, name)}")


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
    training, validation = data.split_indices(labels)
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
    if (run / CHECKPOINT_FILE).exists():
        model = keras.saving.load_model(run / CHECKPOINT_FILE)
        epochs_done = int(model.optimizer.iterations) // len(batches)
        history = model_folder.read_json(run / STATE_FILE)["history"][:epochs_done]
    else:
        model, history = _compiled(config, len(batches)), []
        run.mkdir(parents=True, exist_ok=True)
        _write_state(run, config, history)

    batches.epoch = len(history)  # Keras looks at a batch before the first epoch begins
    model.fit(
        batches,
        shuffle=False,  # AugmentedBatches has shuffled the images; Keras would shuffle the batches, by another seed
        validation_data=(images[validation][..., np.newaxis], labels[validation]),
        validation_batch_size=1000,
        initial_epoch=len(history),
        epochs=config.epochs,
        callbacks=[_KeepRun(run, config, history, batches)],
    )

    record = {
        "config": dataclasses.asdict(config),
        "parameters": model.count_params(),
        "data": {"images_md5": data.images_md5(images), "training": len(training), "validation": len(validation)},
        "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
        **provenance,
        "history": history,
    }
    with model_folder.new_folder(folder) as new:
        # Saved from a net that was never compiled: the optimizer's state would make the file three times as large.
        bare = MODELS[config.model]()
        bare.set_weights(model.get_weights())
        bare.save(new / model_folder.KERAS_FILE)
        record["litert_max_difference"] = export.export_litert(
            model, new / model_folder.LITERT_FILE, images[validation]
        )
        model_folder.write_json(new / model_folder.TRAINING_FILE, record)
        draw_learning_curves(history, new / model_folder.CURVES_FILE)
    shutil.rmtree(run)
    return record


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
    steps = config.epochs * steps_per_epoch
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 20,
        warmup_target=config.learning_rate,
        warmup_steps=steps_per_epoch,
        decay_steps=max(1, steps - steps_per_epoch),
    )
    model = MODELS[config.model]()
    model.compile(
        keras.optimizers.Adam(schedule),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,  # on a CPU, XLA makes small nets 1.5 times slower
    )
    return model


class _KeepRun(keras.callbacks.Callback):
    """Starts each epoch from what follows from (seed, epoch), and keeps the run after it."""

    def __init__(self, run, config, history, batches):
        super().__init__()
        self.run, self.config, self.history, self.batches = run, config, history, batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch
        # Keras does not save where a dropout layer's seed stands, so that too follows from the seed and the epoch.
        rng = np.random.default_rng((self.config.seed, epoch))
        for variable in self.model.variables:
            if variable.name == "seed_generator_state":
                variable.assign(rng.integers(2**32, size=variable.shape, dtype=np.uint32))
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs):
        figures = {name: round(float(value), 6) for name, value in logs.items()}
        self.history.append({"epoch": epoch + 1, **figures, "seconds": round(time.perf_counter() - self._start, 1)})
        _write_state(self.run, self.config, self.history)
        # The checkpoint comes last: until it is in place, the history's last epoch does not count.
        beside = self.run / f"partial.{CHECKPOINT_FILE}"
        self.model.save(beside)
        os.replace(beside, self.run / CHECKPOINT_FILE)


def _write_state(run, config, history):
    model_folder.write_json(run / STATE_FILE, {"config": dataclasses.asdict(config), "history": history})


def draw_learning_curves(history, path):
    """Draw loss and error by epoch, in training and on the validation images, into a PNG file."""
    figure = matplotlib.figure.Figure(figsize=(8, 3.2), dpi=150, layout="constrained")
    epochs = [epoch["epoch"] for epoch in history]
    panels = {
        "Loss": lambda epoch, part: epoch[f"{part}loss"],
        "Error, %": lambda epoch, part: 100 * (1 - epoch[f"{part}accuracy"]),
    }
    for axes, (title, value) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for part, label, colour in (("", "training, augmented", "#8a8f98"), ("val_", "validation", "#e8590c")):
            axes.plot(epochs, [value(epoch, part) for epoch in history], label=label, color=colour, linewidth=1.8)
        axes.set(title=title, xlabel="epoch", yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
