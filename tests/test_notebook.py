"""The notebook, from top to bottom, as Jupyter runs it."""

import shutil
import subprocess

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from benchmarks.pages import ROOT
from tests.conftest import data_file

NOTEBOOK = "notebooks/walkthrough.ipynb"


def test_the_notebook_is_kept_without_what_it_printed():
    cells = nbformat.read(ROOT / NOTEBOOK, as_version=4).cells
    assert not any(cell.get("outputs") for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    with np.load(data_file("MNIST_NPZ")) as arrays:
        np.savez(tmp_path / "part.npz", **{name: arrays[name][:12_000] for name in arrays})
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "part.npz"))
    # In a clone of its own: what it leaves is then seen.
    clone = tmp_path / "mnist-sketch"
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, clone / name)
    notebook = nbformat.read(clone / NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(clone / "notebooks")}}).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = "".join(output.get("text", "") for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 9
    assert "read as 7 (" in said
    left = {path.name for path in clone.iterdir()} - {name.split("/")[0] for name in files}
    assert left <= {"runs"}
