"""Draw the plots of a model folder and of a study, dark on white for print and for dark pages."""

import itertools

import keras
import matplotlib.figure
import matplotlib.ticker
import numpy as np
from PIL import Image, ImageOps

from mnist_model.reading.classifier import percent

INK, QUIET, ACCENT, GROUND = "#1f2328", "#8a8f98", "#d9480f", "#d8dbe0"
PAIR_SIDE = 140  # side of each half of a pair, in pixels


def draw_learning_curves(history, path):
    """Draw the training and validation loss and error by epoch into a PNG file."""
    figure = _figure(8, 3.2)
    epochs = [epoch["epoch"] for epoch in history]
    panels = {
        "Loss": lambda epoch, part: epoch[f"{part}loss"],
        "Error, %": lambda epoch, part: 100 * (1 - epoch[f"{part}accuracy"]),
    }
    for axes, (title, value) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for part, label, colour in (("", "training", QUIET), ("val_", "validation", ACCENT)):
            axes.plot(epochs, [value(epoch, part) for epoch in history], label=label, color=colour, linewidth=1.8)
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        _logarithmic_grid(axes)
    axes.legend(frameon=False)
    figure.savefig(path)


def draw_confusion(matrix, path):
    """Draw a (10, 10) confusion matrix, [label][answer]. Only errors are shaded; the rest would outshine them."""
    matrix = np.asarray(matrix)
    errors = np.where(np.eye(10, dtype=bool), 0, matrix)
    figure = _figure(6, 5.6)
    axes = figure.subplots()
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, 1.4 * errors.max()))
    for (label, answer), count in np.ndenumerate(matrix):
        if count:
            weight = "normal" if label == answer else "bold"
            colour = QUIET if label == answer else INK
            axes.text(answer, label, f"{count}", ha="center", va="center", fontsize=9, weight=weight, color=colour)
    axes.set(xticks=range(10), yticks=range(10), xlabel="read as", ylabel="digit")
    axes.set_title(f"{errors.sum():,} of {matrix.sum():,} misread")
    axes.tick_params(length=0)
    axes.spines[:].set_color(QUIET)
    figure.savefig(path)


def draw_reliability(bins, path):
    """Draw accuracy and number of answers by confidence, from the bins of `metrics.reliability`."""
    figure = _figure(5, 5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    middles = [(each["from"] + each["to"]) / 2 for each in bins]
    width = bins[0]["to"] - bins[0]["from"]
    above.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1, label="as often as it says")
    above.bar(middles, [each["accuracy"] for each in bins], width, color="#f4a773", edgecolor="white")
    above.plot(
        [each["confidence"] for each in bins], [each["accuracy"] for each in bins], "o", color=INK, label="measured"
    )
    above.set(ylabel="right", ylim=(0, 1.02), xlim=(0, 1.005))
    above.legend(frameon=False, loc="upper left")
    below.bar(middles, [each["images"] for each in bins], width, color=QUIET, edgecolor="white")
    below.set(xlabel="confidence", ylabel="digits", yscale="log")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    for axis in (above.xaxis, above.yaxis):
        axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
    figure.savefig(path)


def draw_samples(images, labels, probabilities, path):
    """Draw the first 40 images with their labels, answers and confidences."""
    chosen = np.arange(min(40, len(images)))
    draw_digits(images[chosen], [_caption(labels[i], probabilities[i]) for i in chosen], path)


def draw_errors(images, labels, probabilities, path):
    """Draw the 40 images that were misread most confidently, with their labels and answers."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    hardest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:40]
    draw_digits(images[hardest], [_caption(labels[i], probabilities[i]) for i in hardest], path)


def _caption(label, probabilities):
    """Return the caption of an image, and whether it was read correctly."""
    answer = probabilities.argmax()
    return f"{label} read as {answer}\n{percent(probabilities[answer])}", answer == label


def draw_digits(images, captions, path):
    """Draw (N, 28, 28) images with dark ink in rows of ten, each with its caption: (text, whether it is right)."""
    _draw_grid([255 - image for image in images], captions, 10, path)


def draw_failures(pairs, captions, path):
    """Draw the results of `pair` in rows of five, each with its caption, a text."""
    _draw_grid(pairs, [(words, False) for words in captions], 5, path)


def pair(picture, image):
    """Put a PIL picture beside the (28, 28) image that a model saw of it: (H, W, 3) uint8.

    The ground is grey, so that both black and white ink on a transparent picture are seen.
    """
    both = Image.new("RGB", (2 * PAIR_SIDE + 3, PAIR_SIDE), GROUND)
    scale = PAIR_SIDE / max(picture.size)
    given = picture.convert("RGBA").resize([max(1, round(side * scale)) for side in picture.size])
    both.paste(given, tuple((PAIR_SIDE - side) // 2 for side in given.size), given)
    seen = Image.fromarray(255 - image).resize((PAIR_SIDE, PAIR_SIDE), Image.Resampling.NEAREST)
    both.paste(seen, (PAIR_SIDE + 3, 0))
    return np.asarray(ImageOps.expand(both, 3, GROUND))


def _draw_grid(pictures, captions, columns, path):
    """Draw pictures, grey or in colour, in rows, each with its caption: (text, whether it is right)."""
    rows = max(1, -(-len(pictures) // columns))
    figure = _figure(10, 1.35 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, picture, (words, well) in zip(grid, pictures, captions, strict=False):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.set_title(words, fontsize=7.5, color=INK if well else ACCENT, y=0, va="top", pad=-3, linespacing=1.1)
    if not pictures:
        figure.text(0.5, 0.5, "none", ha="center", color=INK)
    figure.savefig(path)


def draw_drawn(record, path):
    """Draw the error of each system in each condition, from the record of `drawn.benchmark`."""
    systems = {
        name: {"MNIST": {"test": each["mnist_test"]["accuracy"]}, **each["conditions"]}
        for name, each in record["systems"].items()
    }
    rows = [(group, condition) for group, of in next(iter(systems.values())).items() for condition in of]
    heights = range(len(rows))
    figure = _figure(8, 0.22 * len(rows) + 1.4)
    axes = figure.subplots()
    for system, marker, colour in zip(systems, "oxs", (ACCENT, INK, QUIET), strict=False):
        errors = [100 * (1 - systems[system][group][condition]) for group, condition in rows]
        # A logarithmic scale has no 0, so draw 0 at the left end.
        axes.plot([max(0.05, error) for error in errors], heights, marker, color=colour, markersize=6, label=system)
    for height, (before, now) in enumerate(itertools.pairwise(rows)):
        if before[0] != now[0]:
            axes.axhline(height + 0.5, color=QUIET, linewidth=0.6)
    axes.set_yticks(heights, [f"{group}, {condition}" for group, condition in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set(xlabel="misread, %", xlim=(0.045, 100))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.2, 1))
    figure.savefig(path)


def draw_filters(model, path):
    """Draw the kernels of a Keras model's first convolution, if any: red is positive, blue negative."""
    kernels = [layer.get_weights()[0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    if not kernels:
        return
    kernels = np.moveaxis(kernels[0][:, :, 0, :], -1, 0)
    rows = -(-len(kernels) // 8)
    figure = _figure(6.4, 0.82 * rows)
    limit = np.abs(kernels).max()
    grid = figure.subplots(rows, 8, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, kernel in zip(grid, kernels, strict=False):
        axes.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.savefig(path)


def draw_study_history(trials, path):
    """Draw the validation error of each trial in `study.json`, and the best so far."""
    figure = _figure(8, 3.6)
    axes = figure.subplots()
    best = []
    for state, label, marker, colour in (
        ("pruned", "stopped early", "x", QUIET),
        ("complete", "complete", "o", ACCENT),
    ):
        shown = [trial for trial in trials if trial["state"] == state and trial["val_accuracy"]]
        axes.plot([t["number"] for t in shown], [_error(t) for t in shown], marker, color=colour, label=label)
    for trial in trials:
        if trial["state"] == "complete" and (not best or _error(trial) < best[-1][1]):
            best.append((trial["number"], _error(trial)))
    best.append((trials[-1]["number"], best[-1][1]))
    axes.step(*zip(*best, strict=True), where="post", color=INK, linewidth=1, label="best so far")
    axes.set(xlabel="trial", ylabel="validation error, %")
    _logarithmic_grid(axes)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    figure.savefig(path)


def _error(trial):
    """Return the last validation error of a trial, in %; never 0, as it is drawn on a logarithmic scale."""
    return max(0.005, 100 * (1 - trial["val_accuracy"][-1]))


def draw_importances(importances, path):
    """Draw the importance of each setting of a study, a dict of shares that add up to 1."""
    figure = _figure(6, 3.2)
    axes = figure.subplots()
    bars = axes.barh([name.replace("_", " ") for name in importances], list(importances.values()), color="#f4a773")
    axes.bar_label(bars, [f"{100 * share:.0f} %" for share in importances.values()], padding=4, color=INK)
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(path)


def draw_parallel_coordinates(trials, path):
    """Draw each complete trial as a line through its settings. Better ones are darker, the best is in colour."""
    shown = sorted((trial for trial in trials if trial["state"] == "complete"), key=_error, reverse=True)
    names = list(shown[-1]["params"])
    columns = [[trial["params"][name] for trial in shown] for name in names] + [[_error(trial) for trial in shown]]
    figure = _figure(11, 4)
    axes = figure.subplots()
    heights = []
    for place, (name, values) in enumerate(zip([*names, "error"], columns, strict=True)):
        ticks, at = _scale(values, logarithmic=name in ("learning_rate", "error"))
        heights.append([at(value) for value in values])
        axes.axvline(place, color=QUIET, linewidth=1)
        for tick in ticks:
            text = tick if isinstance(tick, str) else f"{tick:.3g}"
            label = axes.text(place + 0.03, at(tick), text, fontsize=8, va="center", color=INK, zorder=len(shown) + 3)
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5})
    for rank, line in enumerate(zip(*heights, strict=True)):
        best = rank == len(shown) - 1
        shade = f"{0.85 - 0.6 * rank / len(shown):.2f}"
        axes.plot(line, color=ACCENT if best else shade, linewidth=2.2 if best else 1.1, zorder=rank + 2)
    axes.set_xticks(range(len(columns)), [*(name.replace("_", "\n") for name in names), "validation\nerror, %"])
    axes.set(ylim=(-0.04, 1.04), xlim=(-0.2, len(names) + 0.4), yticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.savefig(path)


def draw_speed(milliseconds, rates, path):
    """Draw the time of one prediction and the images read per second, for each way to run the network.

    Args:
        milliseconds: the time by way.
        rates: the images per second by way and by batch size, in words.
        path: the PNG file to write.
    """
    figure = _figure(9, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
    colours = [ACCENT if place == 0 else QUIET for place in range(len(milliseconds))]
    bars = left.barh(list(milliseconds), milliseconds.values(), color=colours)
    left.bar_label(bars, [f"{value:.2g}" for value in milliseconds.values()], padding=3, fontsize=9)
    left.set(xscale="log", title="One prediction, ms")
    left.set_xlim(right=4 * max(milliseconds.values()))
    left.invert_yaxis()
    sizes = list(next(iter(rates.values())))
    for place, (way, by_size) in enumerate(rates.items()):
        at = np.arange(len(sizes)) + 0.16 * (place - (len(rates) - 1) / 2)
        shade = ACCENT if place == 0 else f"{0.3 + 0.5 * place / len(rates):.2f}"
        right.bar(at, by_size.values(), 0.14, color=shade, label=way)
    right.set(title="Images a second", xticks=range(len(sizes)), xticklabels=sizes)
    right.set_ylim(top=1.5 * max(rate for by_size in rates.values() for rate in by_size.values()))
    right.legend(frameon=False, fontsize=8, ncols=2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _scale(values, logarithmic):
    """Return the ticks of an axis, and a function from a value to its height, from 0 to 1."""
    ticks = sorted(set(values))
    if isinstance(values[0], str):
        return ticks, lambda value: (ticks.index(value) + 0.5) / len(ticks)
    if len(ticks) > 8:
        ticks = [ticks[0], ticks[-1]]
    measure = np.log if logarithmic else np.asarray
    low, high = measure(ticks[0]), measure(ticks[-1])
    return ticks, lambda value: float((measure(value) - low) / (high - low)) if high > low else 0.5


def _logarithmic_grid(axes):
    """Make the vertical axis logarithmic, with ticks at 1, 2 and 5 and a light grid."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _figure(width, height):
    return matplotlib.figure.Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
