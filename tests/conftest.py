"""Small real data, a small trained model, the page in a process of its own, and a browser to see it with."""

import dataclasses
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from filelock import ReadWriteLock
from huggingface_hub import constants
from sklearn.datasets import load_digits

from benchmarks.pages import chromium, free_port, serving
from mnist_model import DigitClassifier, model_folder
from mnist_model.data import strokes
from mnist_model.publishing import card, hub
from mnist_model.reading import download
from mnist_model.reading.preprocessing import preprocess
from mnist_model.training import detector
from mnist_model.training.models import DIGIT_OR_NOT, SKETCH
from mnist_model.training.train import train
from scripts.train import main as train_main
from tests import HUB_PORT, LOCK
from tests.hub import Hub
from tests.strokes import strokes_of
from tests.visitor import PHONE, Visitor

TURNS = ReadWriteLock(LOCK)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Where pytest-xdist shares tests among processes, give each wing to one: two browsers would slow each other."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.parent.name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Run a test that is marked as alone while the other processes of pytest-xdist wait."""
    with TURNS.write_lock() if item.get_closest_marker("alone") else TURNS.read_lock():
        return (yield)


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch):
    """Tests say themselves which data and which model they mean."""
    for name in ("MNIST_NPZ", "PENDIGITS", "WILD", "MODEL_ID", "MODEL_REVISION", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def pen_digits():
    """300 PenDigits: the ten of `tests.strokes`, each in the hand of 30 writers."""
    rng = np.random.default_rng(0)
    writers = [writer for writer in strokes.WRITERS for _ in range(10)]
    return [strokes.PenDigit(i % 10, writer, strokes.vary(strokes_of(i % 10), rng)) for i, writer in enumerate(writers)]


@pytest.fixture(scope="session")
def small_npz(tmp_path_factory):
    """An .npz in MNIST's layout with scikit-learn's 1,797 real digits: 1,500 for training, the rest for testing."""
    digits = load_digits()
    images = np.stack([preprocess((16 * image.clip(0, 15)).astype(np.uint8)) for image in digits.images])
    labels = digits.target.astype(np.uint8)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x_train=images[:1500], y_train=labels[:1500], x_test=images[1500:], y_test=labels[1500:])
    return path


@pytest.fixture(scope="session")
def small_model(small_npz, tmp_path_factory):
    """The model folder of a short run of scripts.train on `small_npz`."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.warns(UserWarning, match="not the canonical MNIST train images"):
        train_main(["--data", str(small_npz), "--epochs", "4", "--out", str(out), "--name", "small"])
    return out / "small"


@pytest.fixture(scope="session")
def small_flagship(small_npz, pen_digits, tmp_path_factory):
    """A model folder of the flagship's recipe, with little data and for few epochs."""
    with np.load(small_npz) as arrays:
        images, labels = arrays["x_train"][:360], arrays["y_train"][:360]
    folder = tmp_path_factory.mktemp("flagship") / "sketch"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector, "DIGIT_OR_NOT", dataclasses.replace(DIGIT_OR_NOT, epochs=2))
        # Without AVX512-BF16, bfloat16 is ten times slower than float32.
        config = dataclasses.replace(SKETCH, epochs=1, ink=4, negatives=8, precision="float32")
        train(config, images, labels, folder, pen_digits=pen_digits)
    return folder


@pytest.fixture(scope="session")
def refusing_model(tmp_path_factory):
    """A model folder whose detector takes nothing for a digit."""
    folder = shutil.copytree(model_folder.PRETRAINED, tmp_path_factory.mktemp("refusing") / "model")
    model_folder.write_json(folder / model_folder.THRESHOLD_FILE, {"threshold": 1.5})
    return folder


@pytest.fixture
def loopback(tmp_path, monkeypatch):
    """A Hub on loopback with the users me and you, which the Hub's client asks; nothing of it is cached."""
    with Hub(tmp_path / "hub", {"hf_me": ["me", "club"], "hf_you": ["you"]}, HUB_PORT) as loopback:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(download, "WAITS", (0.01, 0.01, 0.01))
        yield loopback


@pytest.fixture
def published(loopback):
    """The sha of the commit that put the bundled model folder into the public repo me/digits, tagged v1."""
    return put("me/digits", tag="v1")


def put(repo_id, *, folder=model_folder.PRETRAINED, **how):
    """Publish a folder, as me, in a repo of the Hub on loopback, and return the commit's sha."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_TOKEN", "hf_me")
        return hub.publish(folder, repo_id, **how).sha


EXAMPLE = "examples/3-white-on-black.png"


def digit(revision=None, repo_id="me/digits"):
    """Return what the model of a repo of the Hub on loopback reads in EXAMPLE."""
    return DigitClassifier.from_pretrained(repo_id, revision=revision).predict(EXAMPLE).digit


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """What of the bundled model is to be published as me/digits with the tag v1.0."""
    out = tmp_path_factory.mktemp("prepared") / "repo"
    card.prepare(model_folder.PRETRAINED, out, "me/digits", "v1.0", hub_url=constants.ENDPOINT)
    return out


def missing(what):
    """Skip the test for want of something of the machine; in CI, where nothing may be missing, fail it."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {what}")


def data_file(variable):
    """Return the path that an environment variable names."""
    path = DATA_FILES[variable]
    if not path:
        missing(f"the data file that {variable} names")
    return Path(path)


# Read before `no_settings_of_the_machine` hides them.
DATA_FILES = {name: os.environ.get(name) for name in ("MNIST_NPZ", "PENDIGITS")}


@pytest.fixture(scope="session")
def page_url():
    """The address of `python app.py`, serving the bundled model."""
    with serving(["app.py"]) as (_, url):
        yield url


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if not path:
        missing("Chromium on the PATH")
    # The last of these keep the browser off the network; the canvas needs WebGL, which here software draws.
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, page_url):
    contexts = []

    def open_page(touch=False, url=page_url, **options):
        context = browser.new_context(**({**PHONE, **options} if touch else options))
        contexts.append(context)
        page = context.new_page()
        page.requests = []
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(url)
        page.wait_for_selector('#pad button[aria-label="Brush Size"]', timeout=30000)
        return Visitor(page, touch)

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def postgres():
    """The address, as SQLAlchemy has it, of an empty database on a PostgreSQL server of the tests' own, on loopback."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *filter(None, [shutil.which("initdb")])]
    if not found:
        missing("PostgreSQL's server (Debian's package postgresql)")
    programs = Path(found[-1]).parent
    # The server refuses to run as root; Debian's package makes a user for it.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    (folder / "password").write_text("let me in")
    if user:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
    cluster = folder / "cluster"

    def call(program, *arguments):
        subprocess.run([programs / program, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, **user)

    call("initdb", "-D", cluster, "-U", "me", "--pwfile", folder / "password", "--auth", "scram-sha-256", "--no-sync")
    port = free_port()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    call("pg_ctl", "start", "-w", "-D", cluster, "-l", folder / "log", "-o", options)
    yield f"postgresql+psycopg://me:let%20me%20in@127.0.0.1:{port}/postgres"
    call("pg_ctl", "stop", "-D", cluster, "-m", "immediate")
    shutil.rmtree(folder)
