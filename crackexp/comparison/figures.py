"""The figures of a sweep: scores over the factors, the effect of each factor, cost against score, the ranking."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullFormatter

from crackexp.comparison.comparison import Comparison, Effect
from crackexp.comparison.design import in_order, level_text
from crackexp.reporting.figures.style import BLUE, INK, LINE, MUTED, RED, heading, new_figure, styled
from crackexp.reporting.formatting import p_text, shortened

SHADES = LinearSegmentedColormap.from_list("scores", ["#f3e9dc", "#dfe8ee", "#7db4d8", BLUE])
COLORS = {"best": BLUE, "tied": "#56b4e9", "worse": RED}
WORDS = {"best": "best", "tied": "tied with the best", "worse": "worse"}
PANELS, LEVELS, ROWS, NAMED = 9, 12, 60, 6
"""The largest numbers of panels, of levels on an axis, of rows of the ranking, and of named points."""


def sweep_figures(comparison: Comparison) -> dict[str, Figure]:
    """Returns those of the figures "scores", "effects", "cost" and "ranking" that the configurations allow."""
    figures = {}
    if _is_grid(comparison):
        figures["scores"] = score_map(comparison)
    if comparison.effects:
        figures["effects"] = main_effects(comparison)
    if len(comparison.table) > 1:
        figures["ranking"] = ranking(comparison)
        if comparison.table["seconds"].notna().any():
            figures["cost"] = cost(comparison)
    return figures


@styled
def score_map(comparison: Comparison) -> Figure:
    """Draws the score of each configuration: two factors as axes, a panel for each combination of the others.

    The axes are the factors with the most levels. Where there would be too many panels, each field is the mean over
    the other factors. A configuration without a run is hatched.

    Args:
        comparison: A comparison with at least two factors.
    """
    rows, columns, *others = _axes_first(comparison)
    table = comparison.table
    combinations = list(itertools.product(*(in_order(table[key]) for key in others)))
    averaged = len(combinations) > PANELS
    if averaged:
        combinations = [()]
    wide = 2 if len(combinations) == 4 else min(len(combinations), 3)
    high = -(-len(combinations) // wide)
    x_levels, y_levels = in_order(table[columns]), in_order(table[rows])
    fields = 0.52 if len(y_levels) <= 6 else 0.42
    height = 1.3 + high * (0.6 + 0.2 * len(others) + fields * len(y_levels))
    figure = new_figure(height, width=9.0 if wide * len(x_levels) > 4 else 6.0)
    panels = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
    limits = _limits(comparison)
    for axes in panels.flat[len(combinations) :]:
        axes.set_visible(False)
    for axes, combination in zip(panels.flat, combinations, strict=False):
        chosen = table
        for key, level in zip(others, combination, strict=False):
            chosen = chosen[chosen[key] == level]
        _field(axes, comparison, chosen, rows, columns, limits, averaged)
        if combination:
            pairs = zip(others, combination, strict=True)
            names = [shortened(f"{comparison.factors[key]} {level_text(level)}", 30) for key, level in pairs]
            axes.set_title("\n".join(names), fontsize=11)
        axes.set_xticks(range(len(x_levels)), [shortened(level_text(level), 14) for level in x_levels])
        axes.set_yticks(range(len(y_levels)), [shortened(level_text(level), 18) for level in y_levels])
    for axes in panels[:, 0]:
        axes.set_ylabel(comparison.factors[rows])
    for axes in panels.flat[max(0, len(combinations) - wide) : len(combinations)]:
        axes.set_xlabel(comparison.factors[columns])
        axes.tick_params(labelbottom=True)
    unit = ", %" if comparison.metric.proportion else ""
    averages = f", mean over {' and '.join(comparison.factors[key] for key in others)}" if averaged else ""
    heading(figure, f"{_title(comparison)} on the {comparison.items:,} common test images{unit}{averages}")
    return figure


@styled
def main_effects(comparison: Comparison) -> Figure:
    """Draws the mean score at each level of each factor, averaged over the others.

    Levels whose thick bars do not overlap differ. The thin bars are the intervals of the means.
    """
    effects = comparison.effects
    wide = min(len(effects), 3 if len(effects) != 4 else 2)
    high = -(-len(effects) // wide)
    figure = new_figure(0.9 + 3.3 * high, width=9.0 if wide > 1 else 5.6)
    panels = figure.subplots(high, wide, squeeze=False, sharey=True)
    for axes in panels.flat[len(effects) :]:
        axes.set_visible(False)
    for axes, effect in zip(panels.flat, effects, strict=False):
        _effect(axes, comparison, effect)
    for axes in panels[:, 0]:
        axes.set_ylabel(_title(comparison))
    handles = [
        Line2D([], [], color=INK, linewidth=6, alpha=0.5, label="levels whose thick bars do not overlap differ"),
        Line2D([], [], color=INK, linewidth=1, label=f"{comparison.level:.0%} interval of the mean score"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2 if wide > 1 else 1)
    alone = len(comparison.factors) == 1
    heading(figure, f"What {effects[0].name} does" if alone else "What each factor does, averaged over the others")
    return figure


@styled
def cost(comparison: Comparison) -> Figure:
    """Draws the loss of each configuration over its seconds and, where they differ, its parameters.

    A line joins the configurations that no other one beats in both. Some of them are named below the plot.
    """
    costs = [name for name in ("seconds", "parameters") if comparison.table[name].nunique() > 1] or ["seconds"]
    front = list(dict.fromkeys(name for key in costs for name in comparison.pareto[key]))
    names = front if len(front) <= NAMED else [*front[: NAMED - 1], front[-1]]
    figure = new_figure(4.4 + 0.22 * len(names), width=9.0 if len(costs) > 1 else 6.4)
    panels = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
    letters = dict(zip(names, "ABCDEFGHIJ", strict=False))
    for axes, key in zip(panels, costs, strict=True):
        _cost(axes, comparison, key, letters)
    panels[0].set_ylabel(_loss_label(comparison))
    handles = [
        Line2D([], [], marker="o", linestyle="", color=COLORS[verdict], label=WORDS[verdict])
        for verdict in COLORS
        if (comparison.table["verdict"] == verdict).any()
    ]
    handles.append(Line2D([], [], color=INK, linewidth=1, label="not beaten in cost and score"))
    panels[0].legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    lines = [f"{letter}  {shortened(name, 80)}" for name, letter in letters.items()]
    figure.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=9.5, color=INK)
    heading(figure, "Cost against score")
    return figure


@styled
def ranking(comparison: Comparison) -> Figure:
    """Draws how far each configuration lies from the best, with intervals that hold for all pairs together."""
    table = comparison.table.head(ROWS)
    figure = new_figure(1.7 + 0.24 * len(table))
    axes = figure.subplots()
    sign, unit = _unit(comparison)
    y = np.arange(len(table))
    for verdict, color in COLORS.items():
        mask = (table["verdict"] == verdict).to_numpy()
        part = table[mask]
        if part.empty:
            continue
        low, high = sign * part["difference_low"], sign * part["difference_high"]
        axes.hlines(y[mask], low, high, color=color, linewidth=2.2, alpha=0.55)
        marker = "D" if verdict == "best" else "o"
        axes.plot(sign * part["difference"], y[mask], marker, color=color, label=WORDS[verdict], zorder=3)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(y, [shortened(name, 52) for name in table["configuration"]], fontsize=9)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    scores = axes.secondary_yaxis("right")
    scores.set_yticks(y, [_number(comparison, score) for score in table["score"]], fontsize=9)
    scores.tick_params(length=0)
    scores.spines[:].set_visible(False)
    axes.set_xlabel(
        f"{_title(comparison)} against the best{unit}\n"
        f"Bars: {comparison.level:.0%} intervals that hold for all pairs together"
    )
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handletextpad=0.3)
    rest = f", the first {ROWS} of {len(comparison.table)}" if len(comparison.table) > ROWS else ""
    heading(figure, f"Ranking{rest}: an interval that holds 0 is a tie")
    return figure


def _is_grid(comparison: Comparison) -> bool:
    if len(comparison.factors) < 2:
        return False
    counts = [comparison.table[key].nunique() for key in comparison.factors]
    rows, columns, *_ = sorted(counts, reverse=True)
    return max(rows, columns) <= LEVELS and 2 * len(comparison.table) >= np.prod(counts)


def _axes_first(comparison: Comparison) -> list[str]:
    """Returns the factors, those with the most levels first. Of the first two, rows have the one with longer names."""
    keys = sorted(comparison.factors, key=lambda key: -comparison.table[key].nunique())
    length = {key: max(len(level_text(level)) for level in comparison.table[key]) for key in keys}
    return [*sorted(keys[:2], key=lambda key: -length[key]), *keys[2:]]


def _limits(comparison: Comparison) -> tuple[float, float]:
    """Returns the scores of the palest and the darkest shade. A very bad score does not make the others look alike."""
    scores = comparison.table["score"]
    best, middle = scores.iloc[0], scores.median()
    worst = scores.min() if comparison.metric.higher_is_better else scores.max()
    far = best + 4 * (middle - best) if middle != best else worst
    end = max(worst, far) if comparison.metric.higher_is_better else min(worst, far)
    return float(end), float(best)


def _field(
    axes: Axes,
    comparison: Comparison,
    chosen: pd.DataFrame,
    rows: str,
    columns: str,
    limits: tuple[float, float],
    averaged: bool,
) -> None:
    x_levels, y_levels = in_order(comparison.table[columns]), in_order(comparison.table[rows])
    axes.set(xlim=(-0.5, len(x_levels) - 0.5), ylim=(len(y_levels) - 0.5, -0.5))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    span = limits[1] - limits[0]
    for (row, level), (column, other) in itertools.product(enumerate(y_levels), enumerate(x_levels)):
        here = chosen[(chosen[rows] == level) & (chosen[columns] == other)]
        corner = (column - 0.48, row - 0.46)
        if here.empty:
            axes.add_patch(Rectangle(corner, 0.96, 0.92, facecolor="white", edgecolor=LINE, hatch="////", linewidth=0))
            continue
        score = here["score"].mean()
        shade = SHADES(float(np.clip((score - limits[0]) / span, 0, 1)) if span else 0.5)
        axes.add_patch(Rectangle(corner, 0.96, 0.92, facecolor=shade, linewidth=0))
        dark = np.dot(to_rgb(shade), (0.299, 0.587, 0.114)) < 0.55
        ink = "white" if dark else INK
        verdict = "" if averaged else here["verdict"].iloc[0]
        small = 8 if len(x_levels) > 6 else 9
        axes.text(column, row - 0.13 * bool(verdict), _number(comparison, score), ha="center", va="center", color=ink)
        axes.text(column, row + 0.26, verdict, ha="center", va="center", color=ink, fontsize=small)
        if verdict == "best":
            axes.add_patch(Rectangle(corner, 0.96, 0.92, fill=False, edgecolor=INK, linewidth=2.5, zorder=4))


def _effect(axes: Axes, comparison: Comparison, effect: Effect) -> None:
    levels = effect.levels
    x = np.arange(len(levels))
    color = BLUE if effect.matters else MUTED
    axes.vlines(x, levels["low"], levels["high"], color=color, linewidth=1)
    ends = comparison.metric.lowest, comparison.metric.highest
    low, high = ((levels["score"] + sign * levels["margin"]).clip(*ends) for sign in (-1, 1))
    axes.vlines(x, low, high, color=color, linewidth=7, alpha=0.5)
    axes.plot(x, levels["score"], "o-", color=color, linewidth=1, markeredgecolor="white", zorder=3)
    shown: Sequence[Any] = [shortened(level_text(level), 16) for level in levels["level"]]
    long = len(shown) > 3 and max(map(len, shown)) * len(shown) > 28
    axes.set_xticks(x, shown, rotation=35 if long else 0, ha="right" if long else "center")
    axes.set_xlim(-0.5, len(x) - 0.5)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(comparison, value, 1)))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    told = f"matters, {p_text(effect.p)}" if effect.matters else f"no difference shown, {p_text(effect.p)}"
    axes.set_title(f"{shortened(effect.name, 26)}\n{told}", fontsize=11, color=INK if effect.matters else MUTED)


def _cost(axes: Axes, comparison: Comparison, key: str, letters: dict[str, str]) -> None:
    table = comparison.table
    counted = comparison.metric.counts_errors
    loss = 100 * (1 - table["score"]) if counted else _unit(comparison)[0] * table["score"]
    for verdict in ("worse", "tied", "best"):
        mask = table["verdict"] == verdict
        axes.plot(table[key][mask], loss[mask], "o", color=COLORS[verdict], markeredgecolor="white", markersize=8)
    front = [table.index[table["configuration"] == name][0] for name in comparison.pareto[key]]
    axes.plot(table[key][front], loss[front], color=INK, linewidth=1, drawstyle="steps-post", zorder=1)
    wide = table[key].max() > 8 * table[key].min() > 0
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0, right=1.08 * table[key].max())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if comparison.metric.higher_is_better and not counted:
        axes.invert_yaxis()
    elif comparison.metric.lowest == 0:
        axes.set_ylim(-0.1 * loss.max() or -0.1, 1.08 * loss.max() or 1)
    named = [row for row in front if table["configuration"][row] in letters]
    points = {letters[table["configuration"][row]]: (table[key][row], loss[row]) for row in named}
    for text, point in _together(axes, points).items():
        axes.annotate(text, point, (-4, -4), textcoords="offset points", ha="right", va="top")
    axes.set_xlabel("seconds of the run" if key == "seconds" else "parameters of the network")


def _together(axes: Axes, points: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Returns the points by their letters. Points whose letters would overlap get one label with all letters."""
    place = axes.transScale + axes.transLimits
    result: dict[str, tuple[float, float]] = {}
    for letter, point in points.items():
        last = next(reversed(result), None)
        if last and np.all(np.abs(place.transform(point) - place.transform(result[last])) < 0.06):
            result[f"{last} {letter}"] = result.pop(last)
        else:
            result[letter] = point
    return result


def _title(comparison: Comparison) -> str:
    name = comparison.metric.title
    return name[0].upper() + name[1:]


def _loss_label(comparison: Comparison) -> str:
    if comparison.metric.counts_errors:
        return "Wrong predictions, %"
    return f"{_title(comparison)}, %" if comparison.metric.proportion else _title(comparison)


def _unit(comparison: Comparison) -> tuple[float, str]:
    return (100, ", percentage points") if comparison.metric.proportion else (1, "")


def _number(comparison: Comparison, score: float, digits: int = 2) -> str:
    """Returns a proportion in percent, or another score with three digits."""
    return f"{100 * score:.{digits}f}" if comparison.metric.proportion else f"{score:.3f}"
