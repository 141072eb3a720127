"""Load, check and split MNIST, and simulate small pictures of its digits.

`keras.datasets` downloads MNIST once, with a progress bar, and checks its hash; a local `.npz` with the same four
arrays can be used instead. Training calls `load_train`, evaluation `load_test`; nothing else opens the test set.
"""

import hashlib
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageOps
from sklearn.model_selection import train_test_split

from mnist_model.errors import InputError
from mnist_model.reading.preprocessing import BOX, preprocess

NPZ_VARIABLE = "MNIST_NPZ"
FEWEST_PIXELS = 7  # least longer side of a digit in a small picture

# md5 of the files train-images-idx3-ubyte and t10k-images-idx3-ubyte, uncompressed.
CANONICAL_MD5 = {"train": "6bbc9ace898e44ae57da46a324031adb", "test": "2646ac647ad5339dbf082846283269ea"}


def load_train(npz=None):
    """Return MNIST's training images, (N, 28, 28) uint8, and labels, (N,) uint8 in 0–9.

    Args:
        npz: path of a local `.npz` with `x_train`, `y_train`, `x_test` and `y_test`; None for the file that the
            environment variable `MNIST_NPZ` names or, if that is empty, for the download by `keras.datasets`.

    Raises:
        InputError: the file is missing, is not an `.npz`, or does not hold these arrays.
    """
    return _load("train", npz)


def load_test(npz=None):
    """Return MNIST's test images and labels: see `load_train`. Only for reporting."""
    return _load("test", npz)


def _load(part, npz):
    npz = npz or os.environ.get(NPZ_VARIABLE)
    if npz:
        images, labels = _read_npz(Path(npz), part)
    else:
        images, labels = _download()[part == "test"]
    _validate(images, labels, part)
    if images_md5(images) != CANONICAL_MD5[part]:
        warnings.warn(f"These are not the canonical MNIST {part} images, so results are not comparable.", stacklevel=3)
    return images, labels


def _download():
    try:
        return keras.datasets.mnist.load_data()
    except Exception as error:  # Keras 3.15.1 raises no narrower type if a download fails
        raise InputError(f"Expected MNIST from the network, or a local .npz (--data). Received: {error}") from error


def _read_npz(path, part):
    if not path.is_file():
        raise InputError(f"Expected an .npz file with MNIST's arrays. Received: no file at {path}")
    wanted = (f"x_{part}", f"y_{part}")
    try:
        # An .npz is read lazily: the other part's arrays are not.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in wanted if name not in archive.files]
            if missing:
                raise InputError(
                    f"Expected arrays {' and '.join(wanted)} in {path}. Received: {', '.join(archive.files) or 'none'}"
                )
            return tuple(archive[name] for name in wanted)
    except InputError:
        raise
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"Expected an .npz file with MNIST's arrays. Received: {path}, unreadable: {error}") from error


def _validate(images, labels, part):
    if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != np.uint8 or len(images) == 0:
        raise InputError(f"Expected x_{part} of shape (N, 28, 28), uint8. Received: {images.shape}, {images.dtype}")
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"Expected y_{part} of shape ({len(images)},), integers. Received: {labels.shape}, {labels.dtype}"
        )
    if labels.min() < 0 or labels.max() > 9:
        raise InputError(f"Expected labels from 0 to 9 in y_{part}. Received: {labels.min()} to {labels.max()}")


def images_md5(images):
    """Return the hexadecimal md5 of (N, 28, 28) uint8 images as an IDX file, the format MNIST is distributed in."""
    header = struct.pack(">4i", 0x803, *images.shape)
    return hashlib.md5(header + images.tobytes(), usedforsecurity=False).hexdigest()


def split_indices(labels, fraction):
    """Split the indices of `labels` into training and a stratified `fraction` for validation.

    The split does not depend on a seed, so no image used for making a choice is ever trained on.
    """
    test_size = round(fraction * len(labels))
    return train_test_split(np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=0)


def in_small_pictures(images, *, seed):
    """Return digits as if read from pictures in which their longer side has only 7 to 20 pixels.

    Args:
        images: (N, 28, 28) uint8, ink bright on 0.
        seed: of the random sizes.

    Returns:
        (N, 28, 28) uint8, as `preprocess` returns them for such pictures.
    """
    sides = np.exp(np.random.default_rng(seed).uniform(np.log(FEWEST_PIXELS), np.log(BOX), len(images)))
    seen = []
    for image, side in zip(images, sides, strict=True):
        digit = Image.fromarray(image)
        digit = digit.crop(digit.getbbox())
        size = [max(1, round(length * side / max(digit.size))) for length in digit.size]
        seen.append(preprocess(ImageOps.expand(digit.resize(size, Image.Resampling.BOX), 1)))
    return np.stack(seen)
