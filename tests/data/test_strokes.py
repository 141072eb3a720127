import functools
import http.server
import threading
import zipfile

import numpy as np
import pytest

from mnist_model import DigitClassifier
from mnist_model.data import strokes
from mnist_model.errors import InputError
from tests.conftest import data_file
from tests.strokes import strokes_of

UNIPEN = """.SEGMENT DIGIT 0 ? "7"
.COMMENT 7 12 224
.PEN_DOWN
 10 90
 60 90
.PEN_UP
.PEN_DOWN
 60 90
 30 10
.PEN_UP
"""


def compressed(text):
    """Compress a text of under 250 characters as compress(1) does: each character is a code of nine bits."""
    bits = "".join(f"{ord(character):09b}"[::-1] for character in text)
    bits += "0" * (-len(bits) % 8)
    return b"\x1f\x9d\x90" + bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def test_strokes_are_read_with_label_and_writer_and_y_turned_to_run_down():
    (digit,) = strokes.parse_unipen(UNIPEN)
    assert (digit.label, digit.writer) == (7, 12)
    assert [stroke.tolist() for stroke in digit.strokes] == [[[10, -90], [60, -90]], [[60, -90], [30, -10]]]


def test_the_file_is_read_whole_and_split_by_writer():
    digits = strokes.load(data_file("PENDIGITS"))
    assert len(digits) == 7494
    parts = strokes.split(digits)
    assert [len({digit.writer for digit in part}) for part in parts] == [21, 3, 6]
    assert sum(map(len, parts)) == 7494
    assert {digit.writer for digit in parts[2]} == {5, 10, 15, 20, 25, 30}


def test_what_holds_other_ink_is_refused(tmp_path, monkeypatch):
    plain, packed, other = tmp_path / "a.tra", tmp_path / "a.tra.Z", tmp_path / "b.tra"
    plain.write_text(UNIPEN)
    packed.write_bytes(compressed(UNIPEN))
    other.write_text(".SEGMENT DIGIT without a label")
    broken = tmp_path / "broken.Z"
    broken.write_bytes(packed.read_bytes()[:2] + b"\x90\xff\xff\xff\xff\xff")
    for path in (plain, packed):
        with pytest.raises(InputError, match="7,494 digits of 30 writers.*with 1 of 1 writers"):
            strokes.load(path)
    for path in (other, broken):
        with pytest.raises(InputError, match="unreadable"):
            strokes.load(path)
    monkeypatch.setenv("PENDIGITS", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="Received: no file at .*nowhere"):
        strokes.load()


def test_without_a_file_it_is_fetched_and_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "pen.zip", "w") as archive:
        archive.writestr(strokes.MEMBER, compressed(UNIPEN))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(strokes, "URL", f"http://127.0.0.1:{server.server_port}/pen.zip")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(home))
    try:
        with pytest.raises(InputError, match="pen.zip, with 1 of 1 writers"):
            strokes.load()
    finally:
        server.shutdown()
        server.server_close()
    (home / "datasets" / "pendigits.zip").unlink()
    with pytest.raises(InputError, match="from UCI, or a local file"):
        strokes.load()


def box(canvas):
    """Return the left, top, right and bottom of dark ink on a light canvas."""
    rows, columns = np.flatnonzero((canvas < 128).any(axis=1)), np.flatnonzero((canvas < 128).any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize(("brush", "size"), [(4, 0.2), (18, 0.5), (36, 0.9)])
def test_a_drawing_has_the_brush_and_size_asked_for(brush, size):
    left, top, right, bottom = box(strokes.draw([np.array([(0, 0), (0, 50)])], brush=brush, size=size))
    assert right - left == pytest.approx(brush, abs=2)
    assert bottom - top == pytest.approx(min(280, 280 * size + brush), abs=2)


def test_a_drawing_lies_where_asked_turned_as_asked_on_the_paper_asked_for():
    assert box(strokes.draw(strokes_of(3), size=0.3, place=(0, 0)))[:2] == pytest.approx((1, 1), abs=2)
    assert box(strokes.draw(strokes_of(3), size=0.3, place=(1, 1)))[2:] == pytest.approx((279, 279), abs=2)
    left, top, right, bottom = box(strokes.draw([np.array([(0, 0), (0, -50)])], brush=4, turn=15))
    assert (right - left) / (bottom - top) == pytest.approx(np.tan(np.deg2rad(15)), abs=0.05)
    ends = strokes.draw([np.array([(0, 0), (0, -50)])], brush=4, turn=15)[top + 2]
    assert np.argmin(ends) > 140  # the top leans to the right: clockwise
    dark, light = strokes.draw(strokes_of(3)), strokes.draw(strokes_of(3), light_on_dark=True)
    assert np.array_equal(dark, 255 - light)
    assert dark[0, 0] == 255


def test_varied_drawings_are_preprocessed_differ_and_follow_from_the_seed(pen_digits):
    images, labels = strokes.varied_drawings(pen_digits[:10], 3, seed=1)
    assert images.shape == (30, 28, 28)
    assert labels.tolist() == list(range(10)) * 3
    assert not np.array_equal(images[:10], images[10:20])
    assert np.array_equal(images, strokes.varied_drawings(pen_digits[:10], 3, seed=1)[0])
    assert all(10 < image.sum() / 255 < 400 for image in images)


def test_what_is_varied_is_still_the_same_digit():
    classifier, rng = DigitClassifier.from_pretrained(), np.random.default_rng(0)
    digits = list(range(10)) * 10
    read = classifier.predict_batch([strokes.draw(strokes.vary(strokes_of(digit), rng)) for digit in digits])
    assert np.mean([each.probabilities.argmax() == digit for each, digit in zip(read, digits, strict=True)]) > 0.9


def test_without_variation_it_is_as_it_was_written():
    plain = strokes.draw(strokes_of(8))
    assert np.array_equal(strokes.draw(strokes.vary(strokes_of(8), np.random.default_rng(0), variation=0)), plain)


def test_the_stem_of_a_1_is_straight_from_its_top_to_its_foot():
    flag_stem_and_foot = [np.array([(0, 20), (10, 0), (12, 50), (14, 100)]), np.array([(0, 101), (30, 99)])]
    (stroke,) = strokes.stem(strokes.PenDigit(1, 1, flag_stem_and_foot)).strokes
    assert (stroke[0].tolist(), stroke[-1].tolist()) == ([10, 0], [14, 100])
    assert np.allclose(np.diff(stroke, axis=0), np.diff(stroke, axis=0)[0])
