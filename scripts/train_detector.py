"""Train a new detector for a model folder: python -m scripts.train_detector FOLDER NEW"""

import argparse
from pathlib import Path

from mnist_model.quiet import quiet_stderr
from scripts import run


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train_detector",
        description="Train a new detector for a copy of a model folder.",
    )
    parser.add_argument("folder", type=Path, help="the model folder")
    parser.add_argument("new", type=Path, help="the model folder to create")
    parser.add_argument("--data", type=Path, help="an .npz with MNIST (default: $MNIST_NPZ, else downloaded)")
    parser.add_argument("--pendigits", type=Path, help="the pen strokes (default: $PENDIGITS, else downloaded)")
    arguments = parser.parse_args(argv)

    with quiet_stderr():
        from mnist_model import model_folder
        from mnist_model.data import mnist, strokes
        from mnist_model.training import train

    # Fail before anything is downloaded.
    model_folder.find(arguments.folder, model_folder.TRAINING_FILE)
    model_folder.refuse_existing(arguments.new)
    images, labels = mnist.load_train(arguments.data)
    pen_digits = strokes.load(arguments.pendigits)
    record = train.retrain_detector(arguments.folder, arguments.new, images, labels, pen_digits)
    print(f"{arguments.new}: refuses pictures that score below {record['detector']['threshold']:.3f}")


if __name__ == "__main__":
    run(main)
