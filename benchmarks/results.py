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
    """Return a text with the tables between their marks rewritten.

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
    """Return the records by recipe: for each, a list of (folder, training, metrics) that differ only in the seed."""
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
    """Return the drawn-digit benchmark's records of the bundled recipe, the bundled model first."""
    return [metrics["drawn"] for _, _, metrics in next(iter(_recipes())) if "drawn" in metrics]


# The README's rows: its words -> the row of `card.drawn_rows`, and the page of docs that says more.
DRAWN_HEADLINES = {
    "accuracy on MNIST's test set, %": ("MNIST test", "results"),
    "accuracy on digits drawn by people it never saw, %": ("drawn, ordinary brush and size", "drawn"),
    "the same, small and in the worst of four corners, %": ("small in a corner, the worst of four", "drawn"),
    "accuracy on photographs of such digits, %": ("photographed, mean of all papers", "drawn"),
    "drawings that are no digit and are refused, %": ("*refused*, of what is no digit, all kinds", "drawn"),
}
# And the rows of COMPARISONS, by their words.
SPEED_HEADLINES = ["one prediction, ms", "a Space: start to the first answer, seconds", "a Space: installed, MB"]


def headlines_table():
    """Return the most important figures in Markdown, each with what it is compared with."""
    lines = ["| | this project | compared with | details |", "|---|--:|--:|---|"]
    rows = [{words: (aim, shares) for words, aim, shares in card.drawn_rows(record)} for record in _drawn_records()]
    for words, (row, page) in DRAWN_HEADLINES.items():
        aim, (bundled, *_, usual) = rows[0][row]
        value = f"{_mean_and_spread([each[row][1][0] for each in rows], 2)} ({bundled:.2f})"
        other = f"aim: {aim}" if usual is None else f"the usual way: {usual:.2f}"
        lines.append(f"| {words} | {value} | {other} | [{page}](docs/{page}.md) |")
    record = model_folder.read_json(benchmark.RECORD)
    # Of the rows about one figure, only the first has words.
    comparisons = {comparison[0]: comparison for comparison in COMPARISONS if comparison[0]}
    for words in SPEED_HEADLINES:
        own, other = _medians(record, comparisons[words])
        compared = f"{comparisons[words][5]}: {_three_digits(other)} (ratio {_three_digits(own / other)})"
        lines.append(f"| {words} | {_three_digits(own)} | {compared} | [speed](docs/speed.md) |")
    return "\n".join(lines) + "\n"


def drawn_table():
    """Return the drawn-digit benchmark of the bundled recipe in Markdown, a column for each system."""
    records = _drawn_records()
    if not records:
        return "No record yet.\n"
    systems = list(records[0]["systems"])
    lines = [f"| right, or *as named*, in % | aim | {' | '.join(systems)} |", "|---|--:|" + "--:|" * len(systems)]
    for rows in zip(*map(card.drawn_rows, records), strict=True):
        words, aim, _ = rows[0]
        # Perhaps only one of the seeds was measured together with its twin.
        first, *others = ([shares[i] for _, _, shares in rows if i < len(shares)] for i in range(len(systems)))
        cells = [_beside(aim, first), *("–" if None in shares else _mean_and_spread(shares, 2) for shares in others)]
        lines.append(f"| {words} | {aim} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shortfalls_table():
    """Return the rows of the drawn-digit benchmark in which the bundled recipe misses its aim, a Markdown list."""
    lines = []
    for rows in zip(*map(card.drawn_rows, _drawn_records()), strict=True):
        words, aim, _ = rows[0]
        shares = [shares[0] for _, _, shares in rows]
        if _misses(statistics.mean(shares), aim):
            lines.append(f"- {words}: {_mean_and_spread(shares, 2)}, aim {aim}; the bundled model {shares[0]:.2f}.\n")
    return "".join(lines) or "- None.\n"


def ablation_table():
    """Return the accuracy of short runs of the flagship's recipe without each of its parts, in Markdown."""
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


# Words; the part of the record, the figure in it, and its unit; ours; what it is compared with, if anything; the
# aim of their ratio.
COMPARISONS = [
    ("one prediction, ms", "prediction", "ms", 1, "DigitClassifier", "model.predict", "≤ 0.02"),
    ("", "prediction", "ms", 1, "DigitClassifier", "model(x)", ""),
    ("", "prediction", "ms", 1, "DigitClassifier", "tf.function", ""),
    ("", "prediction", "ms", 1, "DigitClassifier", "onnxruntime", "≤ 1.3"),
    ("images per second, one at a time", "throughput", "batches of 1", 1, "LiteRT", "model.predict", ""),
    ("images per second, 32 at a time", "throughput", "batches of 32", 1, "LiteRT", "model.predict", ""),
    ("images per second, 1,024 at a time", "throughput", "batches of 1,024", 1, "LiteRT", "model.predict", ""),
    ("start to the first answer, seconds", "start", "seconds", 1, "page", "echo", "≤ 1.15"),
    ("", "start", "seconds", 1, "page", "page on Keras", ""),
    ("memory after the first answer, MB", "start", "bytes", 1e6, "page", "echo", "≤ 1.3"),
    ("", "start", "bytes", 1e6, "page", "page on Keras", ""),
    ("end of a stroke to the answer, ms", "stroke", "ms", 1, "page", "echo", "≤ 1.1"),
    ("requests per second, 1 client", "requests", "1 clients", 1, "page", "echo", ""),
    ("requests per second, 8 clients", "requests", "8 clients", 1, "page", "echo", ""),
    ("requests per second, 32 clients", "requests", "32 clients", 1, "page", "echo", "≥ 0.8"),
    ("32 clients for two minutes: failed requests", "load", "requests", 1, "failed", "all", "≤ 0"),
    ("the same: 95 % answered within, seconds", "load", "p95 seconds", 1, "all", None, ""),
    ("the same: memory at the end, MB", "load", "bytes", 1e6, "at the end", "when warm", "≤ 1.1"),
    ("a Space: installed, MB", "space", "installed bytes", 1e6, "page", "page on Keras", ""),
    ("a Space: time to install, seconds", "space", "install seconds", 1, "page", "page on Keras", ""),
    ("a Space: start to the first answer, seconds", "space", "seconds", 1, "page", "page on Keras", ""),
    ("a Space: memory after the first answer, MB", "space", "bytes", 1e6, "page", "page on Keras", ""),
]


def speed_table():
    """Return the medians of what was measured and of what it is compared with, in Markdown."""
    record = model_folder.read_json(benchmark.RECORD)
    lines = ["| | this project | compared with | | ratio | aim |", "|---|--:|---|--:|--:|--:|"]
    for comparison in COMPARISONS:
        words, part, _, _, _, name, aim = comparison
        if part in record:
            own, other = _medians(record, comparison)
            cells = [words, _three_digits(own), "", "", "", aim]
            if name:
                cells[2:5] = name, _three_digits(other), _bold_unless(_three_digits(own / other), own / other, aim)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _medians(record, comparison):
    """Return the medians of a row of COMPARISONS: this project's, and that of what it is compared with, or None."""
    _, part, figure, unit, ours, other, _ = comparison
    measured = record[part]["measured"]
    return [name and statistics.median(measured[name][figure]) / unit for name in (ours, other)]


# The accuracy to reach on MNIST's test set, in %; the network; and the most seconds it should train for.
FITTED = [(99.0, "quick", 8), (99.5, "quick, larger", 90)]
TEXTBOOK, TIMES_AS_FAST = "cnn-classic", 15


def fitting_table():
    """Return how fast networks train, and the textbook's network to the same validation accuracy, in Markdown."""
    record = model_folder.read_json(benchmark.RECORD)
    if "fitting" not in record:
        return "No record yet.\n"
    measured = record["fitting"]["measured"]
    lines = ["| accuracy to reach, % | network | epochs | seconds | aim | MNIST test, % |", "|--:|---|--:|--:|--:|--:|"]

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
    """Return a number to three digits, or as a whole number if that has more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _beside(aim, values, digits=2):
    """Return the mean and spread of values, in bold if the mean misses the aim, such as "≥ 99.70"."""
    return _bold_unless(_mean_and_spread(values, digits), statistics.mean(values), aim)


def _bold_unless(cell, value, aim):
    """Return a cell, in bold if its value, before rounding, misses the aim."""
    return f"**{cell}**" if _misses(value, aim) else cell


def _misses(value, aim):
    """Return whether a value misses the aim, such as "≥ 99.70"; it never misses ""."""
    sign, goal = aim.split() or ("≥", 0)
    return round(value, 6) < float(goal) if sign == "≥" else round(value, 6) > float(goal)


def _mean_and_spread(values, digits):
    """Return the mean, and the standard deviation if there is more than one value."""
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
