"""Simulate photographs of digits on paper from pen strokes, to test `preprocessing` with.

Every photograph has a little blur, noise and JPEG artefacts; `PAPERS` lists the other difficulties.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

from mnist_model.data.strokes import CANVAS, draw

WIDTH, HEIGHT = 480, 640
INKS = {
    "black": (40, 40, 45),
    "blue": (45, 65, 150),
    "pencil": (125, 125, 128),
}
ORIENTATION = 0x0112  # EXIF's tag for the orientation of a picture
TURNS = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def even_light(rng, shape):
    """Return light that is the same everywhere: (H, W) factors."""
    return np.full(shape, rng.uniform(0.75, 1.0))


def uneven_light(rng, shape):
    """Return the light of a lamp at one side, with darker corners: (H, W) factors down to about half."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * x + np.sin(angle) * y + 1.4) / 2.8
    return 1 - rng.uniform(0.2, 0.45) * slope - rng.uniform(0, 0.1) * (x**2 + y**2)


def border_shadow(rng, shape):
    """Return uneven light with the soft-edged shadow of a hand or camera over one border."""
    y, x = np.meshgrid(np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1]), indexing="ij")
    depth, along = [(x, y), (1 - x, y), (y, x), (1 - y, x)][rng.integers(4)]
    edge = rng.uniform(0.08, 0.18) + rng.uniform(-0.1, 0.1) * (along - 0.5)
    darkness = rng.uniform(0.35, 0.6)
    return uneven_light(rng, shape) * (1 - darkness / (1 + np.exp((depth - edge) / rng.uniform(0.005, 0.03))))


def ruled(rng, paper):
    """Rule the paper, (H, W, 3), with lines or squares."""
    height, width = paper.shape[:2]
    spacing, thick = rng.uniform(45, 90), rng.uniform(1, 2.5)
    slope = np.tan(np.deg2rad(rng.uniform(-2.5, 2.5)))
    colour = np.array([(150, 180, 215), (170, 170, 175), (195, 165, 165)][rng.integers(3)])
    y, x = np.indices((height, width))
    distances = [y - slope * x] + ([x + slope * y] if rng.random() < 0.35 else [])
    for distance in distances:
        off = np.abs((distance + rng.uniform(0, spacing)) % spacing - spacing / 2)
        line = np.clip((thick + 1 - 2 * off) / 2, 0, 1)[..., np.newaxis]
        paper = paper * (1 - line) + colour * line
    return paper


def on_a_table(rng, picture):
    """Lay a picture of paper, (H, W, 3), on a darker table that shows a little on every side."""
    height, width = picture.shape[:2]
    y, x = np.indices((height, width))
    slope = np.tan(np.deg2rad(rng.uniform(-1.5, 1.5)))
    left, right, top, bottom = rng.uniform(0.03, 0.07, 4) * (width, width, height, height)
    across, down = x - slope * (y - height / 2), y + slope * (x - width / 2)
    sheet = (across > left) & (across < width - right) & (down > top) & (down < height - bottom)
    wood = np.array([(95, 65, 45), (130, 95, 65), (60, 60, 65)][rng.integers(3)])
    grain = 8 * np.sin(y / rng.uniform(3, 9) + _grain(rng, (height, width)))
    return np.where(sheet[..., np.newaxis], picture, wood + grain[..., np.newaxis])


def photograph(strokes, rng, *, pen="black", light=even_light, lines=False, table=False, quality=(60, 90)):
    """Return a photograph of strokes as the bytes of a 480×640 JPEG file, in a random EXIF orientation.

    Args:
        strokes: a list of (N, 2) arrays of points; empty for blank paper.
        rng: a numpy Generator.
        pen: a key of INKS.
        light: a function that takes (rng, shape) and returns the light at each pixel.
        lines: whether the paper is ruled.
        table: whether the paper is a sheet on a table.
        quality: range of the JPEG quality.
    """
    mask = _written(strokes, rng)
    paper = np.broadcast_to(rng.uniform(225, 250) + rng.normal(0, 4, 3), (HEIGHT, WIDTH, 3))
    if lines:
        paper = ruled(rng, paper)
    if pen == "pencil":  # the paper's grain shows through
        mask = mask * np.clip(_grain(rng, mask.shape) * 0.25 + 0.85, 0.3, 1)
    mask = mask[..., np.newaxis]
    picture = paper * (1 - mask) + np.minimum(np.array(INKS[pen]), paper) * mask
    if table:
        picture = on_a_table(rng, picture)
    picture = picture * light(rng, mask.shape[:2])[..., np.newaxis] + 2 * _grain(rng, mask.shape[:2])[..., np.newaxis]
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    noisy = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(1, 5), (HEIGHT, WIDTH, 3))
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    orientation = list(TURNS)[rng.integers(4)]
    if TURNS[orientation] is not None:
        image = image.transpose(TURNS[orientation])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(*quality)), exif=exif)
    return file.getvalue()


def _written(strokes, rng):
    """Return the ink at each pixel, (HEIGHT, WIDTH) float32 from 0 to 1."""
    if not strokes:
        return np.zeros((HEIGHT, WIDTH), np.float32)
    size = rng.uniform(0.35, 0.8)
    brush = rng.uniform(0.03, 0.12) * size * CANVAS
    canvas = draw(strokes, brush=max(brush, 4), size=size, turn=rng.uniform(-10, 10), light_on_dark=True)
    side = min(WIDTH, HEIGHT)
    drawn = Image.fromarray(canvas).resize((side, side), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (WIDTH, HEIGHT), 0)
    sheet.paste(drawn, (0, rng.integers(0, HEIGHT - side + 1)))
    return np.asarray(sheet, np.float32) / 255


def _grain(rng, shape):
    """Return the grain of paper, (H, W), with a standard deviation of about 1."""
    coarse = rng.normal(0, 1, (shape[0] // 3 + 1, shape[1] // 3 + 1)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC)) * 1.3


# The papers of the benchmark: each difficulty alone, and all of them at once.
PAPERS = {
    "plain": {},
    "uneven light": {"light": uneven_light},
    "pencil": {"pen": "pencil"},
    "blue ink": {"pen": "blue"},
    "ruled lines": {"lines": True},
    "shadow at a border": {"light": border_shadow},
    "sheet on a table": {"table": True, "light": uneven_light},
    "coarse JPEG": {"quality": (15, 30)},
    "all at once": {"pen": "blue", "light": border_shadow, "lines": True, "quality": (30, 60)},
}
