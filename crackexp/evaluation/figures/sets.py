"""Sets of images side by side, and parts of one: dots with intervals."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from crackexp.evaluation.sets import Part, surface_of
from crackexp.metrics.metric import Metric, shown
from crackexp.reporting.figures.style import BLUE, INK, MUTED, RED, heading, new_figure, styled
from crackexp.reporting.formatting import shortened

WIDTH = 16
"""Characters in a line above a panel."""


@styled
def part_scores(
    parts: Sequence[Part], title: str, level: float, metrics: Mapping[str, Metric], photos: Sequence[Part] = ()
) -> Figure:
    """Draws the scores of each part with their intervals, a row a part, a panel a metric.

    Args:
        parts: of the kind "set" in blue, others in orange.
        title: over all.
        level: of the intervals.
        metrics: the metrics by their names, of which those are drawn that are shown of subsets.
        photos: drawn as open circles in the row of their surface, or in the first row where they name none.
    """
    figure = new_figure(1.9 + 0.5 * len(parts))
    drawn = shown(metrics, "subsets")
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    names = [part.name for part in parts]
    for axes, (name, metric) in zip(panels, drawn.items(), strict=True):
        _dots(axes, parts, name)
        for photo in photos:
            row = names.index(surface_of(photo.name)) if surface_of(photo.name) in names else 0
            if name in photo.scores:
                axes.plot(
                    photo.scores[name].value, row + 0.22, "o", mfc="none", color=MUTED, ms=4, mew=1, clip_on=False
                )
        axes.set_title(textwrap.fill(metric.title[:1].upper() + metric.title[1:], WIDTH), fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 5, 10]))
        if metric.highest == 1:
            axes.set_xlim(right=1)
    panels[0].set_ylim(len(parts) - 0.4, -0.6)
    panels[0].set_yticks(range(len(parts)), [f"{shortened(part.name, 24)}\n{part.size}" for part in parts], fontsize=9)
    handles = [Line2D([], [], color=INK, marker="o", label=f"with its {level:.0%} interval")]
    if photos:
        handles.append(Line2D([], [], color=MUTED, marker="o", mfc="none", ms=4, ls="", label="a photo"))
    figure.legend(handles=handles, loc="outside lower left", ncols=2)
    heading(figure, title)
    return figure


def _dots(axes: Axes, parts: Sequence[Part], metric: str) -> None:
    for row, part in enumerate(parts):
        color = BLUE if part.kind == "set" else RED
        score = part.scores.get(metric)
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
