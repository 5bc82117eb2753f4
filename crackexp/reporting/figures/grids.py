"""Grids of images: samples, augmentations, predictions and the most wrong."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crackexp.reporting.figures.evidence import evidence
from crackexp.reporting.figures.style import INK, LINE, MUTED, RED, WIDTH, heading, styled
from crackexp.reporting.formatting import percent, shortened


@styled
def sample_grid(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Draws images, three a row, with a title each.

    Args:
        images: (n, H, W, 3) uint8.
        titles: n class names.
    """
    return grid(images, [shortened(title, 28) for title in titles], columns=3)


@styled
def augmentation_grid(images: np.ndarray) -> Figure:
    """Draws views of one image, three a row, as training sees them epoch by epoch.

    Args:
        images: (n, H, W, 3) uint8, one an epoch.
    """
    return grid(images, [f"epoch {number}" for number in range(1, len(images) + 1)], columns=3)


@styled
def prediction_grid(images: np.ndarray, titles: Sequence[str], correct: Sequence[bool]) -> Figure:
    """Draws images with labels beside predictions, three a row; wrong ones stand in red.

    Args:
        images: (n, H, W, 3) uint8.
        titles: n texts, "label / prediction".
        correct: n flags.
    """
    figure = grid(images, [shortened(title, 30) for title in titles], 3, wrong=~np.array(correct))
    heading(figure, "Label / prediction, red where wrong")
    return figure


@styled
def error_gallery(images: np.ndarray, scores: np.ndarray, rows: pd.DataFrame, errors: int, positive: str) -> Figure:
    """Draws the most wrong predictions, or the least sure ones where all are right, and beside each why.

    Args:
        images: (n, H, W, 3) uint8.
        scores: (n, H, W) float32, what speaks for the class `positive` at each pixel, and below 0 against it.
        rows: of `predictions_table`, for these images: the ones that `most_wrong` chose.
        errors: number of wrong predictions in all.
        positive: name of a class.
    """
    titles = [f"{shortened(row.label, 26)} → {shortened(row.prediction, 26)}" for row in rows.itertuples()]
    details = [f"{percent(row.confidence)} sure\n{shortened(row.path, 60)}" for row in rows.itertuples()]
    pairs = np.stack([np.hstack([image, evidence(image, part)]) for image, part in zip(images, scores, strict=True)])
    key = f"On the right: orange speaks for {shortened(positive, 26)}, blue against it (Grad-CAM)"
    figure = grid(pairs, titles, 2, wrong=~rows["correct"].to_numpy(bool), details=details, key=key)
    if errors > len(rows):
        title = f"The {len(rows)} most wrong of {errors:,} errors"
    elif errors:
        title = "The only error" if errors == 1 else f"All {errors} errors, the most wrong first"
    else:
        title = "No errors: the least sure of the right predictions"
    heading(figure, f"{title} (true class → predicted class)")
    return figure


@styled
def gallery(images: np.ndarray, titles: Sequence[str], details: Sequence[str], title: str) -> Figure:
    """Draws images, four a row, with a title over and a few words under each.

    Args:
        images: (n, H, W, 3) uint8, n at least 1.
        titles: n texts.
        details: n texts, of two lines at most.
        title: of the whole.
    """
    names = [shortened(text, 24) for text in titles]
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
    """Draws all images on one canvas with coordinates in inches; a canvas each would take three times as long."""
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
