"""Write the tables of README.md and docs from the records: python -m benchmarks.results [FOLDER...]

The records of each model FOLDER, training.json and metrics.json, are first copied to docs/results.
"""

import argparse
import collections
import json
import re
import shutil
import statistics
from pathlib import Path

from benchmarks import ablate, benchmark
from benchmarks.pages import ROOT
from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.publishing import card
from scripts import run

RECORDS = ROOT / "docs" / "results"

# What the authors of the recipes report, on MNIST's test set, in %.
REPORTED = {"mlp-128": "97–98", "mlp-128-128": "97.05", "mlp-512": "98.04"}


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.results",
        description="Write the tables of README.md and docs from the records in docs and of the bundled model.",
    )
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="a model folder whose records to keep")
    for folder in parser.parse_args(argv).folders:
        paths = model_folder.find(folder, model_folder.TRAINING_FILE, model_folder.METRICS_FILE)
        kept = RECORDS / folder.resolve().name
        kept.mkdir(parents=True, exist_ok=True)
        for path in paths:
            shutil.copyfile(path, kept / path.name)
    for file, tables in TABLES.items():
        path = ROOT / file
        path.write_text(with_tables(path.read_text(encoding="utf-8"), tables), encoding="utf-8")


def marks(table):
    """Return the lines before and after a table, a function of this module."""
    name = table.__name__.removesuffix("_table")
    return f"<!-- {name}: written by benchmarks.results -->\n", f"<!-- end of {name} -->\n"


def with_tables(text, tables):
    """Return a text in which the tables between their marks are written anew.

    Raises:
        InputError: the text lacks the marks of a table.
    """
    for table in tables:
        before, begin, rest = text.partition(marks(table)[0])
        _, end, after = rest.partition(marks(table)[1])
        if not end:
            raise InputError(f"Expected a text with the marks of a table. Received: none of {marks(table)[0].strip()}")
        text = before + begin + table() + end + after
    return text


def _recipes():
    """Return the records by recipe: for each a list of (folder, training, metrics) that differ in the seed alone."""
    recipes = collections.defaultdict(list)
    for folder in [model_folder.PRETRAINED, *sorted(RECORDS.iterdir())]:
        paths = model_folder.find(folder, model_folder.TRAINING_FILE, model_folder.METRICS_FILE)
        training, metrics = map(model_folder.read_json, paths)
        recipe = {name: value for name, value in training["config"].items() if name != "seed"}
        recipes[json.dumps(recipe)].append((folder, training, metrics))
    return recipes.values()


def results_table():
    """Return the table of results in Markdown, a row for each recipe."""
    lines = [
        "| model | parameters | validation, % | MNIST test, % | its author reports | seeds | epochs | seconds | size |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for runs in _recipes():
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


def _drawn_records():
    """Return what the drawn-digit benchmark says of the bundled recipe, the bundled model first."""
    return [metrics["drawn"] for _, _, metrics in next(iter(_recipes())) if "drawn" in metrics]


# What the README shows of the drawn-digit benchmark: in its words, the row of the card's table.
HEADLINES = {
    "MNIST's test digits read, %": "MNIST test",
    "digits drawn by people it never saw read, %": "drawn, ordinary brush and size",
    "the same, small in the worst of four corners, %": "small in a corner, the worst of four",
    "photographs of such digits read, %": "photographed, mean of all papers",
    "drawings of anything else refused, %": "*refused*, of what is no digit, all kinds",
}


def headlines_table():
    """Return in Markdown the figures that matter most, beside those of the usual way."""
    lines = ["| | this project | the usual way | |", "|---|--:|--:|---|"]
    records = _drawn_records()
    rows = [{words: shares for words, _, shares in card.drawn_rows(record)} for record in records]
    for words, row in HEADLINES.items():
        usual = rows[0][row][-1]
        cells = [_mean_and_spread([each[row][0] for each in rows], 2), "–" if usual is None else f"{usual:.2f}"]
        lines.append(f"| {words} | {' | '.join(cells)} | [more](docs/drawn.md) |")
    record = model_folder.read_json(benchmark.RECORD)
    for words, part, figure, unit, ours, other in (
        ("one prediction, ms", "prediction", "ms", 1, "DigitClassifier", "model.predict"),
        ("a Space: start to the first answer, seconds", "space", "seconds", 1, "page", "page on Keras"),
        ("a Space: installed, MB", "space", "installed bytes", 1e6, "page", "page on Keras"),
    ):
        medians = [statistics.median(record[part]["measured"][name][figure]) / unit for name in (ours, other)]
        lines.append(f"| {words} | {' | '.join(map(_three_digits, medians))} | [more](docs/speed.md) |")
    return "\n".join(lines) + "\n"


def drawn_table():
    """Return in Markdown what the drawn-digit benchmark says of the bundled recipe, a column for each system."""
    records = _drawn_records()
    if not records:
        return "No record yet.\n"
    systems = list(records[0]["systems"])
    lines = [f"| right, or *as named*, in % | aim | {' | '.join(systems)} |", "|---|--:|" + "--:|" * len(systems)]
    for rows in zip(*map(card.drawn_rows, records), strict=True):
        words, aim, _ = rows[0]
        # Of the seeds, one alone may have been measured beside its twin.
        first, *others = ([shares[i] for _, _, shares in rows if i < len(shares)] for i in range(len(systems)))
        cells = [_beside(aim, first), *("–" if None in shares else _mean_and_spread(shares, 2) for shares in others)]
        lines.append(f"| {words} | {aim} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shortfalls_table():
    """Return in Markdown the lines of the drawn-digit benchmark where the bundled recipe misses its aim."""
    lines = []
    for rows in zip(*map(card.drawn_rows, _drawn_records()), strict=True):
        words, aim, _ = rows[0]
        shares = [shares[0] for _, _, shares in rows]
        if _misses(statistics.mean(shares), aim):
            lines.append(f"- {words}: {_mean_and_spread(shares, 2)}, to be {aim}; the bundled model {shares[0]:.2f}.\n")
    return "".join(lines) or "- None.\n"


def ablation_table():
    """Return in Markdown what the flagship's recipe reads in short runs without each of its parts."""
    if not ablate.RECORD.exists():
        return "No record yet.\n"
    runs = collections.defaultdict(list)
    for record in model_folder.read_json(ablate.RECORD):
        runs[record["without"]].append(record)
    lines = ["| without | MNIST test, % | held-out writers, % | seeds |", "|---|--:|--:|--:|"]
    for part in filter(runs.get, ablate.PARTS):
        cells = [part]
        for name in ("mnist_test", "held_out_writers"):
            cells.append(_mean_and_spread([100 * record["accuracy"][name] for record in runs[part]], 2))
        lines.append(f"| {' | '.join([*cells, str(len(runs[part]))])} |")
    return "\n".join(lines) + "\n"


# In words, the part and the figure of the record, its unit, ours, what it stands beside if any, the aim of the ratio.
COMPARISONS = [
    ("one prediction, ms", "prediction", "ms", 1, "DigitClassifier", "model.predict", "≤ 0.02"),
    ("", "prediction", "ms", 1, "DigitClassifier", "model(x)", ""),
    ("", "prediction", "ms", 1, "DigitClassifier", "tf.function", ""),
    ("", "prediction", "ms", 1, "DigitClassifier", "onnxruntime", "≤ 1.3"),
    ("images a second, one at a time", "throughput", "batches of 1", 1, "LiteRT", "model.predict", ""),
    ("images a second, 32 at a time", "throughput", "batches of 32", 1, "LiteRT", "model.predict", ""),
    ("images a second, 1,024 at a time", "throughput", "batches of 1,024", 1, "LiteRT", "model.predict", ""),
    ("start to the first answer, seconds", "start", "seconds", 1, "page", "echo", "≤ 1.15"),
    ("", "start", "seconds", 1, "page", "page on Keras", ""),
    ("in memory then, MB", "start", "bytes", 1e6, "page", "echo", "≤ 1.3"),
    ("", "start", "bytes", 1e6, "page", "page on Keras", ""),
    ("end of a stroke to the answer, ms", "stroke", "ms", 1, "page", "echo", "≤ 1.1"),
    ("requests a second, 1 client", "requests", "1 clients", 1, "page", "echo", ""),
    ("requests a second, 8 clients", "requests", "8 clients", 1, "page", "echo", ""),
    ("requests a second, 32 clients", "requests", "32 clients", 1, "page", "echo", "≥ 0.8"),
    ("32 clients for two minutes: requests that failed", "load", "requests", 1, "failed", "all", "≤ 0"),
    ("seconds in which 19 of 20 were answered", "load", "p95 seconds", 1, "all", None, ""),
    ("in memory at their end, MB", "load", "bytes", 1e6, "at the end", "when warm", "≤ 1.1"),
    ("a Space: installed, MB", "space", "installed bytes", 1e6, "page", "page on Keras", ""),
    ("seconds to install", "space", "install seconds", 1, "page", "page on Keras", ""),
    ("start to the first answer, seconds", "space", "seconds", 1, "page", "page on Keras", ""),
    ("in memory then, MB", "space", "bytes", 1e6, "page", "page on Keras", ""),
]


def speed_table():
    """Return in Markdown what was measured beside what it is compared with, in medians."""
    record = model_folder.read_json(benchmark.RECORD)
    lines = ["| | this project | beside | | ratio | aim |", "|---|--:|---|--:|--:|--:|"]
    for words, part, figure, unit, ours, other, aim in COMPARISONS:
        if part in record:
            measured = record[part]["measured"]
            own = statistics.median(measured[ours][figure]) / unit
            cells = [words, _three_digits(own), "", "", "", aim]
            if other:
                beside = statistics.median(measured[other][figure]) / unit
                cells[2:5] = other, _three_digits(beside), _bold_unless(_three_digits(own / beside), own / beside, aim)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


# What is to be read of MNIST's test set, in %, by which network, and the aim of the seconds in which it learns to.
FITTED = [(99.0, "quick", 8), (99.5, "quick, larger", 90)]
TEXTBOOK, TIMES_AS_FAST = "cnn-classic", 15


def fitting_table():
    """Return in Markdown how fast networks learn, and the textbook's until it reads as much in validation."""
    record = model_folder.read_json(benchmark.RECORD)
    if "fitting" not in record:
        return "No record yet.\n"
    measured = record["fitting"]["measured"]
    lines = ["| to read, % | network | epochs | seconds | aim | MNIST test, % |", "|--:|---|--:|--:|--:|--:|"]

    def add(words, name, epochs, goal=0.0, aim=""):
        seconds, read = ([each[epochs - 1] for each in measured[name][figure]] for figure in ("seconds", "test"))
        cells = [words, name, str(epochs), _beside(aim, seconds, 1), aim]
        cells.append(_beside(f"≥ {goal}", [100 * each for each in read]))
        lines.append(f"| {' | '.join(cells)} |")
        return statistics.mean(seconds)

    by_epoch = [100 * statistics.mean(epoch) for epoch in zip(*measured[TEXTBOOK]["validation"], strict=True)]
    times = f"≥ {TIMES_AS_FAST}"
    for goal, name, aim in FITTED:
        ours = add(f"{goal}", name, len(measured[name]["seconds"][0]), goal, f"≤ {aim}")
        if reached := [epoch for epoch, mean in enumerate(by_epoch, 1) if mean >= goal]:
            ratio = add("", TEXTBOOK, reached[0]) / ours
            lines.append(f"| | *times as fast* | | {_bold_unless(_three_digits(ratio), ratio, times)} | {times} | |")
    return "\n".join(lines) + "\n"


def _three_digits(value):
    """Return a number to three digits, or to whole ones where it has more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _beside(aim, values, digits=2):
    """Return the mean and spread of values, in bold where the mean is not what was aimed at: "≥ 99.70"."""
    return _bold_unless(_mean_and_spread(values, digits), statistics.mean(values), aim)


def _bold_unless(cell, value, aim):
    """Return a cell in bold where its value, before it was rounded, is not what was aimed at."""
    return f"**{cell}**" if _misses(value, aim) else cell


def _misses(value, aim):
    """Return whether a value is not what was aimed at: "≥ 99.70", or "" for anything."""
    sign, goal = aim.split() or ("≥", 0)
    return round(value, 6) < float(goal) if sign == "≥" else round(value, 6) > float(goal)


def _mean_and_spread(values, digits):
    """Return the mean, and where there is more than one value the standard deviation."""
    mean = f"{statistics.mean(values):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


# Each text with generated tables, and the functions that write them.
TABLES = {
    "README.md": [headlines_table],
    "docs/results.md": [results_table],
    "docs/drawn.md": [drawn_table, shortfalls_table, ablation_table],
    "docs/speed.md": [speed_table, fitting_table],
}

if __name__ == "__main__":
    run(main)
