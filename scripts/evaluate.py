"""Measure model folders on MNIST's test set, and write metrics.json: python -m scripts.evaluate FOLDER [OTHER]

With --drawn, also run the drawn-digit benchmark: python -m scripts.evaluate --drawn [--twin TWIN] FOLDER
With --wild, also read real pictures: python -m scripts.evaluate FOLDER --wild [WILD] [--baseline BASELINE]
"""

import argparse
from pathlib import Path

from mnist_model.quiet import quiet_stderr
from scripts import run


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m scripts.evaluate",
        description="Measure a model folder on MNIST's test set, write its metrics.json, and compare it with another.",
    )
    parser.add_argument("folder", type=Path, help="the model folder")
    parser.add_argument("other", type=Path, nargs="?", help="another model folder, to compare with the first")
    parser.add_argument("--data", type=Path, help="an .npz with MNIST (default: $MNIST_NPZ, else downloaded)")
    parser.add_argument("--drawn", action="store_true", help="also measure it on drawn and photographed digits")
    parser.add_argument("--twin", type=Path, help="with --drawn: a model trained on MNIST alone, to compare with")
    parser.add_argument("--pendigits", type=Path, help="the pen strokes (default: $PENDIGITS, else downloaded)")
    parser.add_argument(
        "--wild", nargs="?", const="", help="also read the real pictures in this folder (default: $WILD)"
    )
    parser.add_argument("--baseline", type=Path, help="with --wild: a textbook CNN, fed the usual way, to compare with")
    arguments = parser.parse_args(argv)
    in_the_wild = arguments.wild is not None
    if arguments.drawn and arguments.other:
        parser.error("--drawn takes only one folder")
    if arguments.twin and not arguments.drawn:
        parser.error("--twin requires --drawn")
    if in_the_wild and arguments.other:
        parser.error("--wild takes only one folder")
    if arguments.baseline and not in_the_wild:
        parser.error("--baseline requires --wild")

    with quiet_stderr():
        from mnist_model.data import mnist, strokes
        from mnist_model.evaluation import drawn, metrics, wild

    images, labels = mnist.load_test(arguments.data)
    pen_digits = strokes.load(arguments.pendigits) if arguments.drawn else ()
    if in_the_wild:
        wild_pictures = wild.load(arguments.wild)
    folders = [folder for folder in (arguments.folder, arguments.other) if folder]
    answers = []
    for folder in folders:
        record, probabilities = metrics.evaluate(folder, images, labels)
        answers.append(probabilities)
        _print_summary(folder, record["mnist_test"])
    if arguments.drawn:
        _print_drawn(drawn.evaluate(arguments.folder, arguments.twin, pen_digits, images, labels))
    if in_the_wild:
        _print_wild(wild.evaluate(arguments.folder, *wild_pictures, arguments.baseline))
    if len(answers) == 2:
        _print_comparison(folders, answers, labels)


def _print_summary(folder, test):
    low, high = test["accuracy_interval"]
    print(f"\n{folder}, {test['images']:,} test digits")
    for name, accuracy in test["accuracy"].items():
        print(f"  accuracy of {name:<16}{accuracy:8.2%}")
    print(f"  its 95 % interval           {low:8.2%} to {high:.2%}")
    print(f"  top-2 accuracy              {test['top_2_accuracy']:8.2%}")
    print(f"  expected calibration error  {test['expected_calibration_error']:8.2%}")
    print(f"  negative log-likelihood     {test['negative_log_likelihood']:8.4f}")
    print("\n  digit  precision    recall        F1")
    for scores in [*test["classes"], {"digit": "mean", **test["macro"]}]:
        print(f"  {scores['digit']:>5} {scores['precision']:>10.2%}{scores['recall']:>10.2%}{scores['f1']:>10.2%}")


def _print_drawn(record):
    print(f"\n{record['digits']:,} digits of {len(record['writers'])} held-out writers, misread in %")
    systems = record["systems"].values()
    for i, name in enumerate(record["systems"]):
        print(f"  {'abc'[i]}: {name}")
    print(f"\n  {'':<32}" + "".join(f"{letter:>8}" for letter in "abc"[: len(systems)]))
    for name in ("mnist_test", "ordinary", "all"):
        _print_row(name, [1 - each[name]["accuracy"] for each in systems])
        _print_row("  calibration error", [each[name]["expected_calibration_error"] for each in systems])
    first = next(iter(systems))
    for group, conditions in first["conditions"].items():
        for condition in conditions:
            _print_row(f"{group}, {condition}", [1 - each["conditions"][group][condition] for each in systems])
    if "refusals" in record:
        refusals = record["refusals"]
        print("\n  refused, in %")
        for name in ("mnist_test", "ordinary", "all"):
            _print_row(name, [refusals[name]])
        for name, share in refusals["no_digits"].items():
            _print_row(f"no digit, {name}", [share])
        _print_row("no digit, all", [refusals["all_no_digits"]])
        print(f"  AUROC {refusals['auroc']:.4f}")


def _print_wild(record):
    tuned_on = ", tuned on" if record["tuned_on"] else ""
    systems, repositories = record["systems"], record["by_repository"]
    print(f"\n{record['pictures']:,} real pictures of {record['repositories']:,} repositories{tuned_on}, in %")
    print(f"  {'':<24}" + "".join(f"{name:>24}" for name in systems))
    for name in ("right", "refused", "misread", "first_choice"):
        shares = [(each[name]["share"], *each[name]["interval"]) for each in systems.values()]
        cells = ["{:.2f} ({:.2f} to {:.2f})".format(*(100 * share for share in each)) for each in shares]
        print(f"  {name.replace('_', ' '):<24}" + "".join(f"{cell:>24}" for cell in cells))
    print(f"\n  {'most failures: refused + misread':<60}{'of':>5}" + "".join(f"{name:>15}" for name in systems))

    def failures(name):
        return repositories[name]["pictures"] - repositories[name]["this model"]["right"]

    for name in sorted(repositories, key=failures, reverse=True)[:10]:
        counts = [repositories[name][system] for system in systems]
        cells = [f"{each['refused']} + {each['misread']}" for each in counts]
        print(f"  {name[:60]:<60}{repositories[name]['pictures']:>5}" + "".join(f"{cell:>15}" for cell in cells))


def _print_row(name, shares):
    print(f"  {name:<32}" + "".join(f"{100 * share:8.2f}" for share in shares))


def _print_comparison(folders, answers, labels):
    from mnist_model.evaluation import metrics
    from mnist_model.reading.classifier import percent

    first, second = answers
    right = [metrics.is_right(answer, labels) for answer in answers]
    only_first, only_second, p = metrics.mcnemar(*right)
    differing = (first.argmax(axis=1) != second.argmax(axis=1)).nonzero()[0]
    print(f"\nThey answer differently on {len(differing):,} of {len(labels):,} digits.")
    print(f"  only {folders[0]} is right on {only_first:,}, only {folders[1]} on {only_second:,}")
    print(f"  McNemar's test: p = {p:.2g}, the chance of a result at least this uneven if both erred equally often")
    if len(differing):
        print(f"\n  image  digit  {folders[0]} | {folders[1]}")
    for i in differing:
        said = " | ".join(f"{answer[i].argmax()} ({percent(answer[i].max())})" for answer in answers)
        print(f"  {i:>5}  {labels[i]:>5}  {said}")


if __name__ == "__main__":
    run(main)
