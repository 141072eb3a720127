"""The settings of a training run."""

import math
from dataclasses import dataclass, field

from mnist_model.errors import InputError

OPTIMIZERS = ("adam", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16")
LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy")


def setting(default, text, choices=None):
    """A field of TrainConfig, with the words `--help` says of it and the values it may have."""
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class TrainConfig:
    """Everything a run depends on but the data. Each model's own stand beside its function, in `models`.

    The defaults here are Keras's own: no augmentation, Adam at a constant rate of 0.001, batches of 32.
    """

    model: str = field(metadata={"help": "which network"})
    network: dict = field(
        default_factory=dict,
        metadata={"help": "settings of the network itself, as NAME=VALUE, for models that have any"},
    )
    epochs: int = setting(5, "how many times each image is seen; the last epoch's weights are the result")
    batch_size: int = setting(32, "images a step")
    optimizer: str = setting("adam", "sgd has a Nesterov momentum of 0.9; the others are as Keras has them", OPTIMIZERS)
    learning_rate: float = setting(1e-3, "the optimizer's greatest rate")
    beta_1: float = setting(0.9, "of adam: how long it remembers the gradients' mean")
    beta_2: float = setting(0.999, "of adam: how long it remembers their squares")
    schedule: str = setting(
        "constant",
        "cosine: the rate rises in the first epoch, or three tenths of the run, then falls as a cosine",
        SCHEDULES,
    )
    loss: str = setting("sparse_categorical_crossentropy", "one is the other, with labels as vectors", LOSSES)
    validation_split: float = setting(1 / 12, "fraction of the images that is kept out of training")
    rotation: float = setting(0.0, "greatest turn of a training image, in degrees")
    zoom: float = setting(0.0, "greatest change of its width and of its height, as a fraction")
    shear: float = setting(0.0, "greatest shear, as a fraction of the height")
    shift: float = setting(0.0, "greatest move, in pixels")
    elastic: float = setting(0.0, "how far it is bent, standard deviation in pixels")
    thickness: float = setting(0.0, "greatest share of a pixel by which its strokes are made thicker or thinner")
    unaugmented: float = setting(0.0, "share of the epochs, the last ones, in which images are seen as they are")
    ink: int = setting(0, "drawings to make of each pen digit and train on besides MNIST")
    ink_ones: int = setting(
        1, "of a 1 so many times as many: people write it in more ways, and MNIST holds only sticks"
    )
    ink_sevens: int = setting(
        0, "of a crossed 7 so many more without its bar: the pen writers cross theirs, and many people do not"
    )
    ink_variation: float = setting(1.0, "how much the hand of each drawing is varied; 0 for as it was written")
    ink_turns: int = setting(1, "in how many epochs each drawing is seen once: they take turns")
    negatives: int = setting(
        0, "drawings to make of each kind that is no digit, to train a detector on; 0 for no detector"
    )
    precision: str = setting("float32", "mixed_bfloat16 is faster where the processor has it", PRECISIONS)
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
