"""Train a model and write its folder: python -m scripts.train --model MODEL"""

import argparse
import ast
import dataclasses
from pathlib import Path

from mnist_model.quiet import quiet_stderr
from scripts import run


def main(argv=None):
    with quiet_stderr():
        from mnist_model.data import mnist, strokes
        from mnist_model.training import train
        from mnist_model.training.config import TrainConfig
        from mnist_model.training.models import CONFIGS

    parser = argparse.ArgumentParser(prog="python -m scripts.train", add_help=False)
    parser.add_argument("--model", choices=CONFIGS, default="cnn")
    parser.add_argument("--from-study", type=Path)
    # Parse these two first: the defaults of the settings come from the model or the study.
    origin = parser.parse_known_args(argv)[0]
    if origin.from_study:
        from mnist_model.training.tuning import best_config

        default = best_config(origin.from_study)
    else:
        default = CONFIGS[origin.model]

    parser = argparse.ArgumentParser(prog="python -m scripts.train", description="Train a model and write its folder.")
    parser.add_argument("--name", help="name of the model folder (default: the model's name and the seed)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="its parent folder (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="an .npz with MNIST (default: $MNIST_NPZ, else downloaded)")
    parser.add_argument("--pendigits", type=Path, help="the pen strokes (default: $PENDIGITS, else downloaded)")
    parser.add_argument("--resume", action="store_true", help="resume the interrupted run of this name")
    parser.add_argument(
        "--from-study", type=Path, metavar="FOLDER", help="use the best settings that scripts.tune found"
    )
    group = parser.add_argument_group(f"settings, with the defaults of {origin.from_study or default.model}")
    for field in dataclasses.fields(TrainConfig):
        options = {"type": field.type, "choices": field.metadata.get("choices")}
        if field.name == "model":
            options["choices"] = CONFIGS
        if field.type is dict:
            options = {"type": _name_and_value, "nargs": "*", "metavar": "NAME=VALUE"}
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            help=f"{field.metadata['help']} (default: {_shown(getattr(default, field.name))})",
            **options,
        )
    settings = vars(parser.parse_args(argv))
    if "network" in settings:
        settings["network"] = dict(settings["network"])
    name, out, npz, pendigits, resume = (settings.pop(key) for key in ("name", "out", "data", "pendigits", "resume"))
    del settings["from_study"]

    if resume:
        if name is None:
            parser.error("--resume requires --name")
        config = dataclasses.replace(train.resumed_config(out / name), **settings)
    else:
        config = dataclasses.replace(default, **settings)
    folder = out / (name or f"{config.model}-seed{config.seed}")
    images, labels = mnist.load_train(npz)
    pen_digits = strokes.load(pendigits) if config.ink or config.negatives else ()
    try:
        record = train.train(config, images, labels, folder, pen_digits=pen_digits, resume=resume)
    except KeyboardInterrupt:
        print(f"\nStopped. To resume: python -m scripts.train --out {out} --name {folder.name} --resume")
        raise
    accuracy = ", ".join(f"{value:.2%} on {kind}" for kind, value in record["validation_accuracy"].items())
    print(f"{folder}: {record['parameters']:,} parameters, validation accuracy {accuracy}")


def _name_and_value(text):
    """Parse "filters=32" as ("filters", 32)."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(f"Expected NAME=NUMBER. Received: {text}") from None


def _shown(value):
    if isinstance(value, dict):
        return " ".join(f"{name}={value}" for name, value in value.items()) or "none"
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    run(main)
