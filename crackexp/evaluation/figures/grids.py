"""Grids of images: samples, augmentations, predictions and the most wrong."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crackexp.evaluation.figures.style import (
    INK,
    LINE,
    MUTED,
    RED,
    WIDTH,
    heading,
    new_figure,
    percent,
    shortened,
    styled,
)


@styled
def sample_grid(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Draws images, three a row, with a title each.

    Args:
        images: (n, H, W, 3) uint8.
        titles: n class names.
    """
    return _grid(images, [shortened(title, 28) for title in titles], columns=3)


@styled
def augmentation_grid(images: np.ndarray) -> Figure:
    """Draws views of one image, three a row, as training sees them epoch by epoch.

    Args:
        images: (n, H, W, 3) uint8, one an epoch.
    """
    return _grid(images, [f"epoch {number}" for number in range(1, len(images) + 1)], columns=3)


@styled
def prediction_grid(images: np.ndarray, titles: Sequence[str], correct: Sequence[bool]) -> Figure:
    """Draws images with labels beside predictions, three a row; wrong ones stand in red.

    Args:
        images: (n, H, W, 3) uint8.
        titles: n texts, "label / prediction".
        correct: n flags.
    """
    figure = _grid(images, [shortened(title, 30) for title in titles], 3, wrong=~np.array(correct))
    heading(figure, "Label / prediction, red where wrong")
    return figure


@styled
def error_gallery(images: np.ndarray, rows: pd.DataFrame, errors: int) -> Figure:
    """Draws the most wrong predictions, or the least sure ones where all are right.

    Args:
        images: (n, H, W, 3) uint8.
        rows: of `predictions_table`, for these images: the ones that `most_wrong` chose.
        errors: number of wrong predictions in all.
    """
    titles = [f"{shortened(row.label, 13)} → {shortened(row.prediction, 13)}" for row in rows.itertuples()]
    details = [f"{percent(row.confidence)} sure\n{shortened(row.path, 30)}" for row in rows.itertuples()]
    figure = _grid(images, titles, 4, wrong=~rows["correct"].to_numpy(bool), details=details)
    if errors > len(rows):
        title = f"The {len(rows)} most wrong of {errors:,} errors"
    elif errors:
        title = "The only error" if errors == 1 else f"All {errors} errors, the most wrong first"
    else:
        title = "No errors: the least sure of the right predictions"
    heading(figure, f"{title} (true class → predicted class)")
    return figure


def _grid(
    images: np.ndarray,
    titles: Sequence[str],
    columns: int,
    wrong: np.ndarray | None = None,
    details: Sequence[str] = (),
) -> Figure:
    rows = -(-len(images) // columns)
    cell = WIDTH / columns
    figure = new_figure(rows * (cell + (0.45 if details else 0.1)) + (wrong is not None) * 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    size = 12 if columns == 3 else 10
    for number, axes in enumerate(panels):
        if number >= len(images):
            axes.set_visible(False)
            continue
        red = wrong is not None and wrong[number]
        axes.imshow(images[number])
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(False)
        axes.spines[:].set(visible=True, color=RED if red else LINE, linewidth=3 if red else 1)
        axes.set_title(titles[number], fontsize=size, color=RED if red else INK, pad=5, loc="center")
        if details:
            axes.set_xlabel(details[number], fontsize=8, color=MUTED)
    return figure
