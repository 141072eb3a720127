"""Prepare what is published of a model folder: its files, a wheel of the reader, and a card filled from its records."""

import re
import shutil
import statistics
import textwrap
import zipfile
from pathlib import Path

import jinja2
from huggingface_hub import EvalResult, ModelCardData, constants

from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.publishing import wheel
from mnist_model.publishing.hub import PUBLIC_URL
from mnist_model.reading import preprocessing
from mnist_model.reading.download import check_repo_id

TEMPLATE = Path(__file__).with_name("card_template.md")
EXAMPLE = Path(__file__).parents[2] / "examples" / "7-small-in-a-corner.png"

CARD_FILE = "README.md"
EXAMPLE_FILE = "example.png"  # which the snippets of the card read
PREPROCESSING_FILE = "preprocessing.py"
PICTURES = (
    model_folder.SAMPLES_FILE,
    model_folder.DRAWN_FILE,
    model_folder.RELIABILITY_FILE,
    model_folder.CONFUSION_FILE,
    model_folder.ERRORS_FILE,
    model_folder.CURVES_FILE,
    model_folder.FILTERS_FILE,
)
OPTIONAL_FILES = (
    model_folder.DETECTOR_FILE,
    model_folder.THRESHOLD_FILE,
    model_folder.DRAWN_FILE,
    model_folder.FILTERS_FILE,
)
REQUIRED_FILES = (
    model_folder.KERAS_FILE,
    model_folder.LITERT_FILE,
    model_folder.TRAINING_FILE,
    model_folder.METRICS_FILE,
    *(name for name in PICTURES if name not in OPTIONAL_FILES),
)
WATTS = 20  # assumed power of two busy server cores, for the estimate of energy

# Row -> how to get its share from one system's record in the drawn-digit benchmark (`drawn.benchmark`), and the aim.
DRAWN_ROWS = {
    "MNIST test": (lambda system: system["mnist_test"]["accuracy"], "≥ 99.70"),
    "drawn, ordinary brush and size": (lambda system: system["ordinary"]["accuracy"], "≥ 99.00"),
    "thinnest brush, 4 px": (lambda system: system["conditions"]["brush"]["4 px"], "≥ 98.70"),
    "thickest brush, 36 px": (lambda system: system["conditions"]["brush"]["36 px"], "≥ 98.70"),
    "smallest, a fifth of the sheet": (lambda system: system["conditions"]["size"]["20 %"], "≥ 98.70"),
    "small in a corner, the worst of four": (
        lambda system: min(share for place, share in system["conditions"]["place"].items() if place != "middle"),
        "≥ 98.70",
    ),
    "turned by 12°, the worse of two": (
        lambda system: min(system["conditions"]["turn"][turn] for turn in ("-12°", "+12°")),
        "≥ 98.70",
    ),
    "photographed, mean of all papers": (
        lambda system: statistics.mean(system["conditions"]["photograph"].values()),
        "≥ 98.00",
    ),
    "photographed, the worst paper": (lambda system: min(system["conditions"]["photograph"].values()), "≥ 98.00"),
    "*calibration error*, MNIST test": (
        lambda system: system["mnist_test"]["expected_calibration_error"],
        "≤ 0.50",
    ),
    "*calibration error*, drawn, ordinary brush and size": (
        lambda system: system["ordinary"]["expected_calibration_error"],
        "≤ 0.50",
    ),
    "*calibration error*, drawn, all conditions": (
        lambda system: system["all"]["expected_calibration_error"],
        "≤ 0.50",
    ),
}
REFUSAL_ROWS = {
    "*refused*, of MNIST's test digits": (lambda refusals: refusals["mnist_test"], "≤ 0.50"),
    "*refused*, of drawn digits, all conditions": (lambda refusals: refusals["all"], "≤ 0.50"),
    "*refused*, of what is no digit, all kinds": (lambda refusals: refusals["all_no_digits"], "≥ 95.00"),
    "*refused*, of the kinds on which nothing was chosen": (lambda refusals: refusals["fresh_no_digits"], "≥ 95.00"),
    "*refused*, of the kind most like digits": (lambda refusals: min(refusals["no_digits"].values()), ""),
    "*AUROC* of the two, %": (lambda refusals: refusals["auroc"], "≥ 99.00"),
}


def prepare(folder, out, repo_id, revision=None, hub_url=PUBLIC_URL):
    """Write exactly what is published of a model folder into the new folder `out`.

    These are its files; the content of `model.keras`, the layout that `keras.saving.load_model("hf://…")` reads; the
    preprocessing; the wheel of the reader; an example picture; and the card.

    Args:
        folder: an evaluated model folder.
        out: the folder to create.
        repo_id: "user/name", the repo that the card's snippets load from.
        revision: the tag that they load; None for the main branch.
        hub_url: the public address of the Hub that they load from.

    Raises:
        InputError: `repo_id` or `hub_url` is no such thing, a file is missing or has changed since it was evaluated, or
            `out` exists.
    """
    check_repo_id(repo_id)
    if not re.fullmatch(r"https?://\S+[^\s/]", hub_url):
        raise InputError(f"Expected the address of a Hub, such as {PUBLIC_URL}. Received: {hub_url or 'none'}")
    paths = _whole(folder)
    with model_folder.new_folder(out) as new:
        for path in paths:
            shutil.copyfile(path, new / path.name)
        with zipfile.ZipFile(new / model_folder.KERAS_FILE) as archive:
            archive.extractall(new)
        shutil.copyfile(preprocessing.__file__, new / PREPROCESSING_FILE)
        shutil.copyfile(EXAMPLE, new / EXAMPLE_FILE)
        wheel.build(new)
        (new / CARD_FILE).write_text(render(new, repo_id, revision, hub_url), encoding="utf-8")


def _whole(folder):
    """Return the paths of the files to publish; InputError if the model folder is incomplete."""
    paths = model_folder.find(folder, *REQUIRED_FILES)
    folder = paths[0].parent
    paths += [folder / name for name in OPTIONAL_FILES if (folder / name).exists()]
    if damaged := model_folder.damaged(folder):
        raise InputError(
            f"Expected the files that were measured (by scripts.evaluate). Received: {folder}, with {damaged} changed"
        )
    return paths


def render(folder, repo_id, revision, hub_url):
    """Return the card of a folder that `prepare` has filled, in Markdown; InputError if its records are incomplete."""
    training = model_folder.read_json(folder / model_folder.TRAINING_FILE)
    metrics = model_folder.read_json(folder / model_folder.METRICS_FILE)
    files = [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": model_folder.sha256(path)}
        for path in sorted(folder.iterdir())
    ]
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"percent": lambda share: f"{100 * share:.2f}"}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    variables = dict(
        metadata=_metadata(training, metrics, repo_id),
        hub_url=hub_url,
        public=hub_url == PUBLIC_URL,
        repo_id=repo_id,
        wheel=next(folder.glob("*.whl")).name,
        pinned=revision is not None,
        revision=revision or constants.DEFAULT_REVISION,
        training=training,
        metrics=metrics,
        files=files,
        pictures=[name for name in PICTURES if (folder / name).exists()],
        drawn_rows=drawn_rows(metrics["drawn"]) if "drawn" in metrics else [],
        command=_command(training["config"]),
        watts=WATTS,
    )
    try:
        return template.render(variables)
    except jinja2.UndefinedError as error:
        raise InputError(f"Expected records with all that the card says. Received: {folder}, where {error}") from None


def _metadata(training, metrics, repo_id):
    """Return the card's front matter, YAML."""
    measured = [("mnist", "MNIST", "test", metrics["mnist_test"]["accuracy"][model_folder.LITERT_FILE])]
    if "drawn" in metrics:
        accuracy = metrics["drawn"]["systems"]["this model"]["ordinary"]["accuracy"]
        measured.append(("pen-digits", "Pen digits of held-out writers, drawn as on a canvas", "held-out", accuracy))
    return ModelCardData(
        library_name="keras",
        pipeline_tag="image-classification",
        license="apache-2.0",
        datasets=["ylecun/mnist"],
        tags=["mnist", "handwritten-digits", "litert", "tflite", training["config"]["model"]],
        metrics=["accuracy"],
        model_name=repo_id.split("/")[1],
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type=kind,
                dataset_name=name,
                dataset_split=split,
                metric_type="accuracy",
                metric_value=accuracy,
                metric_name="Accuracy",
            )
            for kind, name, split, accuracy in measured
        ],
    ).to_yaml()


def drawn_rows(drawn):
    """Return the rows of the drawn-digit benchmark's table: words, the aim, and each system's share in %, or None."""
    systems = drawn["systems"].values()
    rows = [(words, aim, [100 * share(each) for each in systems]) for words, (share, aim) in DRAWN_ROWS.items()]
    if "refusals" in drawn:
        nothing = [None] * (len(systems) - 1)
        rows += [
            (words, aim, [100 * share(drawn["refusals"]), *nothing]) for words, (share, aim) in REFUSAL_ROWS.items()
        ]
    return rows


def _command(config):
    """Return the command that trains with a TrainConfig, a dict, even if the defaults change later."""
    words = ["python -m scripts.train"]
    for name, value in config.items():
        if isinstance(value, dict):
            value = " ".join(f"{key}={each}" for key, each in value.items())
        if value != "":
            words.append(f"--{name.replace('_', '-')} {value}")
    lines = textwrap.wrap(" ".join(words), 100, break_on_hyphens=False, break_long_words=False)
    return " \\\n    ".join(lines)
