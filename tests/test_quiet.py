"""What the commands print on stderr: errors, and no log of a library."""

import os
import subprocess
import sys

import pytest

from benchmarks.pages import ROOT, serving
from mnist_model.quiet import quiet_stderr


def test_what_is_written_past_python_is_hidden(capfd):
    with quiet_stderr():
        os.write(2, b"log")
    os.write(2, b"error")
    assert capfd.readouterr().err == "error"


def test_it_is_shown_if_the_block_fails(capfd):
    def fail():
        with quiet_stderr():
            os.write(2, b"why")
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()
    assert capfd.readouterr().err == "why"


def stderr_of(*arguments):
    # Python's own warning, that other data than MNIST is trained on, is to be seen.
    command = [sys.executable, "-W", "ignore:These are not the canonical MNIST", "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr


def test_predict_prints_no_log_lines():
    assert stderr_of("scripts.predict", *(ROOT / "examples").iterdir()) == ""


@pytest.mark.slow
def test_train_prints_no_log_lines(tmp_path, small_npz):
    assert stderr_of("scripts.train", "--model", "mlp-128", "--epochs", 1, "--data", small_npz, "--out", tmp_path) == ""


@pytest.mark.slow
def test_the_page_prints_no_log_lines(capfd):
    with serving(["app.py"]):
        pass
    assert capfd.readouterr().err == ""
