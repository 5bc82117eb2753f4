"""A comparison as a report: the answer in words, figures, tables, and how it was tested."""

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure as Drawing

from crackexp.comparison.comparison import Comparison
from crackexp.comparison.design import level_text
from crackexp.comparison.sentences import answer, notes
from crackexp.reporting import Column, Figure, Label, Report, Section, Table
from crackexp.reporting.formatting import ends_text, number, p_text, seconds_text
from crackexp.reporting.report import Tone

ROWS = 10
"""Settings in the description of a run."""
VERDICTS: dict[str, Tone] = {"best": "primary", "tied": "secondary", "worse": "danger"}
ROW_TONES: dict[str, Tone] = {"best": "primary", "worse": "muted"}


def comparison_report(
    found: Comparison,
    title: str,
    figures: Mapping[str, Drawing] = MappingProxyType({}),
    failed: Sequence[tuple[str, str]] = (),
    command: str = "",
) -> Report:
    """Returns a comparison as a report.

    Args:
        found: The comparison.
        title: The name of the sweep.
        figures: The figures that `sweep_figures` draws, by their names; empty for none.
        failed: The name and the error of each cell without a result.
        command: What computes the cells again; empty: not told.
    """

    def drawn(name: str, caption: str, *tables: Table) -> Iterator[Section]:
        shown = [Figure(figures[name], f"{name}.png", caption)] if name in figures else []
        if shown or tables:
            yield Section(caption, tables=tables, figures=shown, media=["html"])

    count = len(found.table)
    settings = f"All {count} settings" if count > 1 else "The result"
    effects = [_effects(found)] if len(found.factors) > 1 and found.effects else []
    runs = f"The {len(found.cells)} {'run' if len(found.cells) == 1 else 'runs'}"
    versions = [f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas")]
    counts = found.table["verdict"].value_counts()
    words = {"best": "best", "tied": "tied with it", "worse": "worse"}
    labels = [Label(f"{counts[key]} {word}", VERDICTS[key]) for key, word in words.items() if key in counts]
    missing = f"{len(failed)} {'cell has' if len(failed) == 1 else 'cells have'} no result."
    return Report(
        title,
        [
            *drawn("scores", "The score of each setting"),
            Section(
                f"{settings}: {found.metric.title} on the {found.items:,} test images that all share",
                tables=[_settings(found)],
                files={"cells.csv": found.cells, "settings.csv": found.table},
            ),
            Section(sentences=_effect_sentences(found), media=["terminal"]),
            *drawn("effects", "What each factor does", *effects),
            *drawn("ranking", "How far each setting is from the best"),
            *drawn("cost", "What it costs"),
            Section("How this was tested", method(found), media=["html"]),
            *failures_section(failed),
            Section(runs, tables=[_runs(found)], folded=True, media=["html"]),
            *([Section("Again", code=command, media=["html"])] if command else []),
            Section(sentences=[", ".join([*versions, f"Python {platform.python_version()}"])], media=["html"]),
        ],
        answer(found),
        labels if count > 1 else [],
        [*notes(found), *([missing] if failed else [])],
    )


def failures_section(failed: Sequence[tuple[str, str]]) -> list[Section]:
    """Returns the cells without a result.

    Args:
        failed: The name and the error of each cell.
    """
    columns = [Column("cell", [name for name, _ in failed]), Column("why", [error for _, error in failed])]
    if not failed:
        return []
    return [
        Section("Cells without a result", tables=[Table(columns)], name="failed", media=["html"]),
        Section(sentences=[f"{name}: {error}" for name, error in failed], tone="danger", media=["terminal"]),
    ]


def _settings(found: Comparison) -> Table:
    tones = [ROW_TONES.get(verdict, "") for verdict in found.table["verdict"]]
    return Table(settings_columns(found), tones=tones if len(tones) > 1 else (), sortable=True, brief=ROWS)


def settings_columns(found: Comparison) -> list[Column]:
    """Returns the table of the settings as it is shown, the best first; columns that say nothing are left out."""
    table = found.table
    columns = [_levels(name, table[key]) for key, name in found.factors.items()]
    if not columns or table["setting"].nunique() > len(table[list(found.factors)].drop_duplicates()):
        columns.insert(0, Column("setting", table["setting"].to_list()))
    if len(table) > 1:
        verdicts = table["verdict"].to_list()
        columns.append(Column("verdict", verdicts, tones=[VERDICTS[verdict] for verdict in verdicts]))
    ends = [ends_text(row.low, row.high) for row in table.itertuples()]
    columns += [
        _numbers(found.metric.title, table["score"], [number(score) for score in table["score"]]),
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
        columns.append(_numbers("against the best", table["difference"], differences, priority=2))
        columns.append(_numbers("p", table["p"], p, priority=1))
    if table["runs"].max() > 1:
        columns.append(_numbers("runs", table["runs"], [str(runs) for runs in table["runs"]], priority=1))
    if not (table["own_score"] - table["score"]).abs().max() < 1e-12:
        own = [number(score) for score in table["own_score"]]
        columns.append(_numbers("on its own test images", table["own_score"], own, priority=1))
    times = [seconds_text(seconds) for seconds in table["seconds"]]
    columns.append(_numbers("time", table["seconds"], times, priority=1))
    if table["parameters"].nunique() > 1:
        sizes = [f"{count:,.0f}" for count in table["parameters"]]
        columns.append(_numbers("parameters", table["parameters"], sizes, priority=1))
    return columns


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
    elif found.metric.proportion:
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
            f"{found.metric.title} ({found.noise.dof} degrees of freedom); this is part of every interval and test.",
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


def _effect_sentences(found: Comparison) -> list[str]:
    lines = []
    for effect in found.effects:
        scores = ", ".join(
            f"{level_text(one.level)}: {number(one.score)} ({ends_text(one.low, one.high)})"
            for one in effect.levels.itertuples()
        )
        claim = "matters" if effect.matters else "no difference shown"
        lines.append(f"{effect.name}: {claim} ({p_text(effect.p)}); {scores}")
    return lines


def _effects(found: Comparison) -> Table:
    """Returns a row for each level of each factor; the name of a factor stands in its first row."""
    levels = pd.concat([effect.levels.assign(factor=row) for row, effect in enumerate(found.effects)])
    firsts = ~levels["factor"].duplicated()
    effects = [found.effects[row] for row in levels["factor"]]
    told = [f"{'matters' if one.matters else 'no difference shown'} ({p_text(one.p)})" for one in effects]
    pairs = zip(effects, levels["verdict"], strict=True)
    verdicts = [verdict if effect.matters else "" for effect, verdict in pairs]
    return Table(
        [
            Column("factor", [one.name if first else "" for one, first in zip(effects, firsts, strict=True)]),
            Column("", [text if first else "" for text, first in zip(told, firsts, strict=True)]),
            Column("level", [level_text(level) for level in levels["level"]]),
            _numbers("mean score", levels["score"], [number(score) for score in levels["score"]]),
            _numbers(
                f"{found.level:.0%} interval",
                levels["low"],
                [ends_text(low, high) for low, high in zip(levels["low"], levels["high"], strict=True)],
            ),
            Column("among the levels", verdicts, tones=[VERDICTS.get(verdict, "") for verdict in verdicts]),
        ]
    )


def _runs(found: Comparison) -> Table:
    cells = found.cells
    scores = ["left out" if math.isnan(score) else number(score) for score in cells["score"]]
    return Table(
        [
            Column("run", cells["name"].to_list()),
            _numbers("on the common images", cells["score"], scores),
            _numbers("on its own", cells["own_score"], [number(score) for score in cells["own_score"]]),
            _numbers("its test images", cells["tested"], [f"{count:,}" for count in cells["tested"]]),
            _numbers("time", cells["seconds"], [seconds_text(seconds) for seconds in cells["seconds"]]),
            Column("run id", cells["run_id"].to_list()),
        ]
    )


def _levels(title: str, levels: pd.Series) -> Column:
    numeric = pd.api.types.is_numeric_dtype(levels)
    return Column(title, [level_text(level) for level in levels], levels.to_list(), numeric)


def _numbers(title: str, keys: pd.Series, texts: list[str], priority: int = 0) -> Column:
    return Column(title, texts, keys.to_list(), numeric=True, priority=priority)
