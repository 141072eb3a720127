"""Train a model and write its folder: python -m scripts.train --name NAME"""

import argparse
import dataclasses
from pathlib import Path

from scripts import run


def main(argv=None):
    from mnist_model import data, training

    parser = argparse.ArgumentParser(prog="python -m scripts.train", description="Train a model and write its folder.")
    parser.add_argument("--name", help="name of the folder to make (default: the model's name and the seed)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where to make it (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="an .npz with MNIST (default: $MNIST_NPZ, else downloaded)")
    parser.add_argument("--resume", action="store_true", help="go on with the run of this name that was stopped")
    group = parser.add_argument_group("settings")
    for field in dataclasses.fields(training.TrainConfig):
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=field.type,
            default=argparse.SUPPRESS,
            choices=training.MODELS if field.name == "model" else None,
            help=f"{field.metadata['help']} (default: {field.default})",
        )
    settings = vars(parser.parse_args(argv))
    name, out, npz, resume = (settings.pop(key) for key in ("name", "out", "data", "resume"))

    if resume:
        if name is None:
            parser.error("--resume needs --name")
        config = dataclasses.replace(training.resumed_config(out / name), **settings)
    else:
        config = training.TrainConfig(**settings)
    folder = out / (name or f"{config.model}-seed{config.seed}")
    images, labels = data.load_train(npz)
    try:
        record = training.train(config, images, labels, folder, resume=resume)
    except KeyboardInterrupt:
        print(f"\nStopped. To go on: python -m scripts.train --out {out} --name {folder.name} --resume")
        raise
    last = record["history"][-1]
    print(f"{folder}: {record['parameters']:,} parameters, validation accuracy {last['val_accuracy']:.2%}")


if __name__ == "__main__":
    run(main)
