"""Run Gradio pages in separate processes: this project's, and others to compare it with."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from mnist_model.errors import InputError

ROOT = Path(__file__).parent.parent

# The arguments of Python that run each page.
PAGE = ["app.py"]
# The same page, with its network run by `model.predict`.
KERAS_PAGE = [
    "-c",
    """
import keras
from mnist_model import model_folder
from mnist_model.reading import classifier

class KerasModel:
    def __init__(self, path):
        self.model = keras.saving.load_model(path.with_name(model_folder.KERAS_FILE), compile=False)

    def probabilities(self, images):
        return self.model.predict(images[..., None], verbose=0)

LiteRTModel = classifier.LiteRTModel
classifier.LiteRTModel = lambda path, outputs=10: KerasModel(path) if outputs == 10 else LiteRTModel(path, outputs)
import app
app.demo.launch()
""",
]
# A page with the same inputs, of the same size on the screen, that only counts its requests.
ECHO_PAGE = [
    "-c",
    """
import itertools
import gradio as gr

count = itertools.count()
def echo(picture):
    return next(count)

with gr.Blocks(analytics_enabled=False) as demo, gr.Row():
    with gr.Column():
        brush = gr.Brush(default_size=12, colors=["#000000"], color_mode="fixed")
        canvas = {"canvas_size": (400, 400), "fixed_canvas": True, "height": 522}
        pad = gr.Sketchpad(**canvas, brush=brush, layers=False, transforms=(), buttons=[], elem_id="pad")
        picture = gr.Image(type="filepath")
    with gr.Column():
        answer = gr.Textbox(elem_id="answer")
    listening = {"outputs": answer, "show_progress": "hidden", "trigger_mode": "always_last"}
    pad.change(echo, pad, api_name="predict", **listening)
    picture.change(echo, picture, api_name="predict_image", **listening)
demo.launch(css=".gradio-container { max-width: 1124px !important; }")
""",
]


def chromium():
    """Return the path of Chromium, or None if it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def megabytes(process_id="self", what="VmRSS"):
    """Return the memory of a process in MB, or its peak with `what="VmHWM"`."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def free_port():
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(command, variables=None, *, port=None, python=sys.executable, cwd=ROOT, env=os.environ, **how):
    """Run a Gradio page on `port` or a free one, yield its process and URL once it answers, and stop it.

    Its environment is `env` with `variables`. `how` are more arguments of `subprocess.Popen`.
    """
    port = port or free_port()
    own = {"MODEL_ID": "", "MODEL_REVISION": "", "GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen([python, *command], cwd=cwd, env={**env, **own, **(variables or {})}, **how)
    url = f"http://127.0.0.1:{port}"
    try:
        answering(process, f"{url}/config")
        yield process, url
    finally:
        process.terminate()
        process.wait(10)


def answering(process, url):
    """Wait until a server process that was just started answers at a URL."""
    deadline = time.monotonic() + 60
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            what = "none within a minute" if process.returncode is None else f"its exit status {process.returncode}"
            raise InputError(f"Expected an answer at {url}. Received: {what}")
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.05)


def ask(session, url, api_name, value):
    """Call a page over plain HTTP, without Gradio's client, and return the answer.

    Args:
        session: an httpx.Client, one per visitor.
        url: the page's URL.
        api_name: "predict" or "predict_image".
        value: the value of the pad or the picture, as Gradio encodes it.

    Returns:
        Whether it is an answer rather than an error, and its JSON text.
    """
    body = {"data": [value], "session_hash": f"{id(session):x}"}
    event = session.post(f"{url}/gradio_api/call/{api_name}", json=body).json()["event_id"]
    kind, answer = session.get(f"{url}/gradio_api/call/{api_name}/{event}").text.splitlines()[:2]
    return kind == "event: complete", answer.removeprefix("data: ")


def upload(session, url, name, content):
    """Upload a picture to a page, and return its value as Gradio encodes it."""
    (where,) = session.post(f"{url}/gradio_api/upload", files={"files": (name, content)}).json()
    return {"path": where, "meta": {"_type": "gradio.FileData"}}
