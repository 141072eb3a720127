"""The page, in a real browser and through its API."""

import os
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import expect

from benchmarks.pages import ROOT, serving
from mnist_model.data import strokes
from tests.conftest import data_file
from tests.strokes import drawing, place, strokes_of


@pytest.fixture(params=["mouse", pytest.param("touch", marks=pytest.mark.slow)])
def visitor(request, open_page):
    return open_page(touch=request.param == "touch")


def test_the_first_stroke_draws_after_load_and_after_clear(visitor):
    expect(visitor.answer).to_contain_text("Draw a digit")
    for digit in (7, 0):
        visitor.draw(place(strokes_of(digit), height=60, left=30, top=20))
        expect(visitor.digit).to_have_text(str(digit), timeout=15000)
        assert visitor.answer.inner_text().strip() == str(digit)
        visitor.clear()
        expect(visitor.digit).to_have_count(0)


def test_a_small_digit_in_a_corner_gets_the_answer_it_gets_in_the_middle(visitor):
    for left, top in ((40, 40), (84, 76)):
        visitor.draw(place(strokes_of(7), height=20, left=left, top=top))
        expect(visitor.digit).to_have_text("7", timeout=15000)
        visitor.clear()


@pytest.mark.slow
def test_two_quick_strokes_end_in_the_answer_for_both(visitor):
    visitor.draw(place(strokes_of(4), height=60, left=30, top=20))
    expect(visitor.digit).to_have_text("4", timeout=15000)
    visitor.page.wait_for_timeout(1500)  # an answer for the first stroke alone would arrive late
    assert visitor.digit.inner_text() == "4"


def test_drawing_with_a_finger_does_not_scroll_the_page(open_page):
    visitor = open_page(touch=True, viewport={"width": 390, "height": 600})
    assert visitor.page.evaluate("document.documentElement.scrollHeight > innerHeight")
    visitor.draw([[(50, 90), (50, 60), (50, 30), (50, 5)]])
    expect(visitor.digit).to_have_text("1", timeout=15000)
    assert visitor.page.evaluate("scrollY") == 0


def test_a_screen_reader_finds_one_drawing_pad(open_page):
    page = open_page().page
    expect(page.get_by_role("img", name="Drawing pad")).to_have_count(1)
    expect(page.locator("#pad .pixi-target").get_by_role("img", name="Drawing pad")).to_be_visible()


@pytest.mark.slow
def test_the_keyboard_takes_back_and_clears(open_page):
    visitor = open_page()
    visitor.draw(place(strokes_of(1), height=60, left=30, top=20))
    expect(visitor.digit).to_have_text("1", timeout=15000)
    visitor.draw([[(10, 90), (90, 90)], [(10, 10), (90, 10)]])
    expect(visitor.answer).to_contain_text("not look like a digit", timeout=15000)
    for _ in range(2):
        visitor.page.keyboard.press("Control+z")
    expect(visitor.digit).to_have_text("1", timeout=15000)
    visitor.page.keyboard.press("Delete")
    expect(visitor.answer).to_contain_text("Draw a digit", timeout=15000)


@pytest.mark.slow
def test_the_bars_stay_in_their_order(open_page):
    visitor = open_page()
    rows = visitor.page.locator("#bars li")
    before = [row.bounding_box() for row in rows.all()]
    visitor.draw(place(strokes_of(3), height=60, left=30, top=20))
    expect(visitor.page.locator("#bars li.first")).to_contain_text("> 99.9 %", timeout=15000)
    assert [row.inner_text()[0] for row in rows.all()] == list("0123456789")
    assert [row.bounding_box() for row in rows.all()] == before
    seen = visitor.page.locator("#seen img")
    assert seen.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]


def test_an_example_is_read_on_the_picture_tab(open_page):
    visitor = open_page()
    visitor.page.get_by_role("tab", name="Picture").click()
    visitor.page.locator(".gallery-item img[src*='3-white-on-black']").click()
    expect(visitor.digit).to_have_text("3", timeout=15000)


def test_the_page_says_what_is_served_and_asks_nothing_of_other_hosts(open_page, page_url):
    visitor = open_page()
    visitor.page.wait_for_load_state("networkidle")
    expect(visitor.page.locator("#served")).to_contain_text("the bundled model")
    expect(visitor.page.locator("#served")).to_contain_text("% of 10,000 MNIST test digits")
    foreign = [url for url in visitor.page.requests if not url.startswith((page_url, "data:", "blob:"))]
    assert not foreign


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_sticks_out_at_any_width(open_page, width, scheme):
    visitor = open_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    pad, answer = (visitor.page.locator(name).bounding_box() for name in ("#pad", "#answer"))
    side_by_side = answer["x"] >= pad["x"] + pad["width"]
    assert side_by_side == (width > 700)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("touch", [False, True], ids=["mouse", "touch"])
def test_strokes_of_pen_writers_are_read(open_page, touch):
    """Draw the first digit of each class by held-out writers, half of them with the mouse and half with a finger."""
    digits = strokes.split(strokes.load(data_file("PENDIGITS")))[2]
    visitor = open_page(touch=touch)
    wrong = []
    for digit in range(touch, 10, 2):
        drawn = next(each.strokes for each in digits if each.label == digit)
        visitor.draw(place(drawn, height=60, left=25, top=20), moves=20)
        expect(visitor.digit).to_have_count(1, timeout=15000)
        # The answer to an earlier stroke may come first, and one that is under way would come after clearing.
        visitor.page.wait_for_timeout(1500)
        if visitor.digit.inner_text() != str(digit):
            wrong.append((digit, visitor.digit.inner_text()))
        visitor.clear()
    assert len(wrong) <= 1, wrong


def test_what_is_no_digit_is_said_in_words_and_the_bars_stay(open_page, refusing_model, tmp_path):
    with serving(["app.py"], {"MODEL_ID": str(refusing_model)}) as (_, url):
        visitor = open_page(url=url)
        visitor.draw(place(strokes_of(3), height=60, left=30, top=20))
        expect(visitor.answer).to_contain_text("This does not look like a digit", timeout=15000)
        shares = [float(text.strip("> %")) for text in visitor.page.locator("#bars .percent").all_inner_texts()]
        assert sum(shares) == pytest.approx(100, abs=1)
        assert max(shares) > 20
        expect(visitor.page.locator("#bars .first")).to_have_count(0)
        result = Client(url, verbose=False).predict(
            saved(Image.fromarray(drawing(3)), tmp_path / "three.png"), api_name="/predict_image"
        )
        assert label_of(result) is None


def test_a_picture_that_cannot_be_read_goes_and_takes_the_answer_before_with_it(open_page, tmp_path):
    visitor = open_page()
    visitor.page.get_by_role("tab", name="Picture").click()
    visitor.page.locator("#picture input[type=file]").set_input_files(ROOT / "examples" / "5-blue-ink-on-paper.jpg")
    expect(visitor.digit).to_have_text("5", timeout=15000)
    (tmp_path / "text.png").write_bytes(b"milk, bread")
    visitor.page.locator("#picture input[type=file]").first.set_input_files(tmp_path / "text.png")
    expect(visitor.page.get_by_text("Received: text.png").first).to_be_visible(timeout=15000)
    expect(visitor.answer).to_contain_text("Draw a digit", timeout=15000)
    expect(visitor.page.locator("#picture img")).to_have_count(0)


@pytest.fixture(scope="module")
def client(page_url):
    return Client(page_url, verbose=False)


def label_of(result):
    """Check that the first output is a value of gr.Label, and return its label."""
    confidences = result[0]["confidences"]
    assert [row["label"] for row in confidences] == list("0123456789")
    assert sum(row["confidence"] for row in confidences) == pytest.approx(1, abs=1e-5)
    return result[0]["label"]


def sketch_of(picture):
    """Return the Sketchpad's value for a picture, or for None, as a client sends it."""
    return {"background": None, "layers": [], "composite": picture}


def saved(image, path):
    image.save(path)
    return handle_file(str(path))


def test_the_api_reads_a_sketch_and_a_plain_picture(client, tmp_path):
    picture = saved(Image.fromarray(drawing(6)), tmp_path / "six.png")
    assert label_of(client.predict(sketch_of(picture), api_name="/predict")) == "6"
    assert label_of(client.predict(picture, api_name="/predict_image")) == "6"


EMPTY_SHEETS = {"white": Image.new("L", (560, 560), 255), "transparent": Image.new("RGBA", (560, 560))}


@pytest.mark.parametrize("sheet", EMPTY_SHEETS.values(), ids=EMPTY_SHEETS)
def test_an_empty_sheet_is_blank(client, tmp_path, sheet):
    sketch = sketch_of(saved(sheet, tmp_path / "blank.png"))
    assert label_of(client.predict(sketch, api_name="/predict")) is None


@pytest.mark.parametrize("sketch", [None, sketch_of(None)], ids=["no value", "no composite"])
def test_no_sheet_is_blank(client, sketch):
    assert label_of(client.predict(sketch, api_name="/predict")) is None


def test_a_transparent_picture_is_read_on_paper(client, tmp_path):
    ink = np.zeros((280, 280, 4), np.uint8)
    ink[..., 3] = 255 - drawing(9)
    nine = saved(Image.fromarray(ink), tmp_path / "nine.png")
    assert label_of(client.predict(nine, api_name="/predict_image")) == "9"


def config_of(url):
    """Return the config of the page, which includes the texts shown before anyone has drawn."""
    with urllib.request.urlopen(f"{url}/config") as config:
        return config.read().decode()


def test_the_environment_names_another_model_folder(small_model):
    with serving(["app.py"], {"MODEL_ID": str(small_model)}) as (_, url):
        assert f"the model in {small_model}. It has not been evaluated yet" in config_of(url)


def start_page(**environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_wrong_model_folder_is_one_line_at_start(tmp_path):
    result = start_page(MODEL_ID=str(tmp_path / "nowhere"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        "error: Expected a model folder, or a model on the Hub, user/name. "
    )


@pytest.mark.slow
def test_a_model_of_the_hub_is_served_and_the_page_says_which(published, open_page, capfd):
    model = {"MODEL_ID": "me/digits", "MODEL_REVISION": "v1", "HF_TOKEN": "hf_me"}
    with serving(["app.py"], model) as (_, url):
        visitor = open_page(url=url)
        visitor.draw(place(strokes_of(3), height=60, left=30, top=20))
        expect(visitor.digit).to_have_text("3", timeout=15000)
        expect(visitor.page.locator("#served")).to_contain_text(f"me/digits at {published}")
        shown = config_of(url) + visitor.page.content()
    log = capfd.readouterr()
    assert f"Serving me/digits at {published}" in log.out
    assert "hf_me" not in shown + log.out + log.err


@pytest.mark.slow
def test_without_the_hub_the_page_serves_the_bundled_model_and_says_so(capfd):
    with serving(["app.py"], {"MODEL_ID": "me/digits"}) as (_, url):
        assert "the bundled model, because me/digits could not be downloaded" in config_of(url)
    assert "warning: Expected to download me/digits. Received: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MODEL_ID": "me/no-such"}, "Expected a model folder, or a model on the Hub, with a token"),
        pytest.param(
            {"MODEL_ID": "me/digits", "MODEL_REVISION": "v2"},
            "Expected a branch, tag or commit of me/digits. ",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"MODEL_ID": "me/digits", "HF_TOKEN": "hf_unknown"}, "Expected a token of the Hub", marks=pytest.mark.slow
        ),
    ],
    ids=["id", "revision", "token"],
)
def test_a_wrong_model_of_the_hub_is_one_line_at_start(published, settings, message):
    result = start_page(**settings)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert "Traceback" not in result.stderr
    assert "hf_unknown" not in result.stdout + result.stderr


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line_at_start():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = start_page(GRADIO_SERVER_PORT=str(port))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: Expected a free port")
    assert str(port) in result.stderr
    assert "Traceback" not in result.stderr
