"""What the page must not do, whatever a client sends."""

import http.server
import json
import signal
import threading
import urllib.error
import urllib.request

import httpx
import keras
import numpy as np
import pytest

from benchmarks.pages import PAGE, ROOT, ask, serving
from benchmarks.visitors import send_drawing
from mnist_model.data import mnist
from mnist_model.errors import InputError
from mnist_model.evaluation import metrics
from tests.bad_pictures import encoded

MAX_WAITING, MAX_DRAWING = 256, 1_000_000  # as in app.py


@pytest.fixture
def inside():
    """The URL of a picture on a server that visitors cannot reach, and the list of paths requested from it."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(encoded("PNG"))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/three.png", asked
        server.shutdown()


@pytest.fixture(scope="module")
def session():
    with httpx.Client(timeout=30) as session:
        yield session


def value_of(api_name, path):
    """Return the value of the pad or the picture that names a file."""
    file = {"path": str(path), "url": str(path), "meta": {"_type": "gradio.FileData"}}
    return file if api_name == "predict_image" else {"background": None, "layers": [], "composite": file}


@pytest.mark.parametrize("api_name", ["predict", "predict_image"])
def test_no_picture_is_fetched_from_an_address(session, page_url, inside, api_name):
    address, asked = inside
    _, answer = ask(session, page_url, api_name, value_of(api_name, address))
    assert "Expected an uploaded picture. Received: a URL" in answer
    assert asked == []


def test_no_picture_is_fetched_from_an_address_after_an_example_was_chosen(session, page_url, inside):
    address, asked = inside
    chosen = {"data": [0], "fn_index": 0, "session_hash": f"{id(session):x}"}  # the first event is that of the examples
    assert session.post(f"{page_url}/gradio_api/run/predict", json=chosen).is_success
    _, answer = ask(session, page_url, "predict_image", value_of("predict_image", address))
    assert "Expected an uploaded picture. Received: a URL" in answer
    assert asked == []


@pytest.mark.parametrize("api_name", ["predict", "predict_image"])
@pytest.mark.parametrize("path", ["docs/page.png", ROOT / "docs" / "page.png", "/etc/hostname"])
@pytest.mark.parametrize("named", [True, False], ids=["as a file", "as anything"])
def test_no_file_is_read_that_was_not_uploaded(session, page_url, api_name, path, named):
    value = value_of(api_name, path)
    if not named:
        del (value if api_name == "predict_image" else value["composite"])["meta"]
    _, answer = ask(session, page_url, api_name, value)
    assert "confidences" not in answer
    assert "Traceback" not in answer


def test_a_data_url_is_refused_and_not_taken_for_no_picture(session, page_url):
    _, answer = ask(session, page_url, "predict_image", {"url": "data:image/png;base64,iVBORw0KGgo="})
    assert "Expected an uploaded picture. Received: something else" in answer


@pytest.mark.parametrize(
    "path", ["app.py", ROOT / "app.py", ROOT / "mnist_model" / "pretrained" / "model.tflite", "/etc/hostname", "../x"]
)
def test_no_file_is_handed_out_that_is_not_the_pages(page_url, path):
    with pytest.raises(urllib.error.HTTPError, match="403|404"):
        urllib.request.urlopen(f"{page_url}/gradio_api/file={path}")


def test_a_file_that_is_too_large_is_turned_away(page_url):
    response = httpx.post(f"{page_url}/gradio_api/upload", files={"files": ("large.png", bytes(27_000_000))})
    assert response.status_code == 413


def test_drawings_that_nobody_asks_about_do_not_fill_the_memory(session, page_url):
    def label(id):
        return json.loads(ask(session, page_url, "predict", {"id": id})[1])[0]["label"]

    three = encoded("PNG")
    for id in ("oldest", *map(str, range(MAX_WAITING - 1)), "newest"):
        send_drawing(session, page_url, id, three)
    send_drawing(session, page_url, "layer", three, type="layer", index="9999999999")
    send_drawing(session, page_url, "large", three + bytes(MAX_DRAWING))
    assert [label(id) for id in ("oldest", "layer", "large", "newest", "newest")] == [None, None, None, "3", None]


@pytest.mark.slow
def test_it_ends_when_it_is_told_to(capfd):
    with serving(PAGE) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "Traceback" not in capfd.readouterr().err


def test_no_code_is_run_that_a_model_file_holds(tmp_path):
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Lambda(lambda levels: levels)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="Expected a Keras model"):
        metrics.load_keras(tmp_path / "model.keras")


def test_nothing_is_unpickled_of_a_data_file(tmp_path):
    objects = np.array([{"a": "dict"}], object)
    np.savez(tmp_path / "digits.npz", x_train=objects, y_train=objects)
    with pytest.raises(InputError, match="unreadable: Object arrays cannot be loaded"):
        mnist.load_train(tmp_path / "digits.npz")
