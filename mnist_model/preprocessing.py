"""Any picture of a digit -> the 28×28 image that MNIST's makers would have made of it.

MNIST's geometry (http://yann.lecun.com/exdb/mnist/): white ink on black, the digit scaled with its aspect ratio kept so
that its longer side is 20 pixels, and placed so that its centre of mass is at the centre of the 28×28 image.

This file needs NumPy and Pillow alone and imports nothing of the project: it travels with the published weights.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SIZE = 28  # side of MNIST's images, in pixels
BOX = 20  # longer side of the digit in them, in pixels

CROP_LEVEL = 0.3  # least ink, as a fraction of full ink, that counts when the digit is cropped
MAX_SIDE = 1024  # larger pictures are first reduced to about this; a digit 3 % of the side high still has 30 pixels
MIN_CONTRAST = 24  # least difference of ink and paper, in grey levels of 255
MIN_CONTRAST_TO_NOISE = 5  # least difference of ink and paper, in standard deviations of the paper


class PictureError(ValueError):
    """What was given is not a picture; the message says what was expected, then what came."""


def preprocess(picture):
    """Return the digit in `picture` as MNIST would have it: (28, 28) uint8, ink 255 on 0; all zeros if it is blank.

    Args:
        picture: a PIL image; a NumPy array (H, W), (H, W, 3) or (H, W, 4) of uint8; or a path. Ink may be dark on light
            or light on dark, of any size and in any place.

    Raises:
        PictureError: `picture` is none of these, or is a file that cannot be read.
    """
    return _frame(_ink(_grey(_open(picture))))


def _open(picture):
    """Return a PIL image, upright and not much larger than MAX_SIDE."""
    if isinstance(picture, np.ndarray):
        image = _from_array(picture)
    elif isinstance(picture, Image.Image):
        image = picture
    elif isinstance(picture, (str, Path)):
        image = _from_file(Path(picture))
    else:
        raise PictureError(f"Expected a PIL image, a NumPy array or a path. Received: {type(picture).__name__}")
    if min(image.size) < 1:
        raise PictureError(f"Expected a picture of at least 1×1 pixels. Received: {image.width}×{image.height}")
    image = ImageOps.exif_transpose(image)
    factor = max(image.size) // MAX_SIDE
    if factor > 1 and image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"):
        image = image.reduce(factor)
    return image


def _from_array(array):
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise PictureError(
            f"Expected an array (H, W), (H, W, 3) or (H, W, 4) of uint8. Received: {array.shape}, {array.dtype}"
        )
    return Image.fromarray(array) if array.size else Image.new("L", (0, 0))


def _from_file(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                # JPEG decodes at a fraction of its size for a fraction of the cost.
                image.draft("RGB", (MAX_SIDE, MAX_SIDE))
                image.load()
                return image
    except FileNotFoundError:
        raise PictureError(f"Expected a picture. Received: no file at {path}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS // 1_000_000
        raise PictureError(
            f"Expected a picture of at most {limit} megapixels. Received: a larger one, {path}"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError(f"Expected a picture. Received: {path}, which cannot be read as one ({error})") from None


def _grey(image):
    """Return the grey levels, (H, W) float32 from 0 to 255, with transparent parts laid on paper."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        levels = np.nan_to_num(np.asarray(image, np.float32), posinf=0).clip(0)
        # Such modes do not tell what white is: of the usual whites, the least that no pixel exceeds.
        white = next((white for white in (1, 255, 65535) if levels.max() <= white), levels.max())
        return levels * (255 / white)
    if not image.has_transparency_data:
        return np.asarray(image.convert("L"), np.float32)
    levels = np.asarray(image.convert("RGBA").convert("LA"), np.float32)
    ink, opacity = levels[..., 0], levels[..., 1] / 255
    on_white = ink * opacity + 255 * (1 - opacity)
    # White is the paper one expects, unless the ink would vanish on it.
    return on_white if np.ptp(on_white) >= MIN_CONTRAST else ink * opacity


def _ink(grey):
    """Return how much ink is at each place, (H, W) float32 from 0, paper, to 1; all zeros if there is none."""
    blank = np.zeros_like(grey)
    if np.ptp(grey) < MIN_CONTRAST:
        return blank
    dark = grey < _otsu_threshold(grey)
    border = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    # Paper is what most of the picture, and most of its border, is made of.
    if dark.mean() + border.mean() > 1:
        dark, grey = ~dark, 255 - grey
    paper = np.median(grey[~dark])
    noise = 1.4826 * np.median(np.abs(grey[~dark] - paper))
    contrast = paper - np.percentile(grey[dark], 10)
    if contrast < max(MIN_CONTRAST, MIN_CONTRAST_TO_NOISE * noise):
        return blank
    floor = 3 * noise
    return np.clip((paper - grey - floor) / (contrast - floor), 0, 1)


def _otsu_threshold(grey):
    """Return the grey level that parts light from dark with the least variance within the two (Otsu, 1979)."""
    counts, edges = np.histogram(grey, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = grey.size - below
    sum_below = np.cumsum(counts * middles)[:-1]
    sum_above = sum_below[-1] + counts[-1] * middles[-1] - sum_below
    between = below * above * (sum_below / np.maximum(below, 1) - sum_above / np.maximum(above, 1)) ** 2
    return edges[1 + between.argmax()]


def _frame(ink):
    """Scale the ink to MNIST's box and put its centre of mass at the centre: (28, 28) uint8."""
    framed = np.zeros((SIZE, SIZE), np.uint8)
    rows, columns = (np.flatnonzero((ink > CROP_LEVEL).any(axis)) for axis in (1, 0))
    if not len(rows):
        return framed
    crop = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = BOX / max(crop.size)
    width, height = (max(1, round(side * scale)) for side in crop.size)
    digit = np.asarray(crop.resize((width, height), Image.Resampling.LANCZOS))
    # A thin stroke pales as it is made smaller; MNIST's digits all have full white in them.
    digit = digit.clip(0) * (255 / digit.max())
    top = _offset(digit.sum(axis=1))
    left = _offset(digit.sum(axis=0))
    framed[top : top + height, left : left + width] = digit.round()
    return framed


def _offset(profile):
    """Return where to place the ink whose mass along one axis is `profile`, so that its centre comes to SIZE / 2."""
    centre_of_mass = (profile * np.arange(len(profile))).sum() / profile.sum()
    return int(np.clip(np.floor(SIZE / 2 - centre_of_mass + 0.5), 0, SIZE - len(profile)))
