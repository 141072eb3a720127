"""Search for better settings of the cnn: python -m scripts.tune --name NAME

To use several machines, run the same command on each: python -m scripts.tune --storage postgresql+psycopg://USER@HOST/DATABASE
"""

import argparse
from pathlib import Path

from mnist_model.quiet import quiet_stderr
from scripts import run


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m scripts.tune",
        description="Search for better settings of the cnn. Run the same command again to resume a study.",
    )
    parser.add_argument("--name", default="cnn-study", help="name of the study and its folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="its parent folder (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="an .npz with MNIST (default: $MNIST_NPZ, else downloaded)")
    parser.add_argument(
        "--storage",
        metavar="ADDRESS",
        help="a database in which workers share the study, such as postgresql+psycopg://USER@HOST/DATABASE "
        "(default: an SQLite file in the folder)",
    )
    parser.add_argument(
        "--trials", type=int, default=40, help="number of trials, over all workers (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, default=5, help="epochs of each trial (default: %(default)s)")
    parser.add_argument(
        "--max-parameters",
        type=int,
        default=160_000,
        metavar="N",
        help="skip networks with more parameters (default: %(default)s)",
    )
    parser.add_argument(
        "--grace",
        type=int,
        default=60,
        metavar="SECONDS",
        help="repeat the trial of a worker that is silent for this long (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    for name in ("trials", "epochs", "max_parameters", "grace"):
        if getattr(arguments, name) < 1:
            parser.error(f"Expected --{name.replace('_', '-')} of at least 1. Received: {getattr(arguments, name)}")

    with quiet_stderr():
        from mnist_model.data import mnist
        from mnist_model.training import tuning

    images, labels = mnist.load_train(arguments.data)
    folder = arguments.out / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    study = tuning.open_study(
        arguments.storage or f"sqlite:///{folder / tuning.DATABASE_FILE}",
        arguments.name,
        tuning.study_settings(images, epochs=arguments.epochs, max_parameters=arguments.max_parameters),
        grace=arguments.grace,
    )
    try:
        tuning.run_study(study, images, labels, arguments.trials)
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to resume")
        raise
    record = tuning.write_study(study, folder)
    best = record["best"]
    print(f"{folder}: best validation accuracy {best['val_accuracy']:.2%}, trial {best['number']}")
    print(f"To train with its settings: python -m scripts.train --from-study {folder}")


if __name__ == "__main__":
    run(main)
