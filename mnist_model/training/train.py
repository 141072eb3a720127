"""Train a model and write its folder."""

import contextlib
import ctypes
import dataclasses
import os
import platform
import shutil
import time
from pathlib import Path

import keras
import numpy as np

from mnist_model import model_folder
from mnist_model.data import mnist, negatives, strokes
from mnist_model.data.augmentation import AugmentedBatches, augmented_batches
from mnist_model.errors import InputError
from mnist_model.evaluation import plots
from mnist_model.training import calibration, detector, export
from mnist_model.training.config import TrainConfig
from mnist_model.training.models import build_model, compile_model, network_settings

CHECKPOINT_FILE = "checkpoint.keras"  # the model with the optimizer's state, after the last complete epoch
STATE_FILE = "state.json"  # the run's settings and history

VALIDATION_COPIES = 8  # drawings of each pen digit by a validation writer
PLAIN_ONES = 1000  # drawings of their 1s as plain strokes
SMALL_PICTURES = 5  # the detector also trains on one in this many MNIST digits as if from a small picture


def train(config, images, labels, folder, *, pen_digits=(), resume=False):
    """Train a model and write its folder.

    After each epoch the run is saved beside `folder`, in `.NAME.run`. A resumed run gives the same numbers as one that
    was not interrupted.

    Args:
        config: a TrainConfig.
        images: (N, 28, 28) uint8, MNIST's training images; split here into training and validation.
        labels: (N,) integers from 0 to 9.
        folder: the model folder to create.
        pen_digits: the PenDigits of `strokes.load`, needed if `config` has ink or negatives; split here by writer.
        resume: continue after the last complete epoch of an earlier call with the same `config`.

    Returns:
        The record written to `training.json`, a dict.

    Raises:
        InputError: `folder` exists; there is an unfinished run and `resume` is false, or none and `resume` is true;
            the run began with other settings; or pen digits are needed but not given.
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
            f"Expected --resume, another name, or the unfinished run {run} to be deleted. Received: {folder.name}"
        )

    # Recorded now, as the checkout may change during a long run.
    provenance = _provenance()
    digits, drawings, validations = _data(config, images, labels, pen_digits)
    model, history = fit(config, images, labels, drawings=drawings, run=run)
    answers = [(predict(model, pictures), truth) for pictures, truth in validations.values()]
    temperature = calibration.fit_temperature(*answers)
    calibration.apply_temperature(model, temperature)
    record = {
        # Include the network's defaults, as they may change.
        "config": dataclasses.asdict(config) | {"network": network_settings(config)},
        "parameters": model.count_params(),
        "data": {
            "images_md5": mnist.images_md5(images),
            "training": {"mnist": len(digits[0]), "ink": len(drawings[0]) if drawings else 0},
            "validation": {kind: len(truth) for kind, (_, truth) in validations.items()},
        },
        "validation_accuracy": {
            kind: round(float((rows.argmax(axis=1) == truth).mean()), 6)
            for kind, (rows, truth) in zip(validations, answers, strict=True)
        },
        "temperature": round(temperature, 4),
        "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
        **provenance,
        "history": history,
    }
    with model_folder.new_folder(folder) as new:
        model.save(new / model_folder.KERAS_FILE)
        record["litert_max_difference"] = export.export_litert(
            model, new / model_folder.LITERT_FILE, validations["mnist"][0]
        )
        if config.negatives:
            record["detector"] = _add_detector(new, config, digits, drawings, pen_digits, validations)
        model_folder.write_json(new / model_folder.TRAINING_FILE, record)
        plots.draw_learning_curves(history, new / model_folder.CURVES_FILE)
    shutil.rmtree(run)
    return record


def retrain_detector(folder, new, images, labels, pen_digits):
    """Copy a model folder and train a new detector for the copy.

    Args:
        folder: a model folder of a run with negatives, whose settings are used.
        new: the model folder to create.
        images, labels, pen_digits: see `train`.

    Returns:
        The record written to `training.json`, a dict; its "detector" has its own provenance.

    Raises:
        InputError: `new` exists, or `folder` is not a model folder of a run with negatives.
    """
    model_folder.refuse_existing(Path(new))
    names = (model_folder.KERAS_FILE, model_folder.LITERT_FILE, model_folder.CURVES_FILE, model_folder.TRAINING_FILE)
    *copied, path = model_folder.find(folder, *names)
    record = model_folder.read_json(path)
    config = TrainConfig(**record["config"])
    if not config.negatives:
        raise InputError(f"Expected a model folder with a detector. Received: {folder}, trained without negatives")
    provenance = _provenance()
    digits, drawings, validations = _data(config, images, labels, pen_digits)
    with model_folder.new_folder(new) as new:
        for each in copied:
            shutil.copy(each, new)
        record["detector"] = _add_detector(new, config, digits, drawings, pen_digits, validations) | provenance
        model_folder.write_json(new / model_folder.TRAINING_FILE, record)
    return record


def _provenance():
    return model_folder.provenance("keras", "tensorflow", "numpy", "ai-edge-litert")


def _data(config, images, labels, pen_digits):
    """Return the training and validation data of a TrainConfig.

    Returns:
        Images and labels of MNIST for training; images and labels of drawings for training, or None; and a dict from
        each kind of validation data to its images and labels.
    """
    if (config.ink or config.negatives) and not pen_digits:
        raise InputError("Expected pen digits for ink or negatives. Received: none")
    training, validation = mnist.split_indices(labels, config.validation_split)
    validations = {"mnist": (images[validation], labels[validation])}
    drawings = None
    if config.ink:
        writers = strokes.split(pen_digits)
        drawings = draw_ink(config, writers[0])
        validations["ink"] = strokes.varied_drawings(writers[1], VALIDATION_COPIES, variation=0, seed=0)
    return (images[training], labels[training]), drawings, validations


def draw_ink(config, pen_digits):
    """Draw the training writers' PenDigits with the settings of a TrainConfig, and return images and labels."""
    ones = [digit for digit in pen_digits if digit.label == 1]
    sevens = [strokes.uncrossed(digit) for digit in pen_digits if digit.label == 7 and len(digit.strokes) > 1]
    digits = pen_digits + ones * (config.ink_ones - 1) + sevens * config.ink_sevens
    return strokes.varied_drawings(digits, config.ink, variation=config.ink_variation, seed=(config.seed, 0))


def _add_detector(folder, config, digits, drawings, pen_digits, validations):
    """Train a detector, write it and its threshold to the folder, and return its record."""
    training, validation, _ = strokes.split(pen_digits)
    others = negatives.varied_drawings(negatives.TRAINING_KINDS, training, config.negatives, seed=(config.seed, 1))
    # The pen writers' 1s all have a flag or a foot, so without plain 1s these would be refused as lines.
    plain = _plain_ones(training, config.negatives, seed=(config.seed, 2))
    # All these digits are sharp, so without small pictures a thumbnail or an old scan would be refused.
    small = [part[::SMALL_PICTURES] for part in digits]
    small[0] = mnist.in_small_pictures(small[0], seed=(config.seed, 3))
    digits = [np.concatenate(parts) for parts in zip(digits, plain, small, strict=True)]
    begin = time.perf_counter()
    with _precision(config):
        model = detector.fit(*digits, others, seed=config.seed, drawings=drawings, turns=config.ink_turns)
    model = detector.scorer(model.get_weights())
    difference = export.export_litert(model, folder / model_folder.DETECTOR_FILE, validations["mnist"][0])
    threshold = detector.threshold(*(predict(model, pictures)[:, 0] for pictures, _ in validations.values()))
    model_folder.write_json(folder / model_folder.THRESHOLD_FILE, {"threshold": threshold})
    plain = predict(model, _plain_ones(validation, PLAIN_ONES, seed=0)[0])[:, 0]
    return {
        "digits": len(digits[0]) + (len(drawings[0]) if drawings else 0),
        "others": len(others),
        "threshold": threshold,
        "plain_ones_refused": round(float((plain < threshold).mean()), 6),
        "parameters": model.count_params(),
        "seconds": round(time.perf_counter() - begin, 1),
        "litert_max_difference": difference,
    }


def _plain_ones(pen_digits, count, *, seed):
    """Draw at least `count` 1s as plain strokes (see `strokes.stem`), and return images and labels."""
    stems = [strokes.stem(digit) for digit in pen_digits if digit.label == 1]
    return strokes.varied_drawings(stems, -(-count // len(stems)), variation=0.5, seed=seed)


def predict(model, images):
    """Return a Keras model's output for (N, 28, 28) uint8 images."""
    return model.predict(images[..., np.newaxis], batch_size=1000, verbose=0)


def fit(config, images, labels, *, drawings=None, run=None, callbacks=(), verbose="auto"):
    """Train a model on part of the images, and validate it on the rest after each epoch.

    Args:
        config: a TrainConfig.
        images: (N, 28, 28) uint8.
        labels: (N,) integers from 0 to 9.
        drawings: more images and labels for training, or None.
        run: a folder to save the run in after each epoch; a run of the same `config` in it is resumed.
        callbacks: more Keras callbacks.
        verbose: see `keras.Model.fit`; 0 for no bar.

    Returns:
        The model, in float32 and not compiled, and a list with a dict for each epoch: training and validation loss
        and accuracy, and seconds.
    """
    _keep_freed_memory()
    training, validation = mnist.split_indices(labels, config.validation_split)
    if config.loss == "categorical_crossentropy":
        labels = keras.utils.to_categorical(labels, 10)
        drawings = drawings and (drawings[0], keras.utils.to_categorical(drawings[1], 10))
    batches = augmented_batches(images[training], labels[training], config, drawings)
    keras.utils.set_random_seed(config.seed)
    if run and (run / CHECKPOINT_FILE).exists():
        model = keras.saving.load_model(run / CHECKPOINT_FILE)
        epochs_done = int(model.optimizer.iterations) // len(batches)
        history = model_folder.read_json(run / STATE_FILE)["history"][:epochs_done]
    else:
        with _precision(config):
            model = build_model(config)
            compile_model(model, config, len(batches))
        history = []

    own = [_Epochs(config.seed, batches, history)]
    if run:
        own.append(_KeepRun(run, config, history))
    # Keras 3.15.1 reads a batch before the first epoch begins. To drop this, check that a resumed run stays the same.
    batches.epoch = len(history)
    unvaried = AugmentedBatches(images[validation], labels[validation], batch_size=1000, seed=config.seed)
    model.fit(
        batches.dataset(),
        shuffle=False,  # the batches are shuffled already
        validation_data=unvaried.dataset(),
        initial_epoch=len(history),
        epochs=config.epochs,
        callbacks=[*own, *callbacks],
        verbose=verbose,
    )
    # Return a new network: the compiled one would save the optimizer's state, and may not be float32.
    trained = build_model(config)
    trained.set_weights(model.get_weights())
    return trained, history


def _keep_freed_memory():
    """Tell glibc to keep the memory that a step frees for the next step.

    By default it returns large buffers to the system, and TensorFlow 2.21.0 makes it return small ones as well where it
    reads from Python. Having them cleared anew at each step took up to half of the training time.
    """
    if platform.libc_ver()[0] == "glibc":
        top_pad, mmap_threshold = -2, -3  # malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, 2**25)
        libc.mallopt(top_pad, 2**28)  # bytes


@contextlib.contextmanager
def _precision(config):
    """Use the precision of `config` in Keras within the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def unfinished_run(folder):
    """Return the path at which the run for `folder` saves its state."""
    return folder.with_name(f".{folder.name}.run")


def resumed_config(folder):
    """Return the TrainConfig of the unfinished run of `folder`; InputError if there is none."""
    state = unfinished_run(Path(folder)) / STATE_FILE
    if not state.exists():
        raise InputError(f"Expected an unfinished run to resume. Received: {folder}, which has none")
    return TrainConfig(**model_folder.read_json(state)["config"])


class _Epochs(keras.callbacks.Callback):
    """Seed each epoch from (seed, epoch), and append its metrics to the history."""

    def __init__(self, seed, batches, history):
        super().__init__()
        self.seed, self.batches, self.history = seed, batches, history

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch
        # Keras 3.15.1 does not save the state of dropout's seed generators, so derive it from the seed and the epoch.
        # To drop this, check that a run with dropout that is killed and resumed stays the same.
        rng = np.random.default_rng((self.seed, epoch))
        for variable in self.model.variables:
            if variable.name == "seed_generator_state":
                variable.assign(rng.integers(2**32, size=variable.shape, dtype=np.uint32))
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs):
        figures = {name: round(float(value), 6) for name, value in logs.items()}
        self.history.append({"epoch": epoch + 1, **figures, "seconds": round(time.perf_counter() - self._start, 1)})


class _KeepRun(keras.callbacks.Callback):
    """Save the run in a folder: its settings at the beginning, its history and model after each epoch."""

    def __init__(self, run, config, history):
        super().__init__()
        self.run, self.config, self.history = run, config, history

    def on_train_begin(self, logs=None):
        self.run.mkdir(parents=True, exist_ok=True)
        self._write_state()

    def on_epoch_end(self, epoch, logs):
        self._write_state()
        # Write the checkpoint last: until then the history's last epoch does not count.
        beside = self.run / f"partial.{CHECKPOINT_FILE}"
        self.model.save(beside)
        os.replace(beside, self.run / CHECKPOINT_FILE)

    def _write_state(self):
        state = {"config": dataclasses.asdict(self.config), "history": self.history}
        model_folder.write_json(self.run / STATE_FILE, state)
