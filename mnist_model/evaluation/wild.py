"""Measure a model folder on real pictures of digits, drawn or photographed by many people: right, refused or misread.

A textbook CNN may stand beside it, given each picture shrunk to 28×28, the usual way. It refuses only what
cannot be read.
"""

import csv
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.evaluation import plots
from mnist_model.evaluation.drawn import describe, shrink
from mnist_model.evaluation.metrics import interval
from mnist_model.reading.classifier import DigitClassifier, LiteRTModel, Prediction
from mnist_model.reading.preprocessing import SIZE, PictureError

VARIABLE = "WILD"
CSV_FILE = "single.csv"  # with the columns file and digit, and perhaps repository
PICTURES_FOLDER = "single"  # holds the files

OUTCOMES = ("right", "refused", "misread")
STATUSES = ("digit", "not_a_digit", "blank", "unreadable")
UNREADABLE = Prediction(None, 0.1, np.full(10, 0.1, np.float32), np.zeros((SIZE, SIZE), np.uint8), "unreadable")


class WildPicture(NamedTuple):
    """A picture of one digit: its file, the digit, 0–9, and the repository it comes from."""

    path: Path
    digit: int
    repository: str


def evaluate(folder, listed, pictures, baseline=None):
    """Run `benchmark`, add its record to the folder's `metrics.json` as "wild", and draw the failures.

    Args:
        folder: an evaluated model folder.
        listed, pictures: the path of the CSV and the WildPictures; see `load`.
        baseline: the folder of a textbook CNN, or None.

    Returns:
        The record, with the sha256 of the CSV and of the measured files and the provenance.
    """
    (path,) = model_folder.find(folder, model_folder.METRICS_FILE)
    record, pairs, captions = benchmark(path.parent, pictures, baseline)
    record |= {
        "csv_sha256": model_folder.sha256(listed),
        "sha256": model_folder.serving_sha256(path.parent),
        **model_folder.provenance("numpy", "pillow", "ai-edge-litert"),
    }
    plots.draw_failures(pairs, captions, path.with_name(model_folder.WILD_FILE))
    model_folder.write_json(path, model_folder.read_json(path) | {"wild": record})
    return record


def load(folder=None):
    """Return the path of `single.csv` in `folder`, and the WildPictures that it lists.

    Args:
        folder: holds the CSV and, in `single/`, the pictures. None for the folder that the environment variable
            `WILD` names.

    Raises:
        InputError: the folder, the CSV, one of its columns or a picture is missing, or a digit is not from 0 to 9.
    """
    folder = folder or os.environ.get(VARIABLE)
    if not folder:
        raise InputError(f"Expected a folder of pictures (--wild FOLDER, or ${VARIABLE}). Received: none")
    path = Path(folder) / CSV_FILE
    if not path.is_file():
        raise InputError(f"Expected a folder with {CSV_FILE}. Received: {folder}, which has none")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns, rows = rows.fieldnames or [], list(rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Expected a CSV in UTF-8. Received: {path}, unreadable: {error}") from None
    if not {"file", "digit"} <= set(columns):
        raise InputError(f"Expected the columns file and digit in {path}. Received: {', '.join(columns) or 'none'}")
    if not rows:
        raise InputError(f"Expected a CSV that lists pictures. Received: {path}, which lists none")
    return path, [_picture(path.with_name(PICTURES_FOLDER), row) for row in rows]


def _picture(folder, row):
    path = folder / (row["file"] or "")
    if not path.is_file():
        raise InputError(f"Expected the pictures that {CSV_FILE} lists. Received: no file at {path}")
    if row["digit"] not in list("0123456789"):
        raise InputError(f"Expected a digit from 0 to 9 for {path}. Received: {row['digit']!r}")
    return WildPicture(path, int(row["digit"]), row.get("repository") or "unnamed")


def benchmark(folder, pictures, baseline=None):
    """Read WildPictures with the model in a folder.

    Returns:
        The record, and the pairs and captions of the failures, for `plots.draw_failures`. The record is a dict.
        "pictures" and "repositories": their numbers; "tuned_on": true, as the bundled recipe was developed with such
        pictures in view; "baseline": a description of that model; "statuses": how many pictures have each status of
        a Prediction, or cannot be read; "systems": for the model and the baseline, the pictures that are right,
        refused or misread, and those whose label is the most probable digit even if refused, "first_choice", each
        with the share and its 95 % interval; "by_repository": the number of pictures, and for each system how many
        are right, refused and misread.
    """
    classifier = DigitClassifier(folder)
    textbook = baseline and LiteRTModel(model_folder.find(baseline, model_folder.LITERT_FILE)[0])
    predictions, shrunk, pairs, captions = [], [], [], []
    for picture in tqdm(pictures, disable=None):
        prediction, image = _read(classifier, picture.path)
        predictions.append(prediction)
        if textbook:
            shrunk.append(shrink(image))
        if prediction.digit != picture.digit:
            pairs.append(plots.pair(image, prediction.image))
            answer = prediction if prediction.digit is None else prediction.digit
            captions.append(f"{picture.digit} → {answer}\n{picture.path.name}")

    # Each system's answers, and its most probable digits; None if it has none.
    first_choices = [int(each.probabilities.argmax()) if each.image.any() else None for each in predictions]
    systems = {"this model": ([each.digit for each in predictions], first_choices)}
    if textbook:
        digits = textbook.probabilities(np.stack(shrunk)).argmax(axis=1).tolist()
        usual = [None if each is UNREADABLE else digit for each, digit in zip(predictions, digits, strict=True)]
        systems["the usual way"] = (usual, usual)

    labels = [picture.digit for picture in pictures]
    outcomes = {name: np.array(list(map(_outcome, answers, labels))) for name, (answers, _) in systems.items()}
    repositories = np.array([picture.repository for picture in pictures])
    statuses = [prediction.status for prediction in predictions]
    record = {
        "pictures": len(pictures),
        "repositories": len(set(repositories)),
        "tuned_on": True,
        "baseline": baseline and describe(baseline),
        "statuses": {status: statuses.count(status) for status in STATUSES},
        "systems": {
            name: {
                **{outcome: _share(outcomes[name] == outcome) for outcome in OUTCOMES},
                "first_choice": _share(np.equal(choices, labels)),
            }
            for name, (_, choices) in systems.items()
        },
        "by_repository": {
            str(repository): {
                "pictures": int((repositories == repository).sum()),
                **{name: _counts(of[repositories == repository]) for name, of in outcomes.items()},
            }
            for repository in np.unique(repositories)
        },
    }
    return record, pairs, captions


def _read(classifier, path):
    """Return the Prediction for a picture, and the picture; UNREADABLE and a white one if it cannot be read."""
    try:
        prediction = classifier.predict(path)
    except PictureError:
        return UNREADABLE, Image.new("L", (SIZE, SIZE), 255)
    with Image.open(path) as image:
        return prediction, ImageOps.exif_transpose(image)


def _outcome(answer, label):
    return "refused" if answer is None else "right" if answer == label else "misread"


def _share(which):
    """Return the number, share and 95 % interval of the pictures that are true in `which`, (N,) bool."""
    return {"pictures": int(which.sum()), "share": round(float(which.mean()), 6), "interval": interval(which)}


def _counts(outcomes):
    return {outcome: int((outcomes == outcome).sum()) for outcome in OUTCOMES}
