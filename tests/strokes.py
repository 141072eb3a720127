"""Ten digits as drawn by hand: strokes of points (x, y), x right and y down, in a box of about 100×100."""

import numpy as np
from PIL import Image, ImageDraw

_DIGITS = {
    0: [[(52, 2), (30, 10), (20, 40), (24, 75), (46, 98), (70, 86), (80, 52), (72, 16), (50, 2)]],
    1: [[(52, 0), (51, 30), (50, 62), (49, 100)]],
    2: [[(22, 24), (34, 6), (56, 2), (72, 18), (66, 42), (44, 70), (20, 98), (48, 97), (80, 96)]],
    3: [[(24, 10), (48, 2), (70, 12), (66, 34), (44, 46), (68, 56), (76, 78), (54, 98), (24, 90)]],
    4: [[(34, 4), (26, 30), (20, 56), (48, 56), (82, 54)], [(66, 22), (63, 60), (60, 100)]],
    5: [[(30, 4), (27, 24), (25, 44), (48, 40), (70, 52), (72, 78), (50, 98), (22, 92)], [(30, 4), (52, 3), (76, 2)]],
    6: [[(64, 2), (42, 20), (26, 52), (26, 82), (46, 98), (68, 84), (64, 60), (44, 56), (28, 72)]],
    7: [[(18, 6), (46, 5), (78, 4), (66, 36), (52, 68), (42, 100)]],
    8: [[(70, 16), (50, 2), (30, 16), (44, 40), (68, 62), (70, 86), (50, 98), (30, 84), (36, 62), (60, 40), (70, 16)]],
    9: [[(70, 26), (54, 4), (32, 12), (30, 36), (50, 46), (70, 26), (68, 60), (62, 100)]],
}


def strokes_of(digit):
    """Return the strokes of a digit, a list of (N, 2) arrays, with rounded corners."""
    return [_smooth(np.array(points, float)) for points in _DIGITS[digit]]


def _smooth(points, steps=8):
    """Return a Catmull-Rom spline through the points."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, np.newaxis]
    curve = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.concatenate([*curve, points[-1:]])


def place(strokes, *, height, left, top):
    """Scale strokes to `height`, and move their upper left corner to (left, top)."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    scale = height / np.ptp(points[:, 1])
    return [(stroke - low) * scale + (left, top) for stroke in strokes]


def drawing(digit=5, *, size=280, height=150, left=90, top=60, width=14):
    """Return a digit as a Sketchpad gives it: black on white, (size, size) uint8."""
    image = Image.new("L", (size, size), 255)
    draw = ImageDraw.Draw(image)
    for stroke in place(strokes_of(digit), height=height, left=left, top=top):
        draw.line([tuple(point) for point in stroke], fill=0, width=width, joint="curve")
    return np.asarray(image)
