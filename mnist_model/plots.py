"""The pictures of a model folder: dark ink on white, so that they can be printed, and looked at on a dark page."""

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from mnist_model.inference import percent

INK, QUIET, ACCENT = "#1f2328", "#8a8f98", "#d9480f"


def draw_learning_curves(history, path):
    """Draw loss and error by epoch, in training and on the validation images, into a PNG file."""
    figure = _figure(8, 3.2)
    epochs = [epoch["epoch"] for epoch in history]
    panels = {
        "Loss": lambda epoch, part: epoch[f"{part}loss"],
        "Error, %": lambda epoch, part: 100 * (1 - epoch[f"{part}accuracy"]),
    }
    for axes, (title, value) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for part, label, colour in (("", "training", QUIET), ("val_", "validation", ACCENT)):
            axes.plot(epochs, [value(epoch, part) for epoch in history], label=label, color=colour, linewidth=1.8)
        axes.set(title=title, xlabel="epoch", yscale="log")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)


def draw_confusion(matrix, path):
    """Draw a (10, 10) confusion matrix, [label][answer]: errors alone are shaded, as the rest would outshine them."""
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
    """Draw how often answers are right by how sure they are, and how many there are of each: see `reliability`."""
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
    """Draw the first 40 images with their labels, what each was read as, and how surely."""
    chosen = np.arange(min(40, len(images)))
    draw_digits(images[chosen], [_caption(labels[i], probabilities[i]) for i in chosen], path)


def draw_errors(images, labels, probabilities, path):
    """Draw the 40 images that were misread most surely, with their labels and what each was read as."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    hardest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:40]
    draw_digits(images[hardest], [_caption(labels[i], probabilities[i]) for i in hardest], path)


def _caption(label, probabilities):
    """Return the words below an image, and whether it was read rightly."""
    answer = probabilities.argmax()
    return f"{label} read as {answer}\n{percent(probabilities[answer])}", answer == label


def draw_digits(images, captions, path):
    """Draw (N, 28, 28) images in rows of ten, ink dark, each with its caption: words, and whether all is well."""
    rows = max(1, -(-len(images) // 10))
    figure = _figure(10, 1.35 * rows)
    grid = figure.subplots(rows, 10, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, (words, well) in zip(grid, images, captions, strict=False):
        axes.imshow(255 - image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(words, fontsize=7.5, color=INK if well else ACCENT, y=-0.42, linespacing=1.1)
    if len(images) == 0:
        figure.text(0.5, 0.5, "none", ha="center", color=INK)
    figure.savefig(path)


def draw_filters(model, path):
    """Draw the kernels of a Keras model's first convolution on the image, if it has one: red adds, blue takes away."""
    kernels = [layer.get_weights()[0] for layer in model.layers if type(layer).__name__ == "Conv2D"]
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


def _figure(width, height):
    return matplotlib.figure.Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
