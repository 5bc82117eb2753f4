"""Sets of images side by side, and parts of one: dots with intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from crackexp.evaluation.sets import COMPARED, Part, surface_of
from crackexp.reporting.figures.style import BLUE, INK, MUTED, RED, heading, new_figure, styled
from crackexp.reporting.formatting import shortened

TITLES = {
    "accuracy": "Accuracy",
    "recall": "Recall",
    "roc_auc": "Area under ROC",
    "recall_at_fpr_5": "Recall at 5 %\nfalse alarms",
}


@styled
def part_scores(parts: Sequence[Part], title: str, level: float, photos: Sequence[Part] = ()) -> Figure:
    """Draws the scores of each part with their intervals, a row a part, a panel a metric.

    Args:
        parts: of the kind "set" in blue, others in orange.
        title: over all.
        level: of the intervals.
        photos: drawn as open circles in the row of their surface, or in the first row where they name none.
    """
    figure = new_figure(1.9 + 0.5 * len(parts))
    panels = figure.subplots(1, len(COMPARED), sharey=True)
    names = [part.name for part in parts]
    for axes, metric in zip(panels, COMPARED, strict=True):
        _dots(axes, parts, metric)
        for photo in photos:
            row = names.index(surface_of(photo.name)) if surface_of(photo.name) in names else 0
            if metric in photo.scores:
                axes.plot(
                    photo.scores[metric].value, row + 0.22, "o", mfc="none", color=MUTED, ms=4, mew=1, clip_on=False
                )
        axes.set_title(TITLES[metric], fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 5, 10]))
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
