"""The README says what is so."""

import re
import shutil

from benchmarks import ablate, benchmark, results
from benchmarks.pages import ROOT
from mnist_model import model_folder
from mnist_model.training.models import MODELS

README = (ROOT / "README.md").read_text()


def test_the_results_are_those_of_the_records():
    assert results.with_tables(README) == README
    for name in MODELS:
        assert f"\n| `{name}`" in README


def test_the_records_were_made_from_clean_commits():
    folders = [model_folder.PRETRAINED, *results.RECORDS.iterdir()]
    paths = [folder / name for folder in folders for name in ("training.json", "metrics.json")]
    records = [*map(model_folder.read_json, paths), *model_folder.read_json(benchmark.RECORD).values()]
    if ablate.RECORD.exists():
        records += model_folder.read_json(ablate.RECORD)
    for record in records:
        assert re.fullmatch("[0-9a-f]{40}", record["git_commit"]), record


def test_the_records_of_a_folder_become_a_row(tmp_path, monkeypatch):
    records, readme = tmp_path / "records", tmp_path / "README.md"
    monkeypatch.setattr(results, "RECORDS", records)
    monkeypatch.setattr(results, "README", readme)
    tables = "between\n".join(f"{begin}old\n{end}" for begin, end in results.MARKS.values())
    readme.write_text(f"before\n{tables}after\n")
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
    lines = readme.read_text().splitlines()
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
    files = [*(ROOT / "mnist_model").glob("*.py"), *(ROOT / "scripts").glob("*.py")]
    for name in [path.stem for path in files if path.stem != "__init__"]:
        assert name in README
