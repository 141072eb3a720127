"""Measure a model folder on MNIST's test set, into its metrics.json: python -m scripts.evaluate FOLDER"""

import argparse
from pathlib import Path

from scripts import run


def main(argv=None):
    from mnist_model import data, evaluation

    parser = argparse.ArgumentParser(
        prog="python -m scripts.evaluate",
        description="Measure a model folder on MNIST's test set, into its metrics.json.",
    )
    parser.add_argument("folder", type=Path, help="the model folder")
    parser.add_argument("--data", type=Path, help="an .npz with MNIST (default: $MNIST_NPZ, else downloaded)")
    arguments = parser.parse_args(argv)
    metrics = evaluation.evaluate(arguments.folder, *data.load_test(arguments.data))
    test = metrics["mnist_test"]
    for name, accuracy in test["accuracy"].items():
        print(f"{name:<13} {accuracy:.2%} of {test['images']:,} test digits")


if __name__ == "__main__":
    run(main)
