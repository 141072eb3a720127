"""Data + model -> model folder."""

import contextlib
import dataclasses
import os
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

CHECKPOINT_FILE = "checkpoint.keras"  # the model with the optimizer's state, after the last whole epoch
STATE_FILE = "state.json"  # the settings of the run, and its history so far

VALIDATION_COPIES = 8  # drawings of each pen digit of the validation writers
PLAIN_ONES = 1000  # drawings of their 1s as plain strokes
SMALL_PICTURES = 5  # one in so many of MNIST's digits the detector sees in a small picture as well


def train(config, images, labels, folder, *, pen_digits=(), resume=False):
    """Train a model and write its folder.

    After each epoch the run is kept beside `folder`, in `.NAME.run`, so that it can be resumed with the very numbers it
    would have had.

    Args:
        config: a TrainConfig.
        images: (N, 28, 28) uint8, MNIST's training images; split here into training and validation.
        labels: (N,) integers from 0 to 9.
        folder: the model folder to make.
        pen_digits: the PenDigits of `strokes.load`, where `config` has ink or negatives; split here by writer.
        resume: go on from the last whole epoch of an earlier call with the same `config`.

    Returns:
        The record written to `training.json`, a dict.

    Raises:
        InputError: `folder` exists; an unfinished run is there and `resume` is false, or is not and `resume` is true;
            the run was begun with other settings; or pen digits are wanted and not given.
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
    provenance = _provenance()
    digits, drawings, validations = _data(config, images, labels, pen_digits)
    model, history = fit(config, images, labels, drawings=drawings, run=run)
    answers = [(predict(model, pictures), truth) for pictures, truth in validations.values()]
    temperature = calibration.fit_temperature(*answers)
    calibration.apply_temperature(model, temperature)
    record = {
        # With the network's settings in full: their defaults may be others one day.
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
    """Make a model folder of another, with the same network and a detector that is trained anew.

    Args:
        folder: the model folder, of a run with negatives; by the settings of that the detector is trained.
        new: the model folder to make.
        images: as `train` has them, and so have labels and pen_digits.

    Returns:
        The record written to `training.json`, a dict; its "detector" says of its own making.

    Raises:
        InputError: `new` exists; or `folder` is none, or of a run without negatives.
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
    """Return what a TrainConfig has a model trained on, and measured on in training.

    Returns:
        The images and labels of MNIST to train on; the drawings to train on besides, images and labels, or None; and
        by kind the images and labels for validation.
    """
    if (config.ink or config.negatives) and not pen_digits:
        raise InputError("Expected pen digits to make drawings of. Received: none")
    training, validation = mnist.split_indices(labels, config.validation_split)
    validations = {"mnist": (images[validation], labels[validation])}
    drawings = None
    if config.ink:
        writers = strokes.split(pen_digits)
        drawings = draw_ink(config, writers[0])
        validations["ink"] = strokes.varied_drawings(writers[1], VALIDATION_COPIES, variation=0, seed=0)
    return (images[training], labels[training]), drawings, validations


def draw_ink(config, pen_digits):
    """Return the images and labels that a TrainConfig wants made of the PenDigits of the writers to train on."""
    ones = [digit for digit in pen_digits if digit.label == 1]
    sevens = [strokes.uncrossed(digit) for digit in pen_digits if digit.label == 7 and len(digit.strokes) > 1]
    digits = pen_digits + ones * (config.ink_ones - 1) + sevens * config.ink_sevens
    return strokes.varied_drawings(digits, config.ink, variation=config.ink_variation, seed=(config.seed, 0))


def _add_detector(folder, config, digits, drawings, pen_digits, validations):
    """Train a detector, write it and its threshold into the folder, and return its part of the record."""
    training, validation, _ = strokes.split(pen_digits)
    others = negatives.varied_drawings(negatives.TRAINING_KINDS, training, config.negatives, seed=(config.seed, 1))
    # All the pen writers' 1s have a flag or a foot. With the straight lines of the others, plain ones would be refused.
    plain = _plain_ones(training, config.negatives, seed=(config.seed, 2))
    # And all digits are sharp. With few pixels, as in a thumbnail or on an old scanner, they would be refused as well.
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
    """Draw at least `count` 1s as plain strokes, see `strokes.stem`, and return images and labels."""
    stems = [strokes.stem(digit) for digit in pen_digits if digit.label == 1]
    return strokes.varied_drawings(stems, -(-count // len(stems)), variation=0.5, seed=seed)


def predict(model, images):
    """Return what a Keras model answers on (N, 28, 28) uint8 images."""
    return model.predict(images[..., np.newaxis], batch_size=1000, verbose=0)


def fit(config, images, labels, *, drawings=None, run=None, callbacks=(), verbose="auto"):
    """Train a model on the training part of the images, and measure it on the rest after each epoch.

    Args:
        config: a TrainConfig.
        images: (N, 28, 28) uint8.
        labels: (N,) integers from 0 to 9.
        drawings: more images and labels, to train on besides.
        run: a folder to keep the run in after each epoch; where it holds one, of the same `config`, that goes on.
        callbacks: more Keras callbacks.
        verbose: as Keras has it; 0 for no bar.

    Returns:
        The model, in float32 and not compiled, and a list with a dict for each epoch: loss and accuracy, in
        training and on the rest, and seconds.
    """
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
    batches.epoch = len(history)  # Keras looks at a batch before the first epoch begins
    others = AugmentedBatches(images[validation], labels[validation], batch_size=1000, seed=config.seed)  # as they are
    model.fit(
        batches.dataset(),
        shuffle=False,  # the images are shuffled by now
        validation_data=others.dataset(),
        initial_epoch=len(history),
        epochs=config.epochs,
        callbacks=[*own, *callbacks],
        verbose=verbose,
    )
    # A new net: what was compiled would save the optimizer's state as well, and may not be of float32.
    trained = build_model(config)
    trained.set_weights(model.get_weights())
    return trained, history


@contextlib.contextmanager
def _precision(config):
    """Have Keras build what is built within the block for the precision of `config`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def unfinished_run(folder):
    """Return the path where the run that is to make `folder` keeps its state."""
    return folder.with_name(f".{folder.name}.run")


def resumed_config(folder):
    """Return the TrainConfig that the unfinished run of `folder` was begun with; InputError if there is none."""
    state = unfinished_run(Path(folder)) / STATE_FILE
    if not state.exists():
        raise InputError(f"Expected an unfinished run to resume. Received: {folder}, which has none")
    return TrainConfig(**model_folder.read_json(state)["config"])


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
