"""Grids of images: samples, augmented views, predictions and the worst errors."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crackexp.reporting.figures.evidence import evidence
from crackexp.reporting.figures.style import INK, LINE, MUTED, RED, WIDTH, heading, styled
from crackexp.reporting.formatting import percent, shortened
from crackexp.reporting.png import drawn_once


@drawn_once
@styled
def sample_grid(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Draws images with their titles, three in a row.

    Args:
        images: The images, (n, H, W, 3) uint8 RGB.
        titles: The title of each image, such as the name of its class.
    """
    return grid(images, [shortened(title, 28) for title in titles], columns=3)


@drawn_once
@styled
def augmentation_grid(image: np.ndarray, views: Sequence[np.ndarray]) -> Figure:
    """Draws an image and its augmented views in the first epochs of training, three in a row.

    Args:
        image: The image, (H, W, 3) uint8 RGB.
        views: The view of each epoch, shaped like the image.
    """
    titles = ["not augmented", *(f"epoch {number}" for number in range(1, len(views) + 1))]
    return grid(np.stack([image, *views]), titles, columns=3)


@styled
def prediction_grid(images: np.ndarray, titles: Sequence[str], correct: Sequence[bool]) -> Figure:
    """Draws images with their labels and predictions, three in a row; wrong predictions have an orange frame.

    Args:
        images: The images, (n, H, W, 3) uint8 RGB.
        titles: The text "label / prediction" of each image.
        correct: Whether each prediction is right.
    """
    figure = grid(images, [shortened(title, 30) for title in titles], 3, wrong=~np.array(correct))
    heading(figure, "Label / prediction; wrong predictions have an orange frame")
    return figure


@styled
def error_gallery(images: np.ndarray, scores: np.ndarray, rows: pd.DataFrame, errors: int, positive: str) -> Figure:
    """Draws the worst errors, or the least confident predictions where all are right, each beside its evidence.

    Args:
        images: The images, (n, H, W, 3) uint8 RGB.
        scores: The evidence for the class `positive` at each pixel, (n, H, W) float32; negative where it is against it.
        rows: The rows of `predictions_table` for these images, which `most_wrong` chose.
        errors: The number of all wrong predictions.
        positive: The name of the class that the evidence is about.
    """
    titles = [f"{shortened(row.label, 26)} → {shortened(row.prediction, 26)}" for row in rows.itertuples()]
    details = [f"{percent(row.confidence)} confident\n{shortened(row.path, 60)}" for row in rows.itertuples()]
    pairs = np.stack([np.hstack([image, evidence(image, score)]) for image, score in zip(images, scores, strict=True)])
    key = f"On the right: orange is evidence for {shortened(positive, 26)}, blue against it (Grad-CAM)"
    figure = grid(pairs, titles, 2, wrong=~rows["correct"].to_numpy(bool), details=details, key=key)
    if errors > len(rows):
        title = f"The {len(rows)} worst of {errors:,} errors" if len(rows) > 1 else f"The worst of {errors:,} errors"
    elif errors:
        every = "Both" if errors == 2 else f"All {errors}"
        title = "The only error" if errors == 1 else f"{every} errors, the worst first"
    else:
        title = "No errors: the least confident predictions"
    heading(figure, f"{title} (true class → predicted class)")
    return figure


@styled
def gallery(images: np.ndarray, titles: Sequence[str], details: Sequence[str], title: str) -> Figure:
    """Draws images with a title above and a few words below each, four in a row.

    Args:
        images: The images, (n, H, W, 3) uint8 RGB, n at least 1.
        titles: The title of each image.
        details: The text below each image, which is wrapped, and shortened where it takes more than two lines.
        title: The title of the figure.
    """
    names = [shortened(text, 24) for text in titles]
    details = ["\n".join(wrap(text, 30, max_lines=2, placeholder=" …")) for text in details]
    figure = grid(images, names, 4, wrong=np.zeros(len(images), bool), details=details)
    heading(figure, title)
    return figure


def grid(
    images: np.ndarray,
    titles: Sequence[str],
    columns: int,
    wrong: np.ndarray | None = None,
    details: Sequence[str] = (),
    key: str = "",
) -> Figure:
    """Draws images in rows. They share one axes in inches, since an axes for each image is three times slower.

    Args:
        images: The images, (n, H, W, 3) uint8 RGB.
        titles: The title above each image.
        columns: The number of images in a row.
        wrong: Which images get an orange frame, (n,) bool; None for none.
        details: The text below each image; empty for none.
        key: A line above the first row; empty for none.
    """
    cell, space = WIDTH / columns, 0.1
    side = cell - 2 * space
    title, detail = 0.27, 0.36 if details else 0.0
    tall = title + side * images.shape[1] / images.shape[2] + detail + space
    top, size = (0.0 if wrong is None else 0.4) + (0.25 if key else 0), 12 if columns == 3 else 10
    figure = Figure(figsize=(WIDTH, top + -(-len(images) // columns) * tall + space))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    if key:
        axes.text(0.1, 0.48, key, va="center", fontsize=9, color=MUTED)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        x, y = column * cell + space, top + row * tall + title
        bottom = y + tall - title - detail - space
        edge, line, ink = (RED, 3, RED) if wrong is not None and wrong[number] else (LINE, 1, INK)
        axes.imshow(image, extent=(x, x + side, bottom, y), aspect="auto")
        axes.add_patch(Rectangle((x, y), side, bottom - y, facecolor="none", edgecolor=edge, linewidth=line))
        center = x + side / 2
        axes.text(center, y - 0.07, titles[number], ha="center", fontsize=size, fontweight="bold", color=ink)
        if details:
            axes.text(center, bottom + 0.05, details[number], ha="center", va="top", fontsize=8, color=MUTED)
    width, height = figure.get_size_inches()
    axes.set(xlim=(0, width), ylim=(height, 0))
    return figure
