"""Load pen strokes, and draw them as a Sketchpad would.

The strokes are the original ink of the 30 training writers of "Pen-Based Recognition of Handwritten Digits"
(E. Alpaydin, F. Alimoglu, 1998), https://archive.ics.uci.edu/dataset/81 (CC BY 4.0). A stroke is an (N, 2) array of
points, x to the right and y down, in any unit.
"""

import os
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import unlzw3
from PIL import Image, ImageDraw
from tqdm import tqdm

from mnist_model.data.augmentation import smooth_curves
from mnist_model.errors import InputError
from mnist_model.reading.preprocessing import preprocess

VARIABLE = "PENDIGITS"
URL = "https://archive.ics.uci.edu/static/public/81/pen+based+recognition+of+handwritten+digits.zip"
MEMBER = "pendigits-orig.tra.Z"  # compress(1)'s LZW, which Python's standard library does not read
LZW_MAGIC = b"\x1f\x9d"

# What the file must hold. Its bytes are not compared, because line endings differ between copies.
DIGITS_PER_CLASS = (780, 779, 780, 719, 780, 720, 720, 778, 719, 719)
WRITERS = range(1, 31)

# Split by writer, never by digit, so that results hold for people never trained on.
HELD_OUT_WRITERS = (5, 10, 15, 20, 25, 30)
VALIDATION_WRITERS = (8, 16, 24)

CANVAS = 280  # side of the sheet, in pixels
WIDEST = 0.4  # widest brush, as a fraction of the digit's size; a wider one makes it illegible
STEM_POINTS = 25  # points of a straight stroke, enough to vary its path
SUPERSAMPLING = 2  # strokes are drawn this many times larger, then averaged, for smooth edges


class PenDigit(NamedTuple):
    """A digit as it was written: its label, 0–9, its writer, 1–30, and its strokes."""

    label: int
    writer: int
    strokes: list


def load(path=None):
    """Return the 7,494 digits of 30 writers, a list of PenDigits.

    Args:
        path: a local `pendigits-orig.tra`, or its compressed form `pendigits-orig.tra.Z`. None for the
            file that the environment variable `PENDIGITS` names or, if it is empty, for a download from UCI.

    Raises:
        InputError: the file is missing, unreadable, or does not hold these digits.
    """
    path = path or os.environ.get(VARIABLE)
    content = _read(Path(path)) if path else _download()
    origin = path or URL
    try:
        if content[:2] == LZW_MAGIC:
            content = unlzw3.unlzw(content)
        digits = parse_unipen(content.decode("ascii"))
    except (ValueError, IndexError, TypeError) as error:
        raise InputError(f"Expected UNIPEN ink of digits. Received: {origin}, unreadable: {error}") from None
    counts = tuple(int(count) for count in np.bincount([digit.label for digit in digits], minlength=10))
    writers = {digit.writer for digit in digits}
    if counts != DIGITS_PER_CLASS or writers != set(WRITERS):
        raise InputError(
            f"Expected {sum(DIGITS_PER_CLASS):,} digits of {len(WRITERS)} writers, {DIGITS_PER_CLASS} of each class. "
            f"Received: {origin}, with {len(digits):,} of {len(writers)} writers, {counts}"
        )
    return digits


def _read(path):
    if not path.is_file():
        raise InputError(f"Expected a file of pen strokes. Received: no file at {path}")
    return path.read_bytes()


def _download():
    try:
        archive = keras.utils.get_file("pendigits.zip", URL)
        with zipfile.ZipFile(archive) as opened:
            return opened.read(MEMBER)
    except Exception as error:  # Keras 3.15.1 raises no narrower type if a download fails
        raise InputError(f"Expected pen strokes from UCI, or a local file (--pendigits). Received: {error}") from error


def parse_unipen(text):
    """Return the PenDigits in `text`, in UNIPEN's format (I. Guyon et al., 1994), whose y runs upwards."""
    digits = []
    for segment in re.split(r"\.SEGMENT DIGIT", text)[1:]:
        label = int(re.search(r'"(\d)"', segment)[1])
        writer = int(re.search(r"\.COMMENT\s+\d+\s+(\d+)", segment)[1])
        parts = [part.split(".PEN_UP")[0].split() for part in segment.split(".PEN_DOWN")[1:]]
        strokes = [np.array(part, float).reshape(-1, 2) * (1, -1) for part in parts]
        digits.append(PenDigit(label, writer, strokes))
    return digits


def split(digits):
    """Split PenDigits into three lists: training, VALIDATION_WRITERS and HELD_OUT_WRITERS."""
    kept_out = {*VALIDATION_WRITERS, *HELD_OUT_WRITERS}
    return (
        [digit for digit in digits if digit.writer not in kept_out],
        [digit for digit in digits if digit.writer in VALIDATION_WRITERS],
        [digit for digit in digits if digit.writer in HELD_OUT_WRITERS],
    )


def uncrossed(seven):
    """Return a 7, a PenDigit, without its bar: keep only its largest stroke."""
    return seven._replace(strokes=[max(seven.strokes, key=lambda stroke: np.ptp(stroke, axis=0).max())])


def stem(one):
    """Return a 1, a PenDigit, as many people write it: one straight stroke from top to bottom."""
    stroke = max(one.strokes, key=lambda stroke: np.ptp(stroke[:, 1]))
    ends = stroke[[stroke[:, 1].argmin(), stroke[:, 1].argmax()]]
    return one._replace(strokes=[np.linspace(*ends, STEM_POINTS)])


def draw(strokes, *, brush=18, size=0.5, place=(0.5, 0.5), turn=0, light_on_dark=False):
    """Draw strokes with a round brush: (CANVAS, CANVAS) uint8, ink 0 on 255.

    Args:
        strokes: a list of (N, 2) arrays of points.
        brush: width of the brush, in pixels.
        size: longer side of the points' box, as a fraction of the canvas; the ink extends half a brush beyond it.
        place: position in the free space of the canvas, (x, y), each from 0 to 1.
        turn: clockwise rotation, in degrees.
        light_on_dark: draw ink 255 on 0.
    """
    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    strokes = [stroke @ rotation for stroke in strokes]
    points = np.concatenate(strokes)
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scale = size * CANVAS / max(extent.max(), 1e-9)
    side = np.ceil(extent * scale + brush).astype(int) + 2
    image = Image.new("L", tuple(int(n) for n in side * SUPERSAMPLING), 0)
    pen = ImageDraw.Draw(image)
    width = brush * SUPERSAMPLING
    radius = width / 2
    for stroke in strokes:
        path = ((stroke - low) * scale + brush / 2 + 1) * SUPERSAMPLING
        if len(path) > 1:
            pen.line(path.ravel().tolist(), fill=255, width=round(width))
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    canvas = Image.new("L", (CANVAS, CANVAS), 0)
    corner = np.round((CANVAS - side) * np.asarray(place))
    canvas.paste(image.reduce(SUPERSAMPLING), tuple(int(n) for n in corner))
    canvas = np.asarray(canvas)
    return canvas if light_on_dark else 255 - canvas


def vary(strokes, rng, variation=1.0):
    """Return strokes as another hand might write them: redirected, bent, slanted, stretched, shaky.

    Args:
        strokes: a list of (N, 2) arrays of points.
        rng: a numpy Generator.
        variation: amount of variation; 0 leaves them as they were written.
    """
    points = np.concatenate(strokes)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    extent = max(np.ptp(points, axis=0).max(), 1e-9)

    def normal(sd, shape=None):
        return rng.normal(0, variation * sd, shape)

    stretch, slant = np.exp(normal(0.12, 2)), normal(0.15)
    waves = rng.uniform(-1.5, 1.5, (4, 2)) * np.pi
    phases, bends = rng.uniform(0, 2 * np.pi, 4), normal(0.025, (4, 2))
    freedom, unrest = rng.uniform(0, variation * np.array([1.5, 0.02]))
    varied = []
    for stroke in strokes:
        stroke = _redirected((stroke - middle) / extent, freedom, rng)
        if len(stroke) > 12 and rng.random() < 0.3 * variation:  # the pen touches down late or lifts early
            late, early = rng.integers(0, len(stroke) // 10 + 1, 2)
            stroke = stroke[late : len(stroke) - early]
        stroke = stroke + np.sin(stroke @ waves.T + phases) @ bends
        stroke = stroke * stretch
        stroke[:, 0] -= slant * stroke[:, 1]
        stroke = stroke * np.exp(normal(0.04)) + normal(0.02, 2)
        varied.append(stroke + _tremble(len(stroke), unrest, rng))
    return varied


def _redirected(stroke, freedom, rng):
    """Return a stroke whose steps are lengthened and turned by amounts that change slowly along it.

    A flag becomes longer, a foot shorter, a hook wider: hands differ most in these parts.
    """
    way = stroke @ (1, 1j)
    steps = np.diff(way)
    points = int(np.clip(len(steps) / 6, 2, 8)) + 2
    lengths, turns = rng.normal(0, ((0.3,), (0.2,)), (2, points)) * freedom
    steps = steps * np.exp(smooth_curves(len(steps), points) @ (lengths + 1j * turns))
    led = np.concatenate([[0], np.cumsum(steps)])
    led += way.mean() - led.mean()
    return np.stack([led.real, led.imag], axis=1)


def _tremble(count, unrest, rng):
    """Return the (count, 2) offsets of an unsteady hand, as fractions of the digit's longer side."""
    moves = rng.normal(0, unrest, (count // 3 + 2, 2))
    at = np.linspace(0, len(moves) - 1, count)
    return np.stack([np.interp(at, np.arange(len(moves)), column) for column in moves.T], axis=1)


def draw_varied(strokes, rng, variation=1.0):
    """Draw strokes as another hand might (see `vary`), with a random brush, size, place, turn and paper."""
    size = np.exp(rng.uniform(np.log(0.2), np.log(0.9)))
    widest = min(36, WIDEST * size * CANVAS)
    return draw(
        vary(strokes, rng, variation),
        brush=np.exp(rng.uniform(np.log(4), np.log(widest))),
        size=size,
        place=rng.uniform(0, 1, 2),
        turn=rng.uniform(-18, 18),
        light_on_dark=rng.random() < 0.5,
    )


def varied_drawings(digits, copies, *, seed, variation=1.0):
    """Draw each of the PenDigits `copies` times (see `draw_varied`) and preprocess the drawings.

    Returns:
        Images, (copies × N, 28, 28) uint8, and labels, (copies × N,) uint8.
    """
    rng = np.random.default_rng(seed)
    digits = digits * copies
    images = [
        preprocess(draw_varied(digit.strokes, rng, variation)) for digit in tqdm(digits, "Drawing digits", disable=None)
    ]
    return np.stack(images), np.array([digit.label for digit in digits], np.uint8)
