"""Train the flagship's recipe for a few epochs with one part left out at a time: python -m benchmarks.ablate

Each run writes a record to runs/ablation, and all records go to docs/ablation.json. From it, benchmarks.results writes
the table in docs/drawn.md. A run with a record in either is not repeated, and an interrupted run is resumed. Processes
with other seeds or other parts can share the work.
"""

import argparse
import dataclasses
import shutil
from pathlib import Path

from benchmarks.pages import ROOT
from scripts import run

RECORD = ROOT / "docs" / "ablation.json"
COPIES = 8  # drawings of each pen digit of the held-out writers

AFFINE = {"rotation": 0.0, "zoom": 0.0, "shear": 0.0, "shift": 0.0}
# The parts, and the settings that leave each out.
PARTS = {
    "nothing": {},
    "all augmentation": {**AFFINE, "elastic": 0.0, "thickness": 0.0},
    "affine changes": AFFINE,
    "elastic bending": {"elastic": 0.0},
    "stroke thickness": {"thickness": 0.0},
    "dropout": {"network": {"dropout": 0.0}},
    "cosine schedule": {"schedule": "constant", "learning_rate": 0.001},
    "bfloat16": {"precision": "float32"},
    "more 1s of pen strokes": {"ink_ones": 1},
    "7s without a bar": {"ink_sevens": 0},
    "varied hands of pen strokes": {"ink_variation": 0.0},
    "pen strokes": {"ink": 0},
}


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablate",
        description="Train the flagship's recipe with one part left out at a time, and measure the cost.",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the runs (default: 0 1 2)")
    parser.add_argument(
        "--without", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help="parts to leave out (default: each)"
    )
    parser.add_argument("--epochs", type=int, default=5, help="epochs of each run (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="their folder (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="an .npz with MNIST (default: $MNIST_NPZ, else downloaded)")
    parser.add_argument("--pendigits", type=Path, help="the pen strokes (default: $PENDIGITS, else downloaded)")
    arguments = parser.parse_args(argv)

    from mnist_model import model_folder
    from mnist_model.data import mnist, strokes
    from mnist_model.evaluation.metrics import is_right
    from mnist_model.training import train
    from mnist_model.training.models import SKETCH

    images, labels = mnist.load_train(arguments.data)
    writers = strokes.split(strokes.load(arguments.pendigits))
    tests = {
        "mnist_test": mnist.load_test(arguments.data),
        "held_out_writers": strokes.varied_drawings(writers[2], COPIES, variation=0, seed=0),
    }
    for record in model_folder.read_json(RECORD) if RECORD.exists() else []:
        path = _path(arguments.out, record["without"], record["config"]["seed"])
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            model_folder.write_json(path, record)
    drawn = None
    for seed in arguments.seeds:
        for part in arguments.without:
            config = dataclasses.replace(SKETCH, epochs=arguments.epochs, seed=seed, negatives=0, **PARTS[part])
            path = _path(arguments.out, part, seed)
            if path.exists() and model_folder.read_json(path)["config"] == dataclasses.asdict(config):
                continue
            provenance = model_folder.provenance("keras", "tensorflow", "numpy")
            wanted = [
                value for name, value in dataclasses.asdict(config).items() if name == "seed" or name.startswith("ink")
            ]
            if wanted != drawn:
                drawn, drawings = wanted, train.draw_ink(config, writers[0]) if config.ink else None
            print(f"without {part}, seed {seed}")
            begun = train.unfinished_run(path)
            if begun.exists() and train.resumed_config(path) != config:
                shutil.rmtree(begun)
            model, history = train.fit(config, images, labels, drawings=drawings, run=begun)
            right = {name: is_right(train.predict(model, pictures), truth) for name, (pictures, truth) in tests.items()}
            record = {
                "without": part,
                "accuracy": {name: round(float(each.mean()), 6) for name, each in right.items()},
                "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
                "config": dataclasses.asdict(config),
                **provenance,
            }
            model_folder.write_json(path, record)
            shutil.rmtree(begun)
            print(", ".join(f"{value:.2%} on {name}" for name, value in record["accuracy"].items()))
    records = [model_folder.read_json(path) for path in sorted(arguments.out.glob("*.json"))]
    model_folder.write_json(RECORD, records)


def _path(out, part, seed):
    """Return the path of the record of a run without a part."""
    return out / f"{part.replace(' ', '-')}-seed{seed}.json"


if __name__ == "__main__":
    run(main)
