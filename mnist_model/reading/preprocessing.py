"""Convert a picture of a digit to a 28×28 image in MNIST's format.

MNIST's geometry (http://yann.lecun.com/exdb/mnist/): white ink on black, the digit scaled with its aspect ratio kept so
that its longer side is 20 pixels, and placed so that its centre of mass is at the centre of the 28×28 image.

This file needs only NumPy and Pillow and imports nothing of the project: it is published with the weights.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFilter, ImageOps, UnidentifiedImageError

SIZE = 28  # side of MNIST's images, in pixels
BOX = 20  # longer side of the digit in them, in pixels

# The file formats that `preprocess` reads, as Pillow names them.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")

CROP_LEVEL = 0.3  # least ink that counts when cropping, as a fraction of full ink
MAX_SIDE = 1024  # larger pictures are reduced to about this; a digit of 3 % of the side still has 30 pixels
MIN_CONTRAST = 24  # least difference between ink and paper, in grey levels of 255
MIN_CONTRAST_TO_NOISE = 5  # least difference between ink and paper, in standard deviations of the paper

# For photographs, where the light is uneven and the paper holds more than a digit:
MIN_PHOTOGRAPH = 32  # least shorter side, in pixels; in a smaller picture a stroke may be as wide as a shadow
MIN_SHEET = 0.2  # least area of a sheet of paper on a table, as a fraction of the picture's
MIN_PAPER = 0.75  # least fraction of a sheet that is paper, not ink
MIN_STEP = 0.18  # least difference in level between a table and the paper's edge, as a fraction of the paper's level
LINE_LEVEL = 0.1  # least ink of a ruled line
MAX_SLOPE = 0.06  # greatest slope of a ruled line
MAX_LINE = 0.015  # greatest thickness of a ruled line, as a fraction of the picture's longer side
PARTS_SIDE = 256  # longer side of the reduced picture in which connected parts are labelled
MAX_CONTACT = 0.3  # greatest length of a digit along the border, as a fraction of the digit's longer side
MIN_SIDE = 0.06  # least longer side of a digit, as a fraction of the picture's
MIN_PART = 0.2  # least longer side of a part of a digit, as a fraction of the largest part's
PART_LEVEL = 0.6  # least ink in the darkest pixel of each part of a digit, as a fraction of full ink


class PictureError(ValueError):
    """The input is not a picture. The message says what was expected and what was received."""


def preprocess(picture):
    """Return the digit in `picture` in MNIST's format: (28, 28) uint8, ink 255 on 0; all zeros if it is blank.

    Args:
        picture: a PIL image; a NumPy array (H, W), (H, W, 3) or (H, W, 4) of uint8; or a path or binary file in one of
            the FORMATS. The ink may be dark on light or light on dark, of any size, anywhere in the picture.

    Raises:
        PictureError: `picture` is none of these, or the file cannot be read.
    """
    return _frame(_ink(_grey(_open(picture))))


def _open(picture):
    """Return `picture` as a PIL image, upright and not much larger than MAX_SIDE."""
    if isinstance(picture, np.ndarray):
        image = _from_array(picture)
    elif isinstance(picture, Image.Image):
        image = picture
    elif isinstance(picture, (str, Path)) or hasattr(picture, "read"):
        image = _from_file(picture)
    else:
        raise PictureError(f"Expected a PIL image, a NumPy array, a path or a file. Received: {type(picture).__name__}")
    if min(image.size) < 1:
        raise PictureError(f"Expected a picture of at least 1×1 pixels. Received: {image.width}×{image.height}")
    try:
        image.load()
        return _upright(image)
    except OSError as error:  # Pillow reads a file only when it needs the pixels
        raise PictureError(f"Expected a picture. Received: one that cannot be read ({error})") from None


def _from_array(array):
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise PictureError(
            f"Expected an array (H, W), (H, W, 3) or (H, W, 4) of uint8. Received: {array.shape}, {array.dtype}"
        )
    return Image.fromarray(array) if array.size else Image.new("L", (0, 0))


def _from_file(file):
    name = "a file" if hasattr(file, "read") else str(file)
    Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # By default Pillow also reads formats such as EPS, for which it runs Ghostscript.
            with Image.open(file, formats=[each for each in FORMATS if each in Image.OPEN]) as image:
                # A JPEG can be decoded at a fraction of its size, for a fraction of the cost.
                image.draft("RGB", (MAX_SIDE, MAX_SIDE))
                image.load()
                image.getexif()
                return image
    except FileNotFoundError:
        raise PictureError(f"Expected a picture. Received: no file at {name}") from None
    except UnidentifiedImageError:
        raise PictureError(f"Expected a picture ({', '.join(FORMATS)}). Received: {name}, none of these") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS // 1_000_000
        raise PictureError(f"Expected a picture of at most {limit} megapixels. Received: {name}, with more") from None
    except Exception as error:  # for damaged files, Pillow 12.3.0 raises many types
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise PictureError(f"Expected a picture. Received: {name}, which cannot be read ({reason})") from None


def _upright(image):
    """Reduce a PIL image to about MAX_SIDE, then turn it upright; the other order would need more memory."""
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    factor = max(image.size) // MAX_SIDE
    if factor > 1:
        image = _reduced(image, factor)
        if orientation:  # the smaller copy has lost it
            image.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(image) if orientation else image


def _reduced(image, factor):
    """Reduce a PIL image by a whole factor, in strips, because Pillow may copy what it reduces."""
    mode = image.mode
    if mode in ("P", "PA"):
        mode = "RGBA" if image.has_transparency_data else "RGB"
    elif mode == "1" or mode.startswith("I;16"):
        mode = "L" if mode == "1" else "I"
    small = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, 8 * factor):
        strip = image.crop((0, top, image.width, min(top + 8 * factor, image.height)))
        if mode != image.mode:
            strip = strip.convert(mode)
        if mode == "RGBA" and strip.getchannel("A").getextrema() == (255, 255):
            # Pillow would weight colours by their opacity, which takes as long as reading the file.
            strip = strip.convert("RGB")
        small.paste(strip.reduce(factor), (0, top // factor))
    return small


def _grey(image):
    """Convert a PIL image to grey levels, mode L, with paper behind its transparent parts."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        levels = np.nan_to_num(np.asarray(image, np.float32), posinf=0).clip(0)
        # These modes do not define white: take the smallest common white level that no pixel exceeds.
        white = next((white for white in (1, 255, 65535) if levels.max() <= white), levels.max())
        return Image.fromarray((levels * (255 / white)).astype(np.uint8))
    if image.mode == "LAB":
        return image.getchannel("L")
    if not image.has_transparency_data:
        return image.convert("L")
    image = image.convert("RGBA")
    # Assume white paper, unless the ink would vanish on it.
    for paper in ("white", "black"):
        grey = Image.alpha_composite(Image.new("RGBA", image.size, paper), image).convert("L")
        if np.ptp(grey.getextrema()) >= MIN_CONTRAST:
            break
    return grey


def _ink(image):
    """Return the ink of a PIL image of mode L, cropped to it: (H, W) float32 from 0 (paper) to 1.

    If there is no ink, the result is empty.
    """
    levels, counts, unit = np.asarray(image), np.array(image.histogram()), 1
    blank = np.zeros((0, 0), np.float32)
    if np.ptp(np.flatnonzero(counts)) < MIN_CONTRAST:
        return blank
    threshold = _otsu_threshold(counts)
    surrounded = _dark_is_paper(levels, counts, threshold)
    if surrounded:
        levels, counts, threshold = 255 - levels, counts[::-1], 256 - threshold
    noise = _noise(counts[threshold:])
    photograph = noise > 0 and min(levels.shape) >= MIN_PHOTOGRAPH
    if photograph:
        if surrounded:  # chalk on a board, or a whole sheet of paper on a table
            levels = 255 - _without_table(255 - levels, levels < threshold)
        levels, unit = _evenly_lit(levels.astype(np.float32)), 0.25
        counts = np.bincount(levels.ravel(), minlength=1024)
        threshold = _otsu_threshold(counts)
        noise = _noise(counts[threshold:])
    paper = threshold + _quantile(counts[threshold:], 0.5)
    contrast = paper - _quantile(counts[:threshold], 0.1)
    if contrast * unit < max(MIN_CONTRAST, MIN_CONTRAST_TO_NOISE * noise * unit):
        return blank
    floor = 3 * noise
    ink = ((paper - np.arange(len(counts)) - floor) / (contrast - floor)).clip(0, 1).astype(np.float32)  # by level
    if photograph:
        picture = _without_lines_and_specks(ink.take(levels))
        return _cropped(picture, picture > CROP_LEVEL)
    palest_ink = int(np.flatnonzero(ink > CROP_LEVEL).max())  # a NumPy integer would upcast `levels` to int64
    return ink.take(_cropped(levels, levels <= palest_ink))


def _without_table(levels, light):
    """Replace the table around a sheet of paper with paper, if a photograph shows one.

    Args:
        levels: (H, W) uint8, its grey levels.
        light: (H, W) mask of the pixels that may be paper.
    """
    factor = -(-max(levels.shape) // PARTS_SIDE)
    labels = _label(~_pooled(~light, factor))
    paper = labels == np.bincount(labels[labels > 0], minlength=2).argmax()
    sheet = np.ones_like(paper)  # including its ink: every pixel with paper on all four sides
    for turned, part in ((sheet, paper), (sheet.T, paper.T)):
        for way in (slice(None), slice(None, None, -1)):
            turned &= np.logical_or.accumulate(part[way])[way]
    sides = sum(side.any() for side in (sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]))
    # A sheet that touches two or more borders may just be the part of the paper outside a shadow.
    if sheet.mean() < MIN_SHEET or (labels[sheet] > 0).mean() < MIN_PAPER or sides > 1:
        return levels
    small, mask = np.asarray(Image.fromarray(levels).reduce(factor)), Image.fromarray(sheet).convert("L")
    inside, outside = (np.asarray(mask.filter(each(7))) > 0 for each in (ImageFilter.MinFilter, ImageFilter.MaxFilter))
    step = np.median(small[sheet & ~inside]) - np.median(small[outside & ~sheet])
    if step < MIN_STEP * np.median(small[paper]):  # the edge of a ruled line, or of a lamp's light
        return levels
    # Continue the plane fitted to the paper's levels where the table was.
    rows, columns = np.nonzero(paper & inside)
    plane, *_ = np.linalg.lstsq(np.stack([np.ones(len(rows)), rows, columns], axis=1), small[rows, columns], rcond=None)
    height, width = levels.shape
    down, across = np.arange(height)[:, np.newaxis] / factor, np.arange(width) / factor
    beyond = plane[0] + plane[1] * down + plane[2] * across
    return np.where(_enlarged(inside, factor, levels.shape), levels, beyond.clip(0, 255).astype(np.uint8))


def _evenly_lit(grey):
    """Even out the light of a photograph and make its ink dark: (H, W) uint16, in quarters of grey levels."""
    # Half of the paper may be in shadow, so compare each pixel with the mean of its surroundings.
    surroundings = Image.fromarray(grey.astype(np.uint8)).filter(ImageFilter.BoxBlur(min(grey.shape) // 4))
    relative = np.clip(grey - np.asarray(surroundings, np.float32) + 128, 0, 255).astype(np.uint8)
    counts = np.bincount(relative.ravel(), minlength=256)
    if _dark_is_paper(relative, counts, _otsu_threshold(counts)):
        grey = 255 - grey
    return np.clip(grey * (4 * 255 / np.maximum(_light(grey), 1)), 0, 1023).astype(np.uint16)


def _dark_is_paper(levels, counts, threshold):
    """Return whether the levels below the threshold are paper: they fill most of the picture and its border."""
    border = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    return counts[:threshold].sum() / levels.size + (border < threshold).mean() > 1


def _noise(counts):
    """Estimate the standard deviation of the paper from its median absolute deviation; 0 for a drawing.

    Args:
        counts: the number of pixels of each level.
    """
    deviations = np.abs(np.arange(len(counts)) - _quantile(counts, 0.5))
    return 1.4826 * _quantile(np.bincount(deviations, counts), 0.5)


def _quantile(counts, fraction):
    """Return the lowest level that this fraction of the pixels does not exceed."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, fraction * below[-1]))


def _light(grey):
    """Estimate the brightness of the paper at each pixel, without the ink: (H, W).

    This is a morphological closing: the paper is the brightest nearby level, and shadows wider than a pen stay dark.
    """
    height, width = grey.shape
    factor = max(1, round(max(height, width) / 160))
    small = np.asarray(Image.fromarray(grey.astype(np.float32)).reduce(factor))
    reach = max(1, min(small.shape) // 8)
    for function in (np.max, np.min):
        for axis in (0, 1):
            padding = [(0, 0), (0, 0)]
            padding[axis] = (reach, reach)
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(small, padding, mode="edge"), 2 * reach + 1, axis)
            small = function(windows, axis=-1)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def _without_lines_and_specks(ink):
    """Remove ruled lines, shadows at the border and specks from the ink of a photograph."""
    ink = _without_lines(_without_lines(ink).T).T
    factor = -(-max(ink.shape) // PARTS_SIDE)
    labels = _label(_pooled(ink > CROP_LEVEL, factor))
    height, width = labels.shape
    rows, columns = np.nonzero(labels)
    if not len(rows):
        return ink
    _, part = np.unique(labels[rows, columns], return_inverse=True)
    count = part.max() + 1
    low, high = np.full((2, count), max(height, width)), np.zeros((2, count), int)
    for axis, places in enumerate((rows, columns)):
        np.minimum.at(low[axis], part, places)
        np.maximum.at(high[axis], part, places)
    side = (high - low).max(axis=0) + 1
    on_border = (rows == 0) | (rows == height - 1) | (columns == 0) | (columns == width - 1)
    along_border = np.bincount(part, on_border, count)
    across = ((low == 0) & (high == [[height - 1], [width - 1]])).any(axis=0)
    # Shadows lie along a border and leftover lines run across; a digit only touches a border with a stroke's end.
    may_be_digit = (side >= MIN_SIDE * max(height, width)) & (along_border <= side)
    likely = may_be_digit & (along_border <= MAX_CONTACT * side) & ~across
    area = np.bincount(part) * (likely if likely.any() else may_be_digit)
    largest = area.argmax()
    if not area[largest]:
        return np.zeros_like(ink)
    # Also keep dark parts inside the picture that are not specks: the bar of a 5, the second stroke of a 4.
    dark = np.bincount(part, _pooled(ink > PART_LEVEL, factor)[rows, columns], count) > 0
    kept = (along_border == 0) & (side >= MIN_PART * side[largest]) & dark
    kept[largest] = True
    where = np.zeros(labels.shape, bool)
    where[rows, columns] = kept[part]
    return ink * _enlarged(where, factor, ink.shape)


def _pooled(mask, factor):
    """Reduce a mask by a whole factor; a pixel is true if any pixel it covers was."""
    rows, columns = (-size % factor for size in mask.shape)
    padded = np.pad(mask, ((0, rows), (0, columns)))
    return padded.reshape(padded.shape[0] // factor, factor, -1, factor).any(axis=(1, 3))


def _enlarged(mask, factor, shape):
    """Enlarge a mask by a whole factor and crop it to the shape (H, W)."""
    height, width = shape
    return mask.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]


def _label(mask):
    """Label the connected parts of a mask: (H, W) integers, 0 outside, and one number per part."""
    numbers = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.int64)
    numbers[1:-1, 1:-1][mask] = np.arange(1, mask.sum() + 1)
    inner = numbers[1:-1, 1:-1]
    while True:
        before = inner.copy()
        for axis in (0, 1):
            ends = numbers.swapaxes(0, axis)
            np.maximum(ends[1:-1], np.maximum(ends[:-2], ends[2:]), out=ends[1:-1])
            numbers[...] *= np.pad(mask, 1)
        # Each number is the index of a pixel in the same part: take that pixel's number.
        places = np.concatenate([[0], inner[mask]])
        inner[mask] = places[inner[mask]]
        if (inner == before).all():
            return inner


def _without_lines(ink):
    """Remove nearly horizontal lines that cross the whole picture, except where a stroke crosses them."""
    mask = ink > LINE_LEVEL
    height, width = mask.shape
    places, columns = np.arange(height)[:, np.newaxis], np.arange(width)
    above = np.maximum.accumulate(np.where(mask, -1, places), axis=0)
    below = np.minimum.accumulate(np.where(mask, height, places)[::-1], axis=0)[::-1]
    thickness = below - above - 1  # of the vertical run of ink through each pixel
    thin = mask & (thickness <= max(3, MAX_LINE * max(height, width)))
    lines, slope = _find_lines(mask, thin)
    if not len(lines):
        return ink
    rows = np.round(lines[:, np.newaxis] + slope * (columns - width / 2)).astype(int)
    inside = (rows >= 0) & (rows < height)
    on_line = np.zeros_like(mask)
    on_line[rows[inside], np.broadcast_to(columns, rows.shape)[inside]] = True
    on_line &= thin
    # A run about as thin and as pale as the lines is part of a line.
    alike = mask & (thickness <= 1.5 * np.median(thickness[on_line]) + 1) & (ink <= 1.4 * np.median(ink[on_line]))
    runs = above * width + columns  # one number per run, the same for all its pixels
    return np.where(alike & np.isin(runs, runs[on_line & alike]), 0, ink)


def _find_lines(mask, thin):
    """Return the rows at which lines cross the middle column, and their common slope.

    A line runs from border to border, even through the digit and shadows, and is mostly thin.
    """
    width = mask.shape[1]
    columns = np.linspace(0, width - 1, min(width, 64)).round().astype(int)
    outer = -(-len(columns) // 16)
    reach = int(np.ceil(MAX_SLOPE * width / 2))
    padding = ((reach, reach), (0, 0))
    mask, thin = np.pad(mask[:, columns], padding), np.pad(thin[:, columns], padding)
    level = np.arange(mask.size).reshape(mask.shape)[reach:-reach]
    best, slope = np.zeros(0, int), 0.0
    for candidate in np.linspace(-MAX_SLOPE, MAX_SLOPE, 31):
        places = level + np.round(candidate * (columns - width / 2)).astype(int) * len(columns)
        along = mask.take(places)
        lines = np.flatnonzero(along.mean(axis=1) > 0.7)
        # No stroke of a whole digit reaches both borders.
        ends = np.minimum(along[lines, :outer].mean(axis=1), along[lines, -outer:].mean(axis=1))
        lines = lines[(ends > 0.6) & (thin.take(places[lines]).mean(axis=1) > 0.5)]
        if len(lines) > len(best):
            best, slope = lines, candidate
    return best, slope


def _otsu_threshold(counts):
    """Return the lowest light level, chosen to minimise the variance within light and dark (Otsu, 1979).

    Args:
        counts: the number of pixels of each level.
    """
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sum_below = np.cumsum(counts * np.arange(len(counts)))
    sum_below, total = sum_below[:-1], sum_below[-1]
    between = below * above * (sum_below / np.maximum(below, 1) - (total - sum_below) / np.maximum(above, 1)) ** 2
    return 1 + int(between.argmax())


def _cropped(picture, mask):
    """Crop a picture, (H, W), to the box around its mask."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else picture[:0]


def _frame(ink):
    """Scale the ink to MNIST's box and put its centre of mass at the centre: (28, 28) uint8."""
    framed = np.zeros((SIZE, SIZE), np.uint8)
    if not ink.size:
        return framed
    crop = Image.fromarray(ink)
    scale = BOX / max(crop.size)
    width, height = (max(1, round(side * scale)) for side in crop.size)
    # With `reducing_gap`, Pillow averages a large digit first: four times as fast, with nearly the same result.
    digit = np.asarray(crop.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3))
    # Reducing makes thin strokes pale, but every digit of MNIST contains full white.
    digit = digit.clip(0) * (255 / digit.max())
    top = _offset(digit.sum(axis=1))
    left = _offset(digit.sum(axis=0))
    framed[top : top + height, left : left + width] = digit.round()
    return framed


def _offset(profile):
    """Return the offset at which ink with the mass `profile` along one axis has its centre at SIZE / 2."""
    centre_of_mass = (profile * np.arange(len(profile))).sum() / profile.sum()
    return min(max(int(np.floor(SIZE / 2 - centre_of_mass + 0.5)), 0), SIZE - len(profile))
