"""The drawn-digit benchmark: accuracy, calibration and refusals on digits of held-out writers, drawn and photographed.

Two baselines show what each part is worth: the model's twin, trained on MNIST alone, and the same twin given the canvas
shrunk to 28×28, the usual way.
"""

import io

import numpy as np
from PIL import Image, ImageOps
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from mnist_model import model_folder
from mnist_model.data import negatives, photographs, strokes
from mnist_model.evaluation import plots
from mnist_model.evaluation.metrics import is_right, measure
from mnist_model.reading.classifier import LiteRTModel
from mnist_model.reading.preprocessing import SIZE, preprocess

# The ordinary arguments of `strokes.draw`, and those that each condition of each group changes.
ORDINARY = {"brush": 18, "size": 0.5, "place": (0.5, 0.5), "turn": 0, "light_on_dark": False}
CONDITIONS = {
    "brush": {f"{brush} px": {"brush": brush} for brush in (4, 8, 18, 28, 36)},
    "size": {f"{round(100 * size)} %": {"size": size} for size in (0.2, 0.35, 0.5, 0.7, 0.9)},
    "place": {
        "middle": {},
        "upper left": {"size": 0.3, "place": (0, 0)},
        "upper right": {"size": 0.3, "place": (1, 0)},
        "lower left": {"size": 0.3, "place": (0, 1)},
        "lower right": {"size": 0.3, "place": (1, 1)},
    },
    "turn": {f"{turn:+d}°" if turn else "0°": {"turn": turn} for turn in (-15, -12, 0, 12, 15)},
    "paper": {"light": {}, "dark": {"light_on_dark": True}},
}
PHOTOGRAPHED = 3  # one in this many digits is photographed on each paper, as photographs take longer
NEGATIVES_PER_KIND = 250
MNIST_TEST = "mnist_test"


def evaluate(folder, twin, pen_digits, images, labels):
    """Run `benchmark`, add its record to the folder's `metrics.json` as "drawn", and draw its plot.

    Returns:
        The record, with the sha256 of the measured files and the provenance.
    """
    (path,) = model_folder.find(folder, model_folder.METRICS_FILE)
    record = {
        **benchmark(path.parent, twin, pen_digits, images, labels),
        "sha256": model_folder.serving_sha256(path.parent),
        **model_folder.provenance("numpy", "pillow", "scikit-learn", "ai-edge-litert", "hershey-fonts"),
    }
    plots.draw_drawn(record, path.with_name(model_folder.DRAWN_FILE))
    model_folder.write_json(path, model_folder.read_json(path) | {"drawn": record})
    return record


def benchmark(folder, twin, pen_digits, images, labels):
    """Measure a model folder and its twin on digits of the held-out writers and on MNIST.

    Args:
        folder: the model folder; if it has a detector, refusals are measured as well.
        twin: the folder of a model trained on MNIST alone, or None.
        pen_digits: the PenDigits of `strokes.load`.
        images: (N, 28, 28) uint8, MNIST's test images.
        labels: (N,) integers from 0 to 9.

    Returns:
        A dict. "twin": a description of that model; "writers": the held-out ones; "digits" and "photographs": their
        numbers; "systems": for each system "mnist_test", "ordinary" and "all" (everything drawn), with accuracy,
        interval and calibration, and "conditions", the accuracy by group and condition; and "refusals".
    """
    digits = strokes.split(pen_digits)[2]
    photographed = digits[::PHOTOGRAPHED]
    systems = {"this model": (LiteRTModel(model_folder.find(folder, model_folder.LITERT_FILE)[0]), preprocess)}
    if twin:
        alone = LiteRTModel(model_folder.find(twin, model_folder.LITERT_FILE)[0])
        systems |= {"trained on MNIST alone": (alone, preprocess), "the same, canvas shrunk to 28×28": (alone, shrink)}
    ways = {way for _, way in systems.values()}

    # The systems' inputs for each way of drawing. The ordinary way is in every group, but drawn once.
    truths = {MNIST_TEST: labels}
    seen = {way: {MNIST_TEST: images} for way in ways}
    drawings = list(dict.fromkeys(_key(each) for conditions in CONDITIONS.values() for each in conditions.values()))
    bar = tqdm(total=len(drawings) * len(digits) + len(photographs.PAPERS) * len(photographed), disable=None)
    for key in drawings:
        _see(key, digits, (strokes.draw(digit.strokes, **dict(key)) for digit in digits), seen, truths, bar)
    for paper, settings in photographs.PAPERS.items():
        rng = np.random.default_rng(0)
        files = (photographs.photograph(digit.strokes, rng, **settings) for digit in photographed)
        _see(paper, photographed, (Image.open(io.BytesIO(file)) for file in files), seen, truths, bar)
    bar.close()

    record = {
        "twin": twin and describe(twin),
        "writers": list(strokes.HELD_OUT_WRITERS),
        "digits": len(digits),
        "photographs": len(photographed),
        "systems": {
            name: _figures({key: model.probabilities(part) for key, part in seen[way].items()}, truths)
            for name, (model, way) in systems.items()
        },
    }
    if (folder / model_folder.DETECTOR_FILE).exists():
        record["refusals"] = _refusals(folder, seen[preprocess], digits)
    return record


def _key(different):
    """Return the key of a way of drawing, a tuple of its settings. The key of photographs is their paper's name."""
    return tuple((ORDINARY | different).items())


def _see(key, digits, pictures, seen, truths, bar):
    """Preprocess the pictures in each way, and store the results and labels under `key`."""
    prepared = {way: [] for way in seen}
    for picture in pictures:
        for way, images in prepared.items():
            images.append(way(picture))
        bar.update()
    for way, images in prepared.items():
        seen[way][key] = np.stack(images)
    truths[key] = np.array([digit.label for digit in digits])


def describe(folder):
    """Describe the model in a folder."""
    training, litert = model_folder.find(folder, model_folder.TRAINING_FILE, model_folder.LITERT_FILE)
    training = model_folder.read_json(training)
    return {
        "config": training["config"],
        "git_commit": training["git_commit"],
        "sha256": {litert.name: model_folder.sha256(litert)},
    }


def shrink(picture):
    """Shrink a picture to (28, 28) uint8 with bright ink, as most demos do."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    levels = np.asarray(ImageOps.exif_transpose(image).convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return 255 - levels if np.median(levels) > 127 else levels


def _figures(answers, truths):
    """Return the metrics of one system from its probabilities, (N, 10) for each key."""
    accuracy = {key: round(float(is_right(rows, truths[key]).mean()), 6) for key, rows in answers.items()}
    drawn = [key for key in answers if isinstance(key, tuple)]
    everything = np.concatenate([answers[key] for key in drawn]), np.concatenate([truths[key] for key in drawn])
    return {
        "mnist_test": _summary(answers[MNIST_TEST], truths[MNIST_TEST]),
        "ordinary": _summary(answers[_key({})], truths[_key({})]),
        "all": _summary(*everything),
        "conditions": _by_condition(accuracy),
    }


def _by_condition(figures):
    """Regroup figures by key into a dict by group and condition."""
    return {
        **{
            group: {name: figures[_key(different)] for name, different in conditions.items()}
            for group, conditions in CONDITIONS.items()
        },
        "photograph": {paper: figures[paper] for paper in photographs.PAPERS},
    }


def _summary(probabilities, labels):
    figures = measure(probabilities, labels)
    names = ("accuracy_interval", "negative_log_likelihood", "expected_calibration_error")
    return {"accuracy": round(float(is_right(probabilities, labels).mean()), 6)} | {
        name: figures[name] for name in names
    }


def _refusals(folder, seen, digits):
    """Return the shares of digits and of other drawings that the detector refuses."""
    detector = LiteRTModel(folder / model_folder.DETECTOR_FILE, outputs=1)
    threshold = model_folder.read_json(folder / model_folder.THRESHOLD_FILE)["threshold"]
    scores = {key: detector.probabilities(images)[:, 0] for key, images in seen.items()}
    reported = negatives.UNSEEN_KINDS + negatives.FRESH_KINDS
    others = negatives.varied_drawings(reported, digits, NEGATIVES_PER_KIND, seed=0)
    other_scores = detector.probabilities(others)[:, 0]
    kinds = dict(zip(reported, other_scores.reshape(len(reported), NEGATIVES_PER_KIND), strict=True))

    def refused(some):
        return round(float((some < threshold).mean()), 6)

    drawn = np.concatenate([part for key, part in scores.items() if isinstance(key, tuple)])
    digit_scores = np.concatenate([scores[MNIST_TEST], drawn])
    is_digit = np.concatenate([np.ones(len(digit_scores)), np.zeros(len(other_scores))])
    return {
        "threshold": threshold,
        "mnist_test": refused(scores[MNIST_TEST]),
        "ordinary": refused(scores[_key({})]),
        "all": refused(drawn),
        "conditions": _by_condition({key: refused(part) for key, part in scores.items()}),
        "no_digits": {kind.__name__.replace("_", " "): refused(part) for kind, part in kinds.items()},
        "all_no_digits": refused(other_scores),
        "fresh_no_digits": refused(np.concatenate([kinds[kind] for kind in negatives.FRESH_KINDS])),
        "auroc": round(float(roc_auc_score(is_digit, np.concatenate([digit_scores, other_scores]))), 6),
    }
