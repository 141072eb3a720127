"""Draw things that are not digits: some kinds for training, others for reporting.

Each kind is a function that takes (rng, digits) and returns the strokes of one drawing; some kinds are made from
`digits`, which are PenDigits. The letters come from the Hershey fonts (A. V. Hershey, Calligraphy for Computers, 1967),
which also consist of strokes. A letter written like a digit, such as O, I, S, Z, b, g or an open y, is in neither half:
reading it as a digit would be right.
"""

import functools

import numpy as np
from HersheyFonts import HersheyFonts
from tqdm import tqdm

from mnist_model.data import strokes
from mnist_model.reading.preprocessing import preprocess

# A letter's upper and lower case are in the same half.
TRAINING_LETTERS = "ACEFKMPTVacefkmptv"
UNSEEN_LETTERS = "HJLNRUWXdhnruwx"
TRAINING_FONTS = ("futural", "rowmans", "scripts", "timesi")
UNSEEN_FONTS = ("cursive", "gothgbt", "scriptc", "timesrb")


def scribble(rng, digits):
    """A back-and-forth scribble."""
    points = rng.uniform(-1, 1, (rng.integers(8, 24), 2)) * rng.uniform(0.4, 1, 2)
    return [_smooth(points)] if rng.random() < 0.7 else [points]


def zigzag(rng, digits):
    """A zigzag or wavy line, across or down."""
    turns = rng.integers(6, 13)
    x = np.linspace(-1, 1, turns) + rng.normal(0, 0.05, turns)
    y = rng.uniform(0.1, 0.8) * (-1) ** np.arange(turns) + rng.normal(0, 0.1, turns)
    points = np.stack([x, y], axis=1)[:, :: rng.choice([1, -1])]
    return [_smooth(points)] if rng.random() < 0.5 else [points]


def polygon(rng, digits):
    """A closed triangle, square or pentagon; with more corners it would look like a 0."""
    corners = rng.integers(3, 6)
    angles = np.linspace(0, 2 * np.pi, corners + 1) + rng.uniform(0, 2 * np.pi)
    return [np.stack([np.cos(angles), np.sin(angles)], axis=1)]


def cross(rng, digits):
    """Two to four lines through one point: a plus, an x, an asterisk."""
    angles = np.linspace(0, np.pi, rng.integers(2, 5), endpoint=False) + rng.uniform(0, np.pi)
    return [np.outer([-1, 1], [np.cos(angle), np.sin(angle)]) for angle in angles]


def star(rng, digits):
    """A star of five to seven points, drawn as an outline or as one line that crosses itself."""
    points = rng.integers(5, 8)
    if rng.random() < 0.5:
        angles = np.arange(points + 1) * 2 * np.pi * 2 / points if points % 2 else np.arange(7) * 2 * np.pi / 3
        radii = 1
    else:
        angles = np.arange(2 * points + 1) * np.pi / points
        radii = np.where(np.arange(2 * points + 1) % 2, rng.uniform(0.3, 0.6), 1)
    angles = angles - np.pi / 2
    return [np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)]


def arrow(rng, digits):
    """An arrow that points left or right; pointing up or down, it would look like a 1."""
    head = rng.uniform(0.3, 0.6)
    strokes = [np.array([(-1, 0), (1, 0)]), np.array([(1 - head, -head), (1, 0), (1 - head, head)])]
    return _turned(strokes, rng.choice([0, np.pi]) + rng.uniform(-1, 1))


def dots(rng, digits):
    """A dot, or three to six dots or dashes."""
    count = rng.choice([1, 3, 4, 5, 6])
    reach = 0.02 if count == 1 else rng.choice([0.02, 0.15])
    return list(rng.uniform(-1, 1, (count, 1, 2)) + rng.normal(0, reach, (1, 2, 2)))


def dash(rng, digits):
    """One to three parallel lines, closer to horizontal than to vertical."""
    count = rng.integers(1, 4)
    strokes = [np.array([(-1, 0.7 * i), (rng.uniform(0.5, 1), 0.7 * i)]) for i in range(count)]
    return _turned(strokes, rng.uniform(-0.6, 0.6))


def letter(rng, digits):
    """A letter from the training half."""
    return _glyph(rng.choice(list(TRAINING_LETTERS)), rng.choice(TRAINING_FONTS))


def two_digits(rng, digits):
    """Two digits side by side, touching or not."""
    return _side_by_side(rng, (_any(rng, digits) for _ in range(2)))


def crossed_out(rng, digits):
    """A digit with lines through it: two that cross, two or three in parallel, or a zigzag.

    A single line would make a crossed 7 or a slashed 0.
    """
    strokes = _unit(_any(rng, digits))
    way = rng.integers(3)
    if way == 0:
        reach = rng.uniform(0.8, 1.2, (2, 2))
        lines = [reach[0] * [(-1, -1), (1, 1)], reach[1] * [(-1, 1), (1, -1)]]
    elif way == 1:
        places = np.linspace(-0.5, 0.5, rng.integers(2, 4))
        lines = [np.array([(-1.2, y), (1.2, y)]) for y in places]
        lines = _turned(lines, rng.uniform(-0.8, 0.8))
    else:
        lines = [stroke * rng.uniform(0.9, 1.3) for stroke in _unit(zigzag(rng, digits))]
    return [*strokes, *lines]


def turned_digit(rng, digits):
    """A digit on its side, one of those that then no longer look like a digit."""
    chosen = _any(rng, [digit for digit in digits if digit.label in (2, 3, 4, 5, 7, 8)])
    return _turned(chosen, rng.choice([-1, 1]) * rng.uniform(1.2, 1.9))


def pieces(rng, digits):
    """Two to four pieces of digits, jumbled together."""
    strokes = []
    for _ in range(rng.integers(2, 5)):
        stroke = max(_unit(_any(rng, digits)), key=len)
        begin = rng.integers(0, max(1, len(stroke) // 2))
        piece = stroke[begin : begin + len(stroke) // 2 + 1]
        strokes += [_turned([piece], rng.uniform(0, 2 * np.pi))[0] + rng.uniform(-0.6, 0.6, 2)]
    return strokes


def ringed(rng, digits):
    """A ring with something inside: dots, dashes, a cross or pieces of digits."""
    inside = [dots, dash, cross, pieces][rng.integers(4)](rng, digits)
    return [_circle(30), *[stroke * rng.uniform(0.3, 0.6) for stroke in _unit(inside)]]


def unseen_letter(rng, digits):
    """A letter from the other half, in a training font."""
    return _glyph(rng.choice(list(UNSEEN_LETTERS)), rng.choice(TRAINING_FONTS))


def unseen_font(rng, digits):
    """A letter from the other half, in another font."""
    return _glyph(rng.choice(list(UNSEEN_LETTERS)), rng.choice(UNSEEN_FONTS))


def kana(rng, digits):
    """A Japanese character that does not look much like a digit."""
    return _glyph(rng.choice(list("ADEFGKMNPUWXY")), "japanese")


def greek(rng, digits):
    """A Greek letter that Latin lacks and that does not look like a digit."""
    return _glyph(rng.choice(list("DKNPWXagjklpvwx")), "greeks")


def three_digits(rng, digits):
    """Three digits side by side."""
    return _side_by_side(rng, (_any(rng, digits) for _ in range(3)))


def heart(rng, digits):
    """A heart."""
    t = np.linspace(0, 2 * np.pi, 40)
    x = np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return [np.stack([x, y], axis=1)]


def house(rng, digits):
    """A square with a roof, and perhaps a door."""
    strokes = [np.array([(-1, 0), (-1, 1.5), (1, 1.5), (1, 0), (-1, 0), (0, -rng.uniform(0.6, 1.3)), (1, 0)])]
    return [*strokes, np.array([(0.2, 1.5), (0.2, 0.8), (0.6, 0.8), (0.6, 1.5)])] if rng.random() < 0.5 else strokes


def face(rng, digits):
    """A smiling or a sad face."""
    circle = _circle(30)
    smile = np.linspace(0.3, np.pi - 0.3, 10)
    mouth = np.stack([0.55 * np.cos(smile), 0.1 + 0.45 * np.sin(smile)], axis=1) * (1, rng.choice([1, 0.2]))
    eyes = [0.05 * circle[::5] + (x, -0.3) for x in (-0.35, 0.35)]
    return [circle, mouth, *eyes]


def spiral(rng, digits):
    """Two to four turns of a spiral."""
    t = np.linspace(0, 2 * np.pi * rng.uniform(2, 4), 80)
    return [np.stack([t * np.cos(t), t * np.sin(t)], axis=1) * (1, rng.choice([1, -1]))]


def grid(rng, digits):
    """A grid of two to four lines each way."""
    down, across = np.linspace(-1, 1, rng.integers(2, 5)), np.linspace(-1, 1, rng.integers(2, 5))
    return [np.array([(x, -1.3), (x, 1.3)]) for x in down] + [np.array([(-1.3, y), (1.3, y)]) for y in across]


def hatching(rng, digits):
    """Five to twelve strokes side by side, as in pencil shading."""
    places = np.linspace(-1, 1, rng.integers(5, 13))
    strokes = [np.array([(x, -rng.uniform(0.5, 1)), (x, rng.uniform(0.5, 1))]) for x in places]
    return _turned(strokes, rng.uniform(0, np.pi))


def stipple(rng, digits):
    """Ten to sixty dots."""
    return [np.array([point, point + 0.01]) for point in rng.uniform(-1, 1, (rng.integers(10, 60), 2))]


def word(rng, digits):
    """Two to four letters from the other half, side by side."""
    return _side_by_side(rng, (unseen_letter(rng, digits) for _ in range(rng.integers(2, 5))))


def cyrillic(rng, digits):
    """A Cyrillic letter that Latin lacks and that is not like a digit: Д, И, Ф, Ж, Л, П, Ш, Ю, Щ, Я or Ц."""
    return _glyph(rng.choice(list("DEFHLPQUW^`")), "cyrillic")


def sign(rng, digits):
    """A mathematical (±, Π, Σ, ≠, ℵ, ÷) or astrological (♓, ☿, ♀, ♆, ♉, ♊, ♍) symbol."""
    font, signs = (("mathlow", "!:;?wx"), ("astrology", "!$%/[]`"))[rng.integers(2)]
    return _glyph(rng.choice(list(signs)), font)


def stick_figure(rng, digits):
    """A person made of five lines and a round head."""
    head = 0.35 * _circle(30) + (0, -1.35)
    hands, feet = rng.uniform(-0.9, 0.2, 2), rng.uniform(0.3, 0.7, 2)
    arms = [(-0.8, hands[0]), (0, -0.5)], [(0, -0.5), (0.8, hands[1])]
    legs = [(-feet[0], 1.2), (0, 0.3)], [(0, 0.3), (feet[1], 1.2)]
    return [head, *map(np.array, [[(0, -1), (0, 0.3)], *arms, *legs])]


def flower(rng, digits):
    """Five to eight petals around a ring, perhaps on a stem."""
    ring = _circle(80)
    petals = 1 + 0.25 * np.cos(rng.integers(5, 9) * np.linspace(0, 2 * np.pi, 80))
    stem = np.array([(0, 1), (rng.uniform(-0.3, 0.3), rng.uniform(2, 3.5))])
    return [ring * petals[:, None], 0.35 * ring[::8], *([stem] if rng.random() < 0.5 else [])]


TRAINING_KINDS = (
    scribble,
    zigzag,
    polygon,
    cross,
    star,
    arrow,
    dots,
    dash,
    letter,
    two_digits,
    crossed_out,
    turned_digit,
    pieces,
    ringed,
)
UNSEEN_KINDS = (
    unseen_letter,
    unseen_font,
    kana,
    greek,
    three_digits,
    heart,
    house,
    face,
    spiral,
    grid,
    hatching,
    stipple,
)
# Added after every choice was made: detectors were compared on the unseen kinds, never on these.
FRESH_KINDS = (word, cyrillic, sign, stick_figure, flower)


def draw(kind, rng, digits):
    """Draw one example of a kind with `strokes.draw_varied`: (280, 280) uint8."""
    return strokes.draw_varied([_dense(stroke) for stroke in kind(rng, digits)], rng)


def varied_drawings(kinds, digits, count, *, seed):
    """Draw and preprocess `count` examples of each kind: (count × len(kinds), 28, 28) uint8, kind by kind."""
    rng = np.random.default_rng(seed)
    each = [kind for kind in kinds for _ in range(count)]
    return np.stack([preprocess(draw(kind, rng, digits)) for kind in tqdm(each, "Drawing non-digits", disable=None)])


def _dense(points):
    """Insert points into a line for an unsteady hand to move."""
    along = np.linspace(0, len(points) - 1, 8 * (len(points) - 1) + 1) if len(points) < 20 else np.arange(len(points))
    return np.stack([np.interp(along, np.arange(len(points)), column) for column in points.T], axis=1)


def _circle(points):
    t = np.linspace(0, 2 * np.pi, points)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def _any(rng, digits):
    return digits[rng.integers(len(digits))].strokes


def _unit(strokes):
    """Move and scale strokes into the square from -1 to 1."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    return [2 * (stroke - (low + high) / 2) / max(np.ptp(points, axis=0).max(), 1e-9) for stroke in strokes]


def _side_by_side(rng, drawings):
    strokes, right = [], 0.0
    for drawing in drawings:
        one = _unit(drawing)
        points = np.concatenate(one)
        move = (right - points[:, 0].min(), rng.normal(0, 0.15))
        strokes += [stroke + move for stroke in one]
        right += np.ptp(points[:, 0]) + rng.uniform(0, 0.6)
    return strokes


def _turned(strokes, angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return [stroke @ np.array([[cos, sin], [-sin, cos]]) for stroke in strokes]


def _smooth(points):
    """Round the corners of a line by cutting them three times (G. Chaikin, 1974)."""
    for _ in range(3):
        points = np.stack([0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], axis=1)
        points = points.reshape(-1, 2)
    return points


@functools.cache
def _font(name):
    font = HersheyFonts()
    font.load_default_font(name)
    return font


def _glyph(character, font):
    strokes = [np.array(stroke, float) for stroke in _font(font).strokes_for_text(character)]
    return [stroke for stroke in strokes if len(stroke)]
