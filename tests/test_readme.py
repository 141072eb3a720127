"""The README says what is so."""

import re

from mnist_model import model_folder
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_results_are_those_of_the_bundled_model():
    training = model_folder.read_json(model_folder.PRETRAINED / "training.json")
    metrics = model_folder.read_json(model_folder.PRETRAINED / "metrics.json")
    config = training["config"]
    accuracy = metrics["mnist_test"]["accuracy"]
    assert accuracy["model.keras"] == accuracy["model.tflite"]
    size = (model_folder.PRETRAINED / "model.tflite").stat().st_size
    row = (
        f"| `{config['model']}`, bundled | {training['parameters']:,} | {100 * accuracy['model.tflite']:.2f} % "
        f"| {size / 1000:.0f} kB | {config['epochs']} epochs, seed {config['seed']}, "
        f"{training['seconds'] / 60:.0f} minutes on {training['machine']} |"
    )
    assert row in README.splitlines(), row


def test_the_space_is_built_with_the_gradio_of_the_requirements():
    requirements = (ROOT / "requirements.txt").read_text()
    assert re.search(r"^sdk_version: (.+)$", README, re.M)[1] == re.search(r"^gradio==(.+)$", requirements, re.M)[1]


def test_the_tree_names_every_module():
    files = [*(ROOT / "mnist_model").glob("*.py"), *(ROOT / "scripts").glob("*.py")]
    for name in [path.stem for path in files if path.stem != "__init__"]:
        assert name in README
