"""The confusion matrix."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix as count_pairs

from crackexp.reporting.figures.style import BLUE, INK, WIDTH, new_figure, styled
from crackexp.reporting.formatting import percent, shortened

SHADES = LinearSegmentedColormap.from_list("shades", ["#f7f9fb", BLUE])
MAX_ANNOTATED = 12
"""The largest number of classes for which numbers are written into the cells, since more could not be read."""


@styled
def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str], decisions: pd.DataFrame | None = None
) -> Figure:
    """Draws a confusion matrix, in counts and in shares of the true class.

    Args:
        labels: (n,) int in [0, c).
        predictions: (n,) int in [0, c).
        class_names: The names of the c classes.
        decisions: The counts of the decisions on each class, which are drawn as a third panel, see `decisions_table`.
    """
    counts = count_pairs(labels, predictions, labels=range(len(class_names)))
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    size = max(len(class_names), 2)
    short = [shortened(name, 14) for name in class_names]
    panels = 2 if decisions is None else 3
    figure = new_figure(4.6 if size < 6 else 5.4, width=WIDTH * panels / 2)
    left, right, *more = figure.subplots(1, panels, squeeze=False)[0]
    _matrix(left, counts / max(counts.max(), 1), [f"{n:,}" for n in counts.flat], short, short)
    texts = [
        percent(share) if total else "no image"
        for share, total in zip(shares.flat, np.repeat(totals, len(class_names)), strict=True)
    ]
    _matrix(right, shares, texts, short, short)
    left.set_title("Images")
    right.set_title("Share of the true class")
    left.set_ylabel("True class")
    if decisions is not None:
        (last,) = more
        table, rows = decisions.to_numpy(), [shortened(name, 23) for name in decisions.index]
        _matrix(last, table / max(table.max(), 1), [f"{n:,}" for n in table.flat], rows, list(decisions.columns))
        last.set_title("Decisions")
        last.set_xlabel("Decision")
    return figure


def _matrix(axes: Axes, shade: np.ndarray, texts: Sequence[str], rows: Sequence[str], columns: Sequence[str]) -> None:
    c = len(rows)
    axes.imshow(shade, cmap=SHADES, vmin=0, vmax=1, aspect="equal")
    long = len(columns) > 3 or max(map(len, columns)) > 10
    axes.set_xticks(range(len(columns)), columns, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(c), rows)
    axes.set_xlabel("Predicted class")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, c) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=3)
    axes.tick_params(which="minor", length=0)
    if c > MAX_ANNOTATED:
        return
    size = {2: 17, 3: 14, 4: 12, 5: 11}.get(c, 8)
    for (row, column), text in zip(np.ndindex(shade.shape), texts, strict=True):
        color = "white" if shade[row, column] > 0.5 else INK
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)
