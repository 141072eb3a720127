import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_model import DigitClassifier
from mnist_model.data import mnist
from mnist_model.reading import preprocessing
from mnist_model.reading.preprocessing import PictureError, preprocess
from tests.conftest import data_file
from tests.strokes import drawing


def centre_of_mass(image):
    return [(np.arange(28) * image.sum(axis)).sum() / image.sum() for axis in (1, 0)]


def difference(a, b):
    """Mean absolute difference, in grey levels."""
    return np.abs(a.astype(float) - b).mean()


@pytest.mark.parametrize("digit", range(10))
def test_the_digit_gets_the_geometry_of_mnist(digit):
    image = preprocess(drawing(digit))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert all(13.4 <= centre <= 14.6 for centre in centre_of_mass(image))


def test_place_makes_no_difference():
    corner = np.roll(drawing(7), (-50, -80), axis=(0, 1))
    assert np.array_equal(preprocess(corner), preprocess(drawing(7)))


def test_size_makes_little_difference():
    reference = preprocess(drawing(7))
    assert difference(preprocess(drawing(7, height=56, left=230, top=215, width=5)), reference) < 12
    assert difference(preprocess(drawing(7, size=900, height=450, left=300, top=300, width=42)), reference) < 6


def forms():
    grey = drawing()
    transparent = np.zeros((*grey.shape, 4), np.uint8)
    transparent[..., 3] = 255 - grey
    white_on_transparent = transparent.copy()
    white_on_transparent[..., :3] = 255
    yellowish = np.stack([grey // 2 + 120, grey // 2 + 115, grey // 2 + 90], axis=-1)
    return {
        "white on black": 255 - grey,
        "RGB": np.stack([grey] * 3, axis=-1),
        "grey ink on yellow paper": yellowish,
        "black on transparent": transparent,
        "white on transparent": white_on_transparent,
        "PIL, one bit": Image.fromarray(grey).convert("1"),
        "PIL, palette with transparency": Image.fromarray(transparent).quantize(),
        "PIL, CMYK": Image.fromarray(grey).convert("CMYK"),
        "PIL, 16 bits": Image.fromarray(grey.astype(np.uint16) * 257),
        "PIL, float": Image.fromarray(grey.astype(np.float32) / 255),
    }


@pytest.mark.parametrize(("name", "picture"), forms().items())
def test_every_form_of_the_picture_gives_the_same_image(name, picture):
    assert difference(preprocess(picture), preprocess(drawing())) < 3


def test_noise_of_a_camera_does_not_move_the_crop():
    noise = np.random.default_rng(0).normal(0, 4, (280, 280))
    noisy = (drawing() * 0.6 + 60 + noise).clip(0, 255).astype(np.uint8)
    assert difference(preprocess(noisy), preprocess(drawing())) < 6


def test_a_path_is_read_and_turned_upright(tmp_path):
    image = Image.fromarray(drawing(4))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise by 90°
    image.rotate(90, expand=True).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    assert difference(preprocess(tmp_path / "turned.jpg"), preprocess(drawing(4))) < 6


@pytest.mark.parametrize(
    "blank",
    [
        np.full((560, 560), 255, np.uint8),
        np.zeros((280, 280), np.uint8),
        np.zeros((280, 280, 4), np.uint8),
        np.full((280, 280, 3), (90, 120, 60), np.uint8),
        np.random.default_rng(0).normal(128, 8, (300, 400)).clip(0, 255).astype(np.uint8),
        np.tile(np.linspace(120, 200, 300).astype(np.uint8), (200, 1)),
        np.zeros((1, 1), np.uint8),
    ],
    ids=["white", "black", "transparent", "one colour", "noise", "shading", "one pixel"],
)
def test_a_blank_picture_gives_zeros(blank):
    assert not preprocess(blank).any()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (None, "Expected a PIL image, a NumPy array, a path or a file. Received: NoneType"),
        (np.zeros((28, 28)), r"uint8. Received: \(28, 28\), float64"),
        (np.zeros((28, 28, 2), np.uint8), r"Received: \(28, 28, 2\)"),
        (np.zeros((0, 28), np.uint8), "at least 1×1"),
        ("nowhere.png", "Received: no file at nowhere.png"),
        (__file__, r"Expected a picture \(PNG, .*Received: .*, none of these"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(picture, message):
    with pytest.raises(PictureError, match=message) as error:
        preprocess(picture)
    assert "\n" not in str(error.value)


def test_it_needs_numpy_and_pillow_alone():
    tree = ast.parse(Path(preprocessing.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) == {"numpy", "PIL"}


PASTED = {"as it is": (28, 100, 90, False), "small": (70, 205, 8, True), "large": (280, 0, 0, False)}


@pytest.mark.slow
@pytest.mark.parametrize(("side", "top", "left", "dark_paper"), PASTED.values(), ids=PASTED)
def test_on_mnist_itself_it_changes_nothing(side, top, left, dark_paper):
    """Test images pasted onto a canvas are read as accurately as the images themselves, to 0.1 point, and are refused
    no more often than the flagship may refuse digits."""
    images, labels = (part[:3000] for part in mnist.load_test(data_file("MNIST_NPZ")))
    classifier = DigitClassifier.from_pretrained()
    pasted = []
    for image in images:
        canvas = np.zeros((280, 280), np.uint8)
        scaled = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
        canvas[top : top + side, left : left + side] = scaled
        pasted.append(canvas if dark_paper else 255 - canvas)
    predictions = classifier.predict_batch(pasted)
    correct = np.array([prediction.probabilities.argmax() for prediction in predictions]) == labels
    reference = classifier._model.probabilities(images).argmax(axis=1) == labels
    assert abs(correct.mean() - reference.mean()) < 0.001
    assert np.mean([prediction.status != "digit" for prediction in predictions]) <= 0.005
