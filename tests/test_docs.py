"""What README.md and docs say is true, and their commands run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import ablate, benchmark, results
from benchmarks.pages import ROOT
from mnist_model import model_folder
from mnist_model.data import mnist
from mnist_model.publishing import card, hub
from mnist_model.training import tuning
from mnist_model.training.models import CNN, MODELS
from scripts import deploy_space, evaluate, predict, push_to_hub, train, train_detector, tune

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = {
    each.__name__.removeprefix("scripts."): each
    for each in (deploy_space, evaluate, predict, push_to_hub, train, train_detector, tune)
}


@pytest.mark.parametrize("file", results.TABLES)
def test_the_tables_are_those_of_the_records(file):
    text = (ROOT / file).read_text()
    assert results.with_tables(text, results.TABLES[file]) == text


def test_every_model_has_a_row():
    text = (ROOT / "docs" / "results.md").read_text()
    for name in MODELS:
        assert f"\n| `{name}`" in text


def test_the_readme_can_be_read_to_the_end():
    assert len(README.splitlines()) <= 180
    assert len(results.headlines_table().splitlines()) - 2 <= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_and_picture_is_there(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        file, _, heading = target.partition("#")
        if not file.startswith("http"):
            path = (page.parent / file) if file else page
            assert path.exists(), target
            if heading:
                headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
                assert heading in [each.lower().replace(" ", "-") for each in headings]


def commands(page):
    """Return the lines of the shell blocks of a page, those that go on joined."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def scripts_of(page):
    """Return the name and the arguments of each script that a page runs, in its blocks or in its text."""
    inline = re.findall(r"`(python -m scripts\.[^`]+)`", page.read_text())
    found = re.findall(r"python -m scripts\.(\w+)(.*)$", "\n".join(commands(page) + inline), re.M)
    return [(name, arguments) for name, arguments in found if "--help" not in arguments]


class Parsed(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "arguments"),
    sorted({each for page in PAGES for each in scripts_of(page)}),
    ids=lambda words: words.strip(),
)
def test_every_script_takes_the_arguments_that_are_shown(monkeypatch, name, arguments):
    def parsed(*_, **__):
        raise Parsed

    # What each script does first once its arguments are parsed.
    for module, function in (
        (mnist, "load_train"),
        (mnist, "load_test"),
        (model_folder, "find"),
        (card, "prepare"),
        (hub, "find"),
        (predict.DigitClassifier, "from_pretrained"),
    ):
        monkeypatch.setattr(module, function, parsed)
    monkeypatch.setattr(tuning, "best_config", lambda folder: CNN)
    monkeypatch.setattr("mnist_model.training.train.resumed_config", lambda folder: CNN)
    with pytest.raises(Parsed):
        SCRIPTS[name].main(shlex.split(arguments))


# Every other command, and what runs it: a test here, or what a person does to run the tests at all.
COVERED = {
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python app.py": "test_whole_way",
    "python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt && .venv/bin/python -m pytest": ".ci/run",
    "python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt": ".ci/run",
    ".venv/bin/python -m pytest": ".ci/run",
    ".venv/bin/ruff check . && .venv/bin/ruff format --check .": ".ci/run",
    ".venv/bin/pip install -r requirements-train.txt": ".ci/run",
    "MODEL_ID=user/name MODEL_REVISION=v1.0 .venv/bin/python app.py": "test_whole_way",
    "MODEL_ID=runs/my-model .venv/bin/python app.py": "test_app",
    "git lfs migrate import --everything --include='*.keras,*.tflite'": "needs Git LFS and the real Hub",
    "git push --force https://huggingface.co/spaces/user/space main": "needs the real Hub",
}


def test_every_other_command_is_known():
    found = {line for page in PAGES for line in commands(page) if "python -m scripts." not in line}
    assert found == COVERED.keys()
    names = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert {each for each in COVERED.values() if each.startswith("test_")} <= names


def run(*words, **environment):
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True
    ).stdout


def test_the_readme_reads_the_examples():
    for name, arguments in scripts_of(ROOT / "README.md"):
        if name == "predict":
            examples = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "examples").iterdir())
            words = [word for word in shlex.split(arguments) if word != "examples/*"]
            lines = run("-m", "scripts.predict", *words, *examples).splitlines()
            assert len(lines) == len(examples)
            for path, line in zip(examples, lines, strict=True):
                digit = Path(path).name[0]
                assert f'"digit": {digit}' in line if words else line.startswith(f"{path}: {digit} (")


def test_the_python_of_the_readme_runs(page_url):
    reader, client = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert re.fullmatch(r"7 0\.\d+\n", run("-c", reader))
    assert run("-c", client.replace("http://127.0.0.1:7860", page_url)).splitlines()[-1] == "3"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
def test_the_commands_of_training_and_tuning_run_one_after_the_other(small_npz, tmp_path):
    """On small data and for one epoch; but for those that want pen strokes, which test_train and test_drawn run."""
    for page in ("training.md", "tuning.md"):
        for name, arguments in scripts_of(ROOT / "docs" / page):
            if re.search("sketch|--resume", arguments):
                continue
            words = shlex.split(arguments.replace("runs/", f"{tmp_path}/"))
            words += ["--data", str(small_npz)]
            words += {"train": ["--epochs", "1"], "tune": ["--epochs", "1", "--trials", "2"]}.get(name, [])
            words += [] if name == "evaluate" else ["--out", str(tmp_path)]
            SCRIPTS[name].main(words)
    for name in ("my-model", "mlp-128-seed0", "my-tuned-model"):
        assert (tmp_path / name / "training.json").exists()


def test_the_records_were_made_from_clean_commits():
    folders = [model_folder.PRETRAINED, *results.RECORDS.iterdir()]
    paths = [folder / name for folder in folders for name in ("training.json", "metrics.json")]
    records = [*map(model_folder.read_json, paths), *model_folder.read_json(benchmark.RECORD).values()]
    if ablate.RECORD.exists():
        records += model_folder.read_json(ablate.RECORD)
    for record in records:
        assert re.fullmatch("[0-9a-f]{40}", record["git_commit"]), record


def test_the_records_of_a_folder_become_a_row(tmp_path, monkeypatch):
    records, page = tmp_path / "records", tmp_path / "results.md"
    monkeypatch.setattr(results, "RECORDS", records)
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "TABLES", {"results.md": [results.results_table, results.speed_table]})
    tables = "between\n".join("old\n".join(results.marks(table)) for table in results.TABLES["results.md"])
    page.write_text(f"before\n{tables}after\n")
    folders = []
    for seed, (accuracy, seconds) in enumerate([(0.97, 10), (0.98, 14)]):
        folder = tmp_path / f"mlp-512-seed{seed}"
        shutil.copytree(model_folder.PRETRAINED, folder)
        training = model_folder.read_json(folder / "training.json")
        training["config"] |= {"model": "mlp-512", "epochs": 5, "seed": seed}
        training["seconds"] = seconds
        training["history"][-1]["val_accuracy"] = accuracy - 0.01
        model_folder.write_json(folder / "training.json", training)
        metrics = model_folder.read_json(folder / "metrics.json")
        metrics["mnist_test"]["accuracy"]["model.tflite"] = accuracy
        model_folder.write_json(folder / "metrics.json", metrics)
        folders.append(str(folder))
    results.main(folders)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    row = [cell.strip() for cell in lines[lines.index("between") - 2].strip("|").split("|")]
    assert row[0] == "`mlp-512`"
    assert row[2:8] == ["96.50 ± 0.71", "97.50 ± 0.71", "98.04", "2", "5", "12 ± 3"]
    assert {path.name for path in (records / "mlp-512-seed0").iterdir()} == {"training.json", "metrics.json"}


def test_a_seed_without_a_twin_counts_for_the_model_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RECORDS", tmp_path)
    shutil.copytree(model_folder.PRETRAINED, tmp_path / "sketch-seed1")
    metrics = model_folder.read_json(tmp_path / "sketch-seed1" / "metrics.json")
    systems = metrics["drawn"]["systems"]
    metrics["drawn"]["systems"] = {"this model": systems["this model"]}
    systems["this model"]["mnist_test"]["accuracy"] -= 0.01
    model_folder.write_json(tmp_path / "sketch-seed1" / "metrics.json", metrics)
    cells = results.drawn_table().splitlines()[2].strip("| ").split(" | ")
    accuracy = 100 * (systems["this model"]["mnist_test"]["accuracy"] + 0.005)
    assert cells[2].strip("*") == f"{accuracy:.2f} ± 0.71"
    assert [len(each.split()) for each in cells[3:]] == [1, 1]


def test_the_space_is_built_with_the_gradio_of_the_requirements():
    requirements = (ROOT / "requirements.txt").read_text()
    assert re.search(r"^sdk_version: (.+)$", README, re.M)[1] == re.search(r"^gradio==(.+)$", requirements, re.M)[1]


def test_the_tree_names_every_module():
    tree = re.search(r"```\n(app\.py.*?)```", README, re.DOTALL)[1]
    for folder in ("mnist_model", "scripts", "benchmarks", "page"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".js", ".css", ".html") and path.stem != "__init__":
                assert re.search(rf"\b{path.stem}\b", tree), path
