"""Build the wheel of this project without the bundled model: what a published model is read with."""

import tomllib
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


def build(out):
    """Build the wheel into the folder `out`, and return its path. The same source always gives the same bytes."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    config["tool"]["hatch"]["build"]["targets"]["wheel"]["exclude"] = ["mnist_model/pretrained"]
    (path,) = WheelBuilder(str(ROOT), config=config).build(directory=str(out), versions=["standard"])
    return Path(path)
