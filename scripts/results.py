"""Write the README's table of results from the records of model folders: python -m scripts.results [FOLDER...]

The records of each FOLDER, training.json and metrics.json, are first copied into docs/results, where they stay.
"""

import argparse
import collections
import json
import re
import shutil
import statistics
from pathlib import Path

from mnist_model import model_folder
from mnist_model.errors import InputError
from scripts import run

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "docs" / "results"
README = ROOT / "README.md"
BEGIN, END = "<!-- results: written by scripts.results -->\n", "<!-- end of results -->\n"

# What the authors of the recipes say of them, on MNIST's test set.
REPORTED = {"mlp-128": "97–98", "mlp-128-128": "97.05", "mlp-512": "98.04"}


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results",
        description="Write the README's table of results from the records in docs/results and of the bundled model.",
    )
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="a model folder to keep the records of")
    for folder in parser.parse_args(argv).folders:
        paths = model_folder.find(folder, model_folder.TRAINING_FILE, model_folder.METRICS_FILE)
        kept = RECORDS / folder.resolve().name
        kept.mkdir(parents=True, exist_ok=True)
        for path in paths:
            shutil.copyfile(path, kept / path.name)
    text = README.read_text(encoding="utf-8")
    README.write_text(with_table(text), encoding="utf-8")


def with_table(text):
    """Return a text with the table between its marks written anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"Expected the marks of the table in README.md. Received: none of {BEGIN.strip()}")
    return before + BEGIN + table() + END + after


def table():
    """Return the table of results in Markdown, a row for each recipe: the runs that differ in nothing but the seed."""
    rows = collections.defaultdict(list)
    for folder in [model_folder.PRETRAINED, *sorted(RECORDS.iterdir())]:
        paths = model_folder.find(folder, model_folder.TRAINING_FILE, model_folder.METRICS_FILE)
        training, metrics = map(model_folder.read_json, paths)
        recipe = {name: value for name, value in training["config"].items() if name != "seed"}
        rows[json.dumps(recipe)].append((folder, training, metrics))

    lines = [
        "| model | parameters | validation, % | MNIST test, % | its author reports | seeds | epochs | seconds | size |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for runs in rows.values():
        folders, trainings, evaluations = zip(*runs, strict=True)
        config = trainings[0]["config"]
        name = f"`{config['model']}`, bundled"
        if model_folder.PRETRAINED not in folders:
            name = f"`{re.sub('-seed[0-9]+$', '', folders[0].name)}`"
        cells = [
            name,
            f"{trainings[0]['parameters']:,}",
            _mean_and_spread([100 * training["history"][-1]["val_accuracy"] for training in trainings], 2),
            _mean_and_spread([100 * each["mnist_test"]["accuracy"]["model.tflite"] for each in evaluations], 2),
            REPORTED.get(config["model"], ""),
            f"{len(runs)}",
            f"{config['epochs']}",
            _mean_and_spread([training["seconds"] for training in trainings], 0),
            f"{evaluations[0]['bytes']['model.tflite'] / 1000:.0f} kB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean_and_spread(values, digits):
    """Return the mean, and where there is more than one value the standard deviation."""
    mean = f"{statistics.mean(values):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


if __name__ == "__main__":
    run(main)
