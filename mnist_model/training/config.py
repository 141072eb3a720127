"""The settings of a training run."""

import math
from dataclasses import dataclass, field, fields

from mnist_model.errors import InputError

OPTIMIZERS = ("adam", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16")
LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy")


def setting(default, text, choices=None):
    """Return a TrainConfig field with its `--help` text and its choices."""
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class TrainConfig:
    """Everything a run depends on except the data. The settings of each model are in `models`, next to its function.

    The defaults are Keras's: no augmentation, Adam at a constant rate of 0.001, batches of 32.
    """

    model: str = field(metadata={"help": "which network"})
    network: dict = field(
        default_factory=dict,
        metadata={"help": "settings of the network itself, if it has any, as NAME=VALUE"},
    )
    epochs: int = setting(5, "passes over the images; the weights after the last one are kept")
    batch_size: int = setting(32, "images per step")
    optimizer: str = setting("adam", "sgd uses Nesterov momentum of 0.9; the others use Keras's defaults", OPTIMIZERS)
    learning_rate: float = setting(1e-3, "maximum learning rate")
    beta_1: float = setting(0.9, "Adam's decay rate for the mean of the gradients")
    beta_2: float = setting(0.999, "Adam's decay rate for the mean of their squares")
    schedule: str = setting(
        "constant",
        "cosine: the rate rises for one epoch, or 30 percent of the run if shorter, then falls along a cosine",
        SCHEDULES,
    )
    loss: str = setting("sparse_categorical_crossentropy", "both are equal; the second takes one-hot labels", LOSSES)
    validation_split: float = setting(1 / 12, "fraction of the images held out for validation")
    rotation: float = setting(0.0, "maximum rotation of a training image, in degrees")
    zoom: float = setting(0.0, "maximum change of its width and height, as a fraction")
    shear: float = setting(0.0, "maximum shear, as a fraction of the height")
    shift: float = setting(0.0, "maximum shift, in pixels")
    elastic: float = setting(0.0, "standard deviation of its elastic distortion, in pixels")
    thickness: float = setting(0.0, "maximum change of its stroke thickness, as a fraction of a pixel")
    unaugmented: float = setting(0.0, "fraction of the epochs that run without augmentation, at the end")
    ink: int = setting(0, "drawings of each pen digit to add to MNIST's training images")
    ink_ones: int = setting(
        1, "multiplier for drawings of 1s: people write them in more ways than MNIST's plain strokes"
    )
    ink_sevens: int = setting(
        0, "extra copies of each crossed 7 without its bar: the pen writers cross their 7s, many people do not"
    )
    ink_variation: float = setting(1.0, "how much to vary the handwriting of each drawing; 0 draws it as written")
    ink_turns: int = setting(1, "use each drawing in one of this many epochs, in turn")
    negatives: int = setting(0, "non-digit drawings of each kind, to train a detector on; 0 for no detector")
    precision: str = setting("float32", "mixed_bfloat16 is faster on processors that support it", PRECISIONS)
    seed: int = setting(0, "seed for weights, order, augmentation and dropout")

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
        for each in fields(self):
            value, choices = getattr(self, each.name), each.metadata.get("choices")
            if choices and value not in choices:
                raise InputError(f"Expected {each.name} to be one of {', '.join(choices)}. Received: {value}")
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
