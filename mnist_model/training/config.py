"""The settings of a training run."""

import math
from dataclasses import dataclass, field

from mnist_model.errors import InputError

OPTIMIZERS = ("adam", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16")
LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy")


def setting(default, text, choices=None):
    """Return a field of TrainConfig with its text for `--help` and its choices."""
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class TrainConfig:
    """Everything a run depends on except the data. The settings of each model are beside its function, in `models`.

    The defaults are those of Keras: no augmentation, Adam at a constant rate of 0.001, batches of 32.
    """

    model: str = field(metadata={"help": "which network"})
    network: dict = field(
        default_factory=dict,
        metadata={"help": "settings of the network itself, as NAME=VALUE, if it has any"},
    )
    epochs: int = setting(5, "passes over the images; the weights of the last epoch are the result")
    batch_size: int = setting(32, "images per step")
    optimizer: str = setting("adam", "sgd has a Nesterov momentum of 0.9; the others have Keras's defaults", OPTIMIZERS)
    learning_rate: float = setting(1e-3, "greatest learning rate")
    beta_1: float = setting(0.9, "Adam's decay rate of the mean of the gradients")
    beta_2: float = setting(0.999, "Adam's decay rate of their squares")
    schedule: str = setting(
        "constant",
        "cosine: the rate rises during the first epoch, or 30 percent of the run if less, then follows a cosine",
        SCHEDULES,
    )
    loss: str = setting("sparse_categorical_crossentropy", "the two are equal; the second takes one-hot labels", LOSSES)
    validation_split: float = setting(1 / 12, "fraction of the images kept for validation")
    rotation: float = setting(0.0, "greatest rotation of a training image, in degrees")
    zoom: float = setting(0.0, "greatest change of its width and height, as a fraction")
    shear: float = setting(0.0, "greatest shear, as a fraction of the height")
    shift: float = setting(0.0, "greatest shift, in pixels")
    elastic: float = setting(0.0, "standard deviation of its elastic distortion, in pixels")
    thickness: float = setting(0.0, "greatest fraction of a pixel by which its strokes are thickened or thinned")
    unaugmented: float = setting(0.0, "fraction of the epochs, at the end, without augmentation")
    ink: int = setting(0, "drawings of each pen digit to train on in addition to MNIST")
    ink_ones: int = setting(
        1, "factor for the drawings of a 1: people write it in more ways, and MNIST has only plain strokes"
    )
    ink_sevens: int = setting(
        0, "additional copies of each crossed 7 without its bar: the pen writers cross theirs, many people do not"
    )
    ink_variation: float = setting(1.0, "how much to vary the hand of each drawing; 0 draws it as it was written")
    ink_turns: int = setting(1, "each drawing is in one of this many epochs: they take turns")
    negatives: int = setting(0, "drawings of each kind that is no digit, to train a detector on; 0 for no detector")
    precision: str = setting("float32", "mixed_bfloat16 is faster on processors that support it", PRECISIONS)
    seed: int = setting(0, "seed of weights, order, augmentation and dropout")

    def __post_init__(self):
        for name, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("ink", 0),
            ("ink_ones", 1),
            ("ink_sevens", 0),
            ("ink_turns", 1),
            ("negatives", 0),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise InputError(f"Expected {name} of at least {least}. Received: {getattr(self, name)}")
        if self.ink % self.ink_turns:
            raise InputError(f"Expected ink to be a multiple of ink_turns. Received: {self.ink} and {self.ink_turns}")
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("loss", LOSSES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"Expected {name} to be one of {', '.join(choices)}. Received: {getattr(self, name)}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"Expected a learning_rate above 0. Received: {self.learning_rate}")
        if not 0 < self.validation_split < 1:
            raise InputError(f"Expected a validation_split between 0 and 1. Received: {self.validation_split}")
        for name, limit in (
            ("rotation", 180),
            ("zoom", 1),
            ("shear", 1),
            ("shift", 28),
            ("elastic", 28),
            ("thickness", 1.01),
            ("unaugmented", 1.01),
            ("ink_variation", 10),
            ("beta_1", 1),
            ("beta_2", 1),
        ):
            if not 0 <= getattr(self, name) < limit:
                raise InputError(f"Expected {name} from 0 to under {limit}. Received: {getattr(self, name)}")
