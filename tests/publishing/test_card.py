"""The files that would be published for the bundled model."""

import re
import shutil
import tomllib
import zipfile

import pytest
from huggingface_hub import constants, metadata_load

from benchmarks.pages import ROOT
from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.publishing import card, wheel
from scripts import push_to_hub

WHEEL = f"mnist_sketch-{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}-py3-none-any.whl"


@pytest.fixture(scope="module")
def text(prepared):
    return (prepared / "README.md").read_text()


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(model_folder.PRETRAINED, tmp_path / "model")


def test_all_is_there_and_the_files_are_those_of_the_folder(prepared):
    names = {path.name for path in prepared.iterdir()}
    assert {path.name for path in model_folder.PRETRAINED.iterdir()} < names
    assert names - {path.name for path in model_folder.PRETRAINED.iterdir()} == {
        *("README.md", "config.json", "metadata.json", "model.weights.h5", "preprocessing.py", "example.png"),
        WHEEL,
    }
    for path in model_folder.PRETRAINED.iterdir():
        assert (prepared / path.name).read_bytes() == path.read_bytes()


def test_the_wheel_holds_the_whole_package_without_the_bundled_model(prepared):
    path = prepared / WHEEL
    assert path.stat().st_size < 150_000
    with zipfile.ZipFile(path) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "mnist_model"
    files = [*package.rglob("*.py"), *package.rglob("*.md")]
    assert names == {path.relative_to(ROOT).as_posix() for path in files}


def test_the_wheel_is_the_same_bytes_each_time(prepared, tmp_path):
    assert wheel.build(tmp_path).read_bytes() == (prepared / WHEEL).read_bytes()


def test_the_front_matter_is_what_the_hub_reads(prepared):
    front = metadata_load(prepared / "README.md")
    metrics = model_folder.read_json(model_folder.PRETRAINED / "metrics.json")
    assert (front["library_name"], front["pipeline_tag"]) == ("keras", "image-classification")
    assert front["license"] == "apache-2.0"
    (index,) = front["model-index"]
    mnist, drawn = (each["metrics"][0]["value"] for each in index["results"])
    assert mnist == metrics["mnist_test"]["accuracy"]["model.tflite"]
    assert drawn == metrics["drawn"]["systems"]["this model"]["ordinary"]["accuracy"]


def test_the_files_are_listed_with_their_sha256(prepared, text):
    listed = dict(re.findall(r"^\| `(.+)` \| [\d,]+ \| `([0-9a-f]{64})` \|$", text, re.M))
    assert listed == {path.name: model_folder.sha256(path) for path in prepared.iterdir() if path.name != "README.md"}


def test_the_snippets_are_pinned_and_can_be_parsed(text):
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == 4
    for snippet in snippets:
        compile(snippet, "snippet", "exec")
        assert "me/digits" in snippet
        assert "v1.0" in snippet
    assert "They are pinned to `v1.0`" in text


def test_the_snippets_carry_the_public_address_or_that_of_another_hub(text, tmp_path):
    card.prepare(model_folder.PRETRAINED, tmp_path / "out", "me/digits")
    public = (tmp_path / "out" / "README.md").read_text()
    assert len(re.findall("https://huggingface.co/me/digits/resolve/main/", public)) == 2
    assert constants.ENDPOINT not in public
    assert "HF_ENDPOINT" not in public
    assert len(re.findall(f"{constants.ENDPOINT}/me/digits/resolve/v1.0/", text)) == 2
    assert "set the environment variable `HF_ENDPOINT` to this address first" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repo-id", "owner"], "Expected a repo on the Hub, user/name. Received: owner"),
        (["--repo-id", ""], "Expected a repo on the Hub, user/name. Received: none"),
        (["--repo-id", "me/digits", "--hub-url", "my hub"], "Expected the address of a Hub, .* Received: my hub"),
    ],
)
def test_a_wrong_name_or_address_is_an_error_without_a_request(loopback, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setenv("HF_TOKEN", "hf_me")
    for more in ([], ["--dry-run", str(tmp_path / "out")]):
        with pytest.raises(InputError, match=message):
            push_to_hub.main([str(model_folder.PRETRAINED), *arguments, *more])
    assert loopback.requests == []
    assert not (tmp_path / "out").exists()


def test_the_pictures_it_shows_are_there(prepared, text):
    shown = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(shown) == 7
    assert all((prepared / name).exists() for name in shown)


def test_its_figures_are_those_of_the_record(folder, tmp_path):
    metrics = model_folder.read_json(folder / "metrics.json")
    metrics["mnist_test"]["accuracy"]["model.tflite"] = 0.12345
    metrics["mnist_test"]["classes"][3]["recall_interval"] = [0.4321, 0.5678]
    model_folder.write_json(folder / "metrics.json", metrics)
    card.prepare(folder, tmp_path / "out", "me/digits")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "replace `main` with its full sha" in text
    assert "| 12.35 % |" in text
    assert "| 43.21 to 56.78 |" in text


def test_the_command_trains_with_the_settings_of_the_record(text):
    command = re.search(r"```sh\n(python -m.*?)```", text, re.DOTALL)[1].replace("\\\n", " ").split()
    config = model_folder.read_json(model_folder.PRETRAINED / "training.json")["config"]
    network = config.pop("network")
    flags = dict(zip(command[3::2], command[4::2], strict=True))
    assert flags.pop("--network") == " ".join(f"{name}={value}" for name, value in network.items())
    assert flags == {f"--{name.replace('_', '-')}": str(value) for name, value in config.items()}


def test_a_model_of_mnist_alone_has_a_card_too(folder, tmp_path):
    for name in ("detector.tflite", "detector.json", "drawn.png"):
        (folder / name).unlink()
    metrics = model_folder.read_json(folder / "metrics.json")
    del metrics["drawn"]
    model_folder.write_json(folder / "metrics.json", metrics)
    training = model_folder.read_json(folder / "training.json")
    training["data"]["training"]["ink"] = 0
    model_folder.write_json(folder / "training.json", training)
    card.prepare(folder, tmp_path / "out", "me/digits")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "It answers a digit for everything" in text
    assert not re.search("pen strokes|detector|drawn", text)


def test_a_missing_figure_is_an_error_and_nothing_is_written(folder, tmp_path):
    metrics = model_folder.read_json(folder / "metrics.json")
    del metrics["mnist_test"]["top_2_accuracy"]
    model_folder.write_json(folder / "metrics.json", metrics)
    with pytest.raises(InputError, match="Expected records with all that the card says. .*top_2_accuracy"):
        card.prepare(folder, tmp_path / "out", "me/digits")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", card.REQUIRED_FILES)
def test_a_folder_that_is_not_whole_is_an_error(folder, tmp_path, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"Expected a model folder with {name}"):
        card.prepare(folder, tmp_path / "out", "me/digits")


@pytest.mark.parametrize("name", ["model.keras", "model.tflite", "detector.tflite", "detector.json"])
def test_a_file_that_is_not_the_one_that_was_measured_is_an_error(folder, tmp_path, name):
    with open(folder / name, "ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match=f"Expected the files that were measured .* with {name} changed"):
        card.prepare(folder, tmp_path / "out", "me/digits")
