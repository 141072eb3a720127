"""Measure what it costs to run the page as a Space does: python -m scripts.benchmark

It makes two environments, as a Space builds them: that of the page, and one with Keras besides, in which the same page
serves the same network through `model.predict`. All is measured in turns. The record goes to docs/benchmark.json, from
which scripts.results writes the README's table.
"""

import argparse
import contextlib
import datetime
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from mnist_model.errors import InputError
from scripts import run

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs" / "benchmark.json"
EXAMPLE = ROOT / "examples" / "2-white-on-black.png"

PAGE = ["app.py"]
KERAS_PAGE = [
    "-c",
    """
import keras
from mnist_model import inference, model_folder

class KerasModel:
    def __init__(self, path):
        self.model = keras.saving.load_model(path.with_name(model_folder.KERAS_FILE), compile=False)

    def probabilities(self, images):
        return self.model.predict(images[..., None], verbose=0)

LiteRTModel = inference.LiteRTModel
inference.LiteRTModel = lambda path, outputs=10: KerasModel(path) if outputs == 10 else LiteRTModel(path, outputs)
import app
app.demo.launch()
""",
]


def main(argv=None):
    from tqdm import tqdm

    from mnist_model import model_folder

    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark",
        description="Measure the page in a Space's environment, beside one with Keras, into docs/benchmark.json.",
    )
    parser.add_argument("--installs", type=int, default=3, help="how often each environment is made (default: 3)")
    parser.add_argument("--starts", type=int, default=5, help="how often each page is started (default: 5)")
    arguments = parser.parse_args(argv)
    steps = space(arguments.installs, arguments.starts)
    *_, costs = tqdm(steps, total=2 * (arguments.installs + arguments.starts), unit="measurement")
    record = {
        "space": costs,
        "date": datetime.date.today().isoformat(),
        **model_folder.provenance("gradio", "ai-edge-litert", "tensorflow", "keras"),
    }
    model_folder.write_json(RECORD, record)
    print(RECORD)


def space(installs, starts):
    """Measure the environment of the page and one with Keras besides, in turns.

    Args:
        installs: how often each is made.
        starts: how often each page is started.

    Yields:
        After each measurement the dict of all so far: for "page" and "page on Keras" lists of `installed_bytes`,
        of `install_seconds`, of `start_seconds`, from the start of the process to its first answer, and of
        `memory_bytes`, which it has in memory then.
    """
    requirements = (ROOT / "requirements.txt").read_text(), (ROOT / "requirements-train.txt").read_text()
    gradio, keras, tensorflow = (
        re.search(f"^{name}==.*$", "".join(requirements), re.M)[0] for name in ("gradio", "keras", "tensorflow")
    )
    own = [gradio], ["-r", "requirements.txt"]  # as a Space installs them, one after the other
    pages = {"page": (PAGE, own), "page on Keras": (KERAS_PAGE, (*own, [keras, tensorflow]))}
    measured = "installed_bytes", "install_seconds", "start_seconds", "memory_bytes"
    costs = {name: {each: [] for each in measured} for name in pages}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(installs):
            for name, (_, requirements) in pages.items():
                environment = Path(folder) / name.replace(" ", "-")
                subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
                before, start = size(environment), time.monotonic()
                for each in requirements:
                    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
                    subprocess.run([*pip, "--disable-pip-version-check", *each], cwd=ROOT, check=True)
                costs[name]["install_seconds"].append(time.monotonic() - start)
                costs[name]["installed_bytes"].append(size(environment) - before)
                yield costs
        for _ in range(starts):
            for name, (command, _) in pages.items():
                seconds, memory = start_of(command, Path(folder) / name.replace(" ", "-") / "bin" / "python")
                costs[name]["start_seconds"].append(seconds)
                costs[name]["memory_bytes"].append(memory)
                yield costs


def size(folder):
    """Return the bytes of all the files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def start_of(command, python=sys.executable):
    """Start a page, have it read a picture, and end it.

    Returns:
        The seconds from the start of the process to its answer, and the bytes that it has in memory then.
    """
    from gradio_client import Client, handle_file

    start = time.monotonic()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with serving(command, python=python, **quiet) as (process, url):
        client = Client(url, verbose=False, analytics_enabled=False)
        client.predict(handle_file(EXAMPLE), api_name="/predict_image")
        seconds = time.monotonic() - start
        status = Path(f"/proc/{process.pid}/status").read_text()
    return seconds, 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


def free_port():
    """Return a port of 127.0.0.1 that no server has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(command, variables=None, *, python=sys.executable, cwd=ROOT, env=os.environ, **how):
    """Run `command`, a Gradio page, on a free port; give its process and URL once it answers, and end it.

    Its environment is `env` with `variables`; `how` is what `subprocess.Popen` takes besides.
    """
    port = free_port()
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
    """Wait until a server, a process that was just started, answers at an address."""
    deadline = time.monotonic() + 60
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            what = "none within a minute" if process.returncode is None else f"its exit status {process.returncode}"
            raise InputError(f"Expected an answer at {url}. Received: {what}")
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.05)


if __name__ == "__main__":
    run(main)
