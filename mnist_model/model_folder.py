"""The files of a model folder, and functions to write them completely or not at all.

Training and publishing meet here, and so do the page and the Hub.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from mnist_model.errors import InputError

KERAS_FILE = "model.keras"  # the Keras model, without the optimizer's state
LITERT_FILE = "model.tflite"  # the same model for LiteRT, float32
DETECTOR_FILE = "detector.tflite"  # tells digits from everything else; optional
THRESHOLD_FILE = "detector.json"  # the score below which a picture is refused
TRAINING_FILE = "training.json"  # how the model was made
METRICS_FILE = "metrics.json"  # how good it is, measured on these files
SERVING_FILES = (LITERT_FILE, DETECTOR_FILE, THRESHOLD_FILE)
CURVES_FILE = "learning_curves.png"
CONFUSION_FILE = "confusion_matrix.png"
RELIABILITY_FILE = "reliability.png"
SAMPLES_FILE = "samples.png"
ERRORS_FILE = "errors.png"  # those misread most confidently
DRAWN_FILE = "drawn.png"
WILD_FILE = "wild.png"  # other people's pictures, so it is never published
FILTERS_FILE = "filters.png"  # of the first layer, if it is a convolution
BENCHMARKS = ("drawn", "wild")  # the parts of METRICS_FILE with a sha256 of their own

PRETRAINED = Path(__file__).parent / "pretrained"  # the bundled model folder


def find(folder, *names):
    """Return the paths of the files `names` in `folder`.

    Raises:
        InputError: there is no such folder, or a file is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"Expected a model folder. Received: {folder}, which is not a folder")
    for name in names:
        if not (folder / name).is_file():
            raise InputError(f"Expected a model folder with {name}. Received: {folder}, which has none")
    return [folder / name for name in names]


def read_json(path):
    """Return the content of a JSON file; raise InputError if it is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"Expected JSON. Received: {path}, unreadable: {error}") from None


def write_json(path, content):
    """Write `content` to `path` as JSON. A reader sees the old file or the new one, never part of one."""
    beside = path.with_name(path.name + ".partial")
    beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, path)


@contextlib.contextmanager
def new_folder(path):
    """Yield an empty folder to fill; rename it to `path` if the block succeeds, otherwise remove it.

    Raises:
        InputError: `path` exists.
    """
    path = Path(path)
    refuse_existing(path)
    beside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)  # left by a run that was killed
    beside.mkdir(parents=True)
    try:
        yield beside
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_existing(path):
    """Raise InputError if `path` exists."""
    if path.exists():
        raise InputError(f"Expected the name of a folder to make. Received: {path}, which exists")


def sha256(path):
    """Return the sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serving_sha256(folder):
    """Return the sha256 of each of SERVING_FILES that `folder` has."""
    return {name: sha256(folder / name) for name in SERVING_FILES if (folder / name).exists()}


def damaged(folder):
    """Return the names, joined by commas, of the files that differ from those `metrics.json` was measured on."""
    (path,) = find(folder, METRICS_FILE)
    metrics = read_json(path)
    recorded = {}
    for record in (metrics, *(metrics.get(name, {}) for name in BENCHMARKS)):
        recorded |= record.get("sha256", {})
    present = {name: digest for name, digest in recorded.items() if (path.parent / name).exists()}
    return ", ".join(name for name, digest in present.items() if sha256(path.parent / name) != digest)


def provenance(*packages):
    """Return how a record was made: git commit, versions of Python and `packages`, machine."""
    return {
        "git_commit": _git_commit(),
        "versions": {"python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in packages},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
    }


def _git_commit():
    """Return the commit of this source, followed by "+changes" if files differ from it; None outside a checkout.

    Changes in docs/ do not count: scripts write their records there, often many before one commit.
    """

    def git(*arguments):
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", ":/", ":!/docs") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
