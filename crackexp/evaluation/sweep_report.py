"""Tells a comparison: as Markdown for a run's page, and as one HTML file that opens anywhere."""

import base64
import io
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from crackexp import __version__
from crackexp.evaluation.comparison import Comparison, Effect
from crackexp.evaluation.layout import level_text
from crackexp.evaluation.wording import METRICS
from crackexp.reporting.formatting import ends_text, number, p_text, seconds_text
from crackexp.templates import render

ROWS = 10
"""Of the table in Markdown."""

TITLES = {
    "scores": "The score of each setting",
    "effects": "What each factor does",
    "ranking": "How far each setting is from the best",
    "cost": "What it costs",
}
DPI = 150


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: of the column.
        texts: a text a row.
        keys: what the rows are sorted by, numbers or texts.
        numeric: whether the column stands on the right.
    """

    title: str
    texts: list[str]
    keys: list[Any]
    numeric: bool


def settings_columns(found: Comparison) -> list[Column]:
    """Returns the table of the settings as it is shown, the best first; columns that say nothing are left out."""
    table = found.table
    columns = [_levels(name, table[key]) for key, name in found.factors.items()]
    if not columns or table["setting"].nunique() > len(table[list(found.factors)].drop_duplicates()):
        columns.insert(0, _texts("setting", table["setting"]))
    if len(table) > 1:
        columns.append(_texts("verdict", table["verdict"]))
    ends = [ends_text(row.low, row.high) for row in table.itertuples()]
    columns += [
        _numbers(METRICS[found.metric], table["score"], [number(score) for score in table["score"]]),
        _numbers(f"{found.level:.0%} interval", table["low"], ends),
        _numbers("errors", table["errors"], [f"{errors:.4g}" for errors in table["errors"]]),
    ]
    if len(table) > 1:
        differences = [
            f"{row.difference:+.4f} ({row.difference_low:+.4f} to {row.difference_high:+.4f})"
            if row.verdict != "best"
            else ""
            for row in table.itertuples()
        ]
        p = [
            "" if row.verdict == "best" else p_text(row.p).removeprefix("p = ").removeprefix("p ")
            for row in table.itertuples()
        ]
        columns += [_numbers("against the best", table["difference"], differences), _numbers("p", table["p"], p)]
    if table["runs"].max() > 1:
        columns.append(_numbers("runs", table["runs"], [str(runs) for runs in table["runs"]]))
    if not (table["own_score"] - table["score"]).abs().max() < 1e-12:
        columns.append(_numbers("on its own test images", table["own_score"], [number(x) for x in table["own_score"]]))
    columns.append(_numbers("time", table["seconds"], [seconds_text(seconds) for seconds in table["seconds"]]))
    if table["parameters"].nunique() > 1:
        columns.append(_numbers("parameters", table["parameters"], [f"{count:,.0f}" for count in table["parameters"]]))
    return columns


def markdown(found: Comparison) -> str:
    """Returns the answer, a table of the first settings and the notes."""
    first, *rest = found.statements
    lines = [f"**{_literal(first)}**", "", _literal(" ".join(rest)), ""]
    columns = [column for column in settings_columns(found) if column.title not in ("against the best", "p")]
    lines.append("| " + " | ".join(_literal(column.title) for column in columns) + " |")
    lines.append("|" + "|".join("---:" if column.numeric else "---" for column in columns) + "|")
    for row in range(min(ROWS, len(found.table))):
        lines.append("| " + " | ".join(_literal(column.texts[row]) for column in columns) + " |")
    if len(found.table) > ROWS:
        lines += ["", f"The first {ROWS} of {len(found.table)} settings."]
    if found.notes:
        lines += ["", *(f"- {_literal(note)}" for note in found.notes)]
    return "\n".join(lines) + "\n"


def html(
    found: Comparison,
    title: str,
    figures: Mapping[str, Figure],
    failed: Sequence[tuple[str, str]] = (),
    command: str = "",
) -> str:
    """Returns the report as one HTML page without outside resources: the answer, figures, tables, how it was tested.

    Args:
        found: what is told.
        title: of the sweep.
        figures: of `sweep_figures`, by their names.
        failed: name and error of each cell without a result.
        command: that computed the cells; empty: not told.
    """
    counts = found.table["verdict"].value_counts()
    return render(
        "crackexp.evaluation",
        "sweep_report.html",
        title=title,
        found=found,
        answer=found.statements[0],
        more=found.statements[1:],
        counts={verdict: int(counts.get(verdict, 0)) for verdict in ("best", "tied", "worse")},
        pictures=[
            (name, heading, figures[name].get_figwidth(), _png(figures[name]))
            for name, heading in TITLES.items()
            if name in figures
        ],
        columns=settings_columns(found),
        rows=range(len(found.table)),
        verdicts=list(found.table["verdict"]),
        effects=[_effect(effect) for effect in found.effects] if len(found.factors) > 1 else [],
        runs=_runs(found),
        method=method(found),
        failed=failed,
        command=command,
        versions={"crackexp": __version__, "Python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "scipy", "pandas")},
    )


def method(found: Comparison) -> list[str]:
    """Returns how the verdicts came about, a paragraph each."""
    units = "photos" if found.groups else "images"
    pairs = (
        f"Choosing the best of many flatters it, so all pairs are tested together on resamples of the {units} (the "
        "max-T method of Westfall and Young). The chance that any setting is called worse though it is not is at most "
        f"{1 - found.level:.0%}."
    )
    if found.groups:
        pairs += " Photos are few, so the tails of their resamples are those of Student's t."
    elif found.metric == "accuracy":
        pairs += " Single runs must differ by McNemar's exact test too."
    paragraphs = [
        f"Only the {found.items:,} test images that every setting was judged on count, and settings are compared "
        f"{units[:-1]} by {units[:-1]}.",
        pairs,
        f"Tied does not mean equal: these images cannot tell the two apart; more {units} might.",
    ]
    if found.effects and len(found.factors) > 1:
        paragraphs.append(
            "A factor is judged in the same way by the means of its levels over all others, with Holm's correction "
            f"for {len(found.effects)} factors. It sees more than a pair of settings does: every run takes part."
        )
    spread = f"{math.sqrt(found.noise.variance):.4f}"
    paragraphs.append(
        {
            "repeats": f"Trainings of one setting with other seeds differ with a standard deviation of {spread} in "
            f"{METRICS[found.metric]} ({found.noise.dof} degrees of freedom); this is part of every interval and test.",
            "layout": "No setting was repeated enough, so how far trainings stray is estimated from what the factors' "
            f"main effects leave unexplained, less an outlier: a standard deviation of {spread} "
            f"({found.noise.dof} degrees of freedom). It holds what factors do only together: rather too much than "
            "too little.",
            "none": "How far trainings of one setting stray is not known here: the verdicts hold for these trained "
            "models. Sweep seed=0,1,2 too, and they hold for the settings.",
        }[found.noise.source]
    )
    paragraphs.append(
        "The time of a run is what it costs alone: as measured, and what computing the embeddings took that it found "
        "stored. Runs that shared a machine took longer."
    )
    return paragraphs


def _effect(effect: Effect) -> dict[str, Any]:
    told = "matters" if effect.matters else "no difference shown"
    levels = [
        (level_text(one.level), number(one.score), ends_text(one.low, one.high), one.verdict)
        for one in effect.levels.itertuples()
    ]
    return {"name": effect.name, "matters": effect.matters, "told": f"{told} ({p_text(effect.p)})", "levels": levels}


def _runs(found: Comparison) -> list[tuple[str, ...]]:
    return [
        (
            row.name,
            "left out" if math.isnan(row.score) else number(row.score),
            number(row.own_score),
            f"{row.tested:,}",
            seconds_text(row.seconds),
            row.run_id,
        )
        for row in found.cells.itertuples(index=False)
    ]


def _levels(title: str, levels: pd.Series) -> Column:
    numeric = pd.api.types.is_numeric_dtype(levels)
    return Column(title, [level_text(level) for level in levels], levels.to_list(), numeric)


def _texts(title: str, texts: pd.Series) -> Column:
    return Column(title, texts.to_list(), texts.to_list(), False)


def _numbers(title: str, keys: pd.Series, texts: list[str]) -> Column:
    return Column(title, texts, keys.to_list(), True)


def _literal(text: str) -> str:
    """Returns `text` so that Markdown shows it as it is, in a table too."""
    for sign in "\\`*_|<>":
        text = text.replace(sign, f"\\{sign}")
    return text


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return base64.b64encode(buffer.getvalue()).decode()
