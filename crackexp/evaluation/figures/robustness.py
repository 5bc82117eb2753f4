"""Figures of the scores under corruptions, and of an image under each of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from crackexp.evaluation.robustness import Robustness
from crackexp.reporting.figures.grids import grid
from crackexp.reporting.figures.style import BLUE, MUTED, heading, new_figure, styled

COLUMNS = 5
"""Panels in a row."""


@styled
def robustness_curves(robustness: Robustness, level: float) -> Figure:
    """Draws accuracy against strength with its intervals, in one panel for each corruption.

    Args:
        robustness: The scores. Those of the images without corruption are drawn at strength 0.
        level: The confidence of the intervals.
    """
    rows = -(-len(robustness.corrupted) // COLUMNS)
    figure = new_figure(1.3 + 2.1 * rows)
    panels = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False)
    clean = robustness.clean["accuracy"]
    for axes in panels.flat[len(robustness.corrupted) :]:
        axes.set_visible(False)
    for axes, (name, strengths) in zip(panels.flat, robustness.corrupted.items(), strict=False):
        scores = [clean, *(strength["accuracy"] for strength in strengths)]
        x = np.arange(len(scores))
        axes.axhline(clean.value, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.vlines(x, [s.low for s in scores], [s.high for s in scores], color=BLUE, alpha=0.5, linewidth=3)
        axes.plot(x, [s.value for s in scores], "o-", color=BLUE, linewidth=1, clip_on=False, zorder=3)
        axes.set_title(f"{name}\n{100 * scores[-1].value:.1f}% at {len(strengths)}", fontsize=10)
        axes.set_xticks(x)
        axes.set_xlim(-0.3, len(scores) - 0.7)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in panels[:, 0]:
        axes.set_ylabel("Accuracy")
    handles = [
        Line2D([], [], color=BLUE, marker="o", label=f"at each strength, with its {level:.0%} interval"),
        Line2D([], [], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="without corruption"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2)
    mean = robustness.mean["accuracy"]
    heading(figure, f"Accuracy under corruptions: {100 * mean.value:.1f}% on average, {100 * clean.value:.1f}% without")
    return figure


@styled
def corruption_sheet(image: np.ndarray, corrupted: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Draws an image without corruption and under each corruption at each strength, a row for each corruption.

    Args:
        image: The image without corruption, (S, S, 3) uint8.
        corrupted: The images, (S, S, 3) uint8, by the name of their corruption, from weak to strong; all corruptions
            have the same number of strengths.
    """
    rows = [
        (["as it is", *(f"{name} {k + 1}" for k in range(len(row)))], [image, *row]) for name, row in corrupted.items()
    ]
    titles = [title for names, _ in rows for title in names]
    images = np.stack([drawn for _, row in rows for drawn in row])
    return grid(images, titles, columns=len(rows[0][0]))
