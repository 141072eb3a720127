"""Anything sent as a picture is read, or refused in one line, quickly and with little memory."""

import io
import os
import re
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from benchmarks.pages import PAGE, megabytes, serving
from mnist_model import DigitClassifier
from mnist_model.reading.preprocessing import PictureError
from tests.bad_pictures import CASES, encoded

VALID = {format: encoded(format) for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")}
SECONDS, MEGABYTES = 1, 300  # most that one picture may cost


@pytest.fixture(scope="module")
def classifier():
    return DigitClassifier.from_pretrained()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for name, (content, _) in CASES.items():
        (folder / name).write_bytes(content())
    return folder


class Cost:
    """The processor seconds that a process uses within the block, and the most MB by which its memory grows."""

    def __init__(self, process="self"):
        self._process, self._folder = process, Path(f"/proc/{process}")

    def _processor(self):
        ticks = (self._folder / "stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        (self._folder / "clear_refs").write_text("5")  # reset the peak
        self._before, self._begin = megabytes(self._process), self._processor()
        return self

    def __exit__(self, *_):
        self.seconds = self._processor() - self._begin
        self.megabytes = megabytes(self._process, "VmHWM") - self._before


@pytest.mark.parametrize(("name", "expected"), [(name, expected) for name, (_, expected) in CASES.items()], ids=CASES)
def test_it_is_read_or_refused_in_one_line(classifier, folder, name, expected):
    with Cost() as cost:
        answer, error = read(classifier, folder / name)
    assert answer == expected
    assert not error or re.fullmatch(f"Expected a picture.* Received: .*{name}.*", error)
    assert cost.seconds < SECONDS
    assert cost.megabytes < MEGABYTES


@pytest.mark.slow
def test_the_page_reads_it_or_says_in_one_line_why_not(folder):
    with serving(PAGE) as (process, url):
        client = Client(url, verbose=False)

        def ask(name):
            try:
                bars = client.predict(handle_file(folder / name), api_name="/predict_image")[0]
            except AppError as error:
                return "error", str(error)
            return bars["label"] or "blank", None

        ask("1-bit.png")  # Gradio 6.31.0's first answer costs more: it imports matplotlib, if installed
        for name, (_, expected) in CASES.items():
            with Cost(process.pid) as cost:
                answer, error = ask(name)
            assert answer == expected, name
            assert not error or re.fullmatch(f"Expected a picture.* Received: [^/]*{name}[^/]*", error)
            assert cost.seconds < SECONDS, name
            assert cost.megabytes < MEGABYTES, name


def read(classifier, picture):
    """Return the digit or status of a picture and None, or "error" and the message."""
    try:
        prediction = classifier.predict(picture)
    except PictureError as error:
        return "error", str(error)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    return prediction.status if prediction.digit is None else str(prediction.digit), None


def read_or_refused(classifier, picture):
    _, error = read(classifier, picture)
    return not error or re.fullmatch("Expected .* Received: .*", error)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_of_any_kind_is_read_or_refused(classifier, data):
    format = data.draw(st.sampled_from(sorted(VALID)))
    content = bytearray(VALID[format])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=20)):
        content[at] = value
    content = content[: data.draw(st.integers(0, len(content)))]
    assert read_or_refused(classifier, io.BytesIO(content))


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(classifier, content):
    assert read_or_refused(classifier, io.BytesIO(content))


@settings(max_examples=200, deadline=None)
@given(array=hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=40)))
def test_any_array_is_read_or_refused(classifier, array):
    assert read_or_refused(classifier, array)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_picture_is_read(classifier, data):
    mode = data.draw(
        st.sampled_from(["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA"])
    )
    side = st.integers(1, 100) | st.integers(1, 3000)
    image = Image.new("L", (data.draw(side), data.draw(side)), data.draw(st.integers(0, 255)))
    pen = ImageDraw.Draw(image)
    for _ in range(data.draw(st.integers(0, 3))):
        pen.line([data.draw(side) for _ in range(4)], data.draw(st.integers(0, 255)), data.draw(st.integers(1, 99)))
    assert read(classifier, image.convert("RGB").convert(mode))[1] is None
