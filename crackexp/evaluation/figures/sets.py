"""A figure of the scores of several sets of images, or of the subsets of one, as dots with intervals."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from crackexp.evaluation.sets import MEAN, Subset, surface_of
from crackexp.metrics.metric import Metric, shown
from crackexp.reporting.figures.style import BLUE, INK, MUTED, RED, heading, new_figure, styled
from crackexp.reporting.formatting import shortened

TITLE_WIDTH = 16
"""The characters in a line of the title of a panel."""


@styled
def subset_scores(
    subsets: Sequence[Subset], title: str, level: float, metrics: Mapping[str, Metric], photos: Sequence[Subset] = ()
) -> Figure:
    """Draws the scores of each subset with their intervals, in a row for each subset and a panel for each metric.

    Args:
        subsets: The subsets. Sets and their mean are drawn in blue, surfaces and photos in orange.
        title: The title of the figure.
        level: The confidence of the intervals.
        metrics: The metrics by their names. Those are drawn whose `shown_in` has "subsets".
        photos: The scores of single photos. They are open circles in the row of their surface, or in the first row
            where they name no surface.
    """
    figure = new_figure(1.9 + 0.5 * len(subsets))
    drawn = shown(metrics, "subsets")
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    names = [subset.name for subset in subsets]
    for axes, (name, metric) in zip(panels, drawn.items(), strict=True):
        _dots(axes, subsets, name)
        for photo in photos:
            row = names.index(surface_of(photo.name)) if surface_of(photo.name) in names else 0
            if name in photo.scores:
                axes.plot(
                    photo.scores[name].value, row + 0.22, "o", mfc="none", color=MUTED, ms=4, mew=1, clip_on=False
                )
        axes.set_title(textwrap.fill(metric.title[:1].upper() + metric.title[1:], TITLE_WIDTH), fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 5, 10]))
        if metric.highest == 1:
            axes.set_xlim(right=1)
    panels[0].set_ylim(len(subsets) - 0.4, -0.6)
    labels = [f"{shortened(subset.name, 24)}\n{subset.size}" for subset in subsets]
    panels[0].set_yticks(range(len(subsets)), labels, fontsize=9)
    handles = [Line2D([], [], color=INK, marker="o", label=f"with its {level:.0%} interval")]
    if photos:
        handles.append(Line2D([], [], color=MUTED, marker="o", mfc="none", ms=4, ls="", label="a photo"))
    figure.legend(handles=handles, loc="outside lower left", ncols=2)
    heading(figure, title)
    return figure


def _dots(axes: Axes, subsets: Sequence[Subset], metric: str) -> None:
    for row, subset in enumerate(subsets):
        color = BLUE if subset.kind in ("set", MEAN) else RED
        score = subset.scores.get(metric)
        if score is None:
            axes.text(
                0.5, row, "undefined", transform=axes.get_yaxis_transform(), ha="center", va="center", color=MUTED
            )
            continue
        if np.isfinite(score.low):
            axes.hlines(row, score.low, score.high, color=color, alpha=0.5, linewidth=3)
        axes.plot(score.value, row, "o", color=color, clip_on=False, zorder=3)
        axes.annotate(
            f"{score.value:.3f}", (score.value, row), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.grid(axis="y", visible=False)
