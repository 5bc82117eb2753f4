"""A comparison as a report: the answer in sentences, figures, tables, and the method of the tests."""

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
from crackexp.reporting.formatting import counted, ends_text, number, p_text, seconds_text
from crackexp.reporting.report import Tone

ROWS = 10
"""The number of configurations in the description of a run."""
VERDICTS: dict[str, Tone] = {"best": "primary", "tied": "secondary", "worse": "danger"}
ROW_TONES: dict[str, Tone] = {"best": "primary", "worse": "muted"}


def comparison_report(
    comparison: Comparison,
    title: str,
    figures: Mapping[str, Drawing] = MappingProxyType({}),
    failed: Sequence[tuple[str, str]] = (),
    command: str = "",
) -> Report:
    """Returns a comparison as a report.

    Args:
        comparison: The comparison.
        title: The name of the sweep.
        figures: The figures that `sweep_figures` draws, by their names; empty for none.
        failed: The name and the error of each trial without a result.
        command: The command that computes the trials again; empty for none.
    """

    def drawn(name: str, caption: str, *tables: Table) -> Iterator[Section]:
        shown = [Figure(figures[name], f"{name}.png", caption)] if name in figures else []
        if shown or tables:
            yield Section(caption, tables=tables, figures=shown, media=["html"])

    count = len(comparison.table)
    every = "Both" if count == 2 else f"All {count}"
    configurations = f"{every} configurations" if count > 1 else "The result"
    effects = [_effects(comparison)] if len(comparison.factors) > 1 and comparison.effects else []
    runs = f"The {counted(len(comparison.trials), 'run')}" if len(comparison.trials) > 1 else "The run"
    versions = [f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas")]
    counts = comparison.table["verdict"].value_counts()
    words = {"best": "best", "tied": "tied with it", "worse": "worse"}
    labels = [Label(f"{counts[key]} {word}", VERDICTS[key]) for key, word in words.items() if key in counts]
    missing = f"{len(failed)} {'trial has' if len(failed) == 1 else 'trials have'} no result."
    return Report(
        title,
        [
            *drawn("scores", "The score of each configuration"),
            Section(
                f"{configurations}: {comparison.metric.title} on the {comparison.items:,} test images that all share",
                tables=[_configurations(comparison)],
                files={"cells.csv": _stored(comparison.trials), "settings.csv": _stored(comparison.table)},
            ),
            Section(sentences=_effect_sentences(comparison), media=["terminal"]),
            *drawn("effects", "What each factor does", *effects),
            *drawn("ranking", "How far each configuration is from the best"),
            *drawn("cost", "What it costs"),
            Section("How this was tested", method(comparison), media=["html"]),
            *failures_section(failed),
            Section(runs, tables=[_runs(comparison)], folded=True, media=["html"]),
            *([Section("Again", code=command, media=["html"])] if command else []),
            Section(sentences=[", ".join([*versions, f"Python {platform.python_version()}"])], media=["html"]),
        ],
        answer(comparison),
        labels if count > 1 else [],
        [*notes(comparison), *([missing] if failed else [])],
    )


def failures_section(failed: Sequence[tuple[str, str]]) -> list[Section]:
    """Returns the sections of the trials without a result, for a page and for a terminal.

    Args:
        failed: The name and the error of each trial.
    """
    columns = [Column("trial", [name for name, _ in failed]), Column("why", [error for _, error in failed])]
    if not failed:
        return []
    return [
        Section("Trials without a result", tables=[Table(columns)], name="failed", media=["html"]),
        Section(sentences=[f"{name}: {error}" for name, error in failed], tone="danger", media=["terminal"]),
    ]


def _stored(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table with the column names of earlier versions, which the scripts of users read."""
    return table.rename(columns={"configuration": "setting"})


def _configurations(comparison: Comparison) -> Table:
    tones = [ROW_TONES.get(verdict, "") for verdict in comparison.table["verdict"]]
    return Table(configuration_columns(comparison), tones=tones if len(tones) > 1 else (), sortable=True, brief=ROWS)


def configuration_columns(comparison: Comparison) -> list[Column]:
    """Returns the columns of the table of configurations, the best first. Columns that tell nothing are left out."""
    table = comparison.table
    columns = [_levels(name, table[key]) for key, name in comparison.factors.items()]
    if not columns or table["configuration"].nunique() > len(table[list(comparison.factors)].drop_duplicates()):
        columns.insert(0, Column("configuration", table["configuration"].to_list()))
    if len(table) > 1:
        verdicts = table["verdict"].to_list()
        columns.append(Column("verdict", verdicts, tones=[VERDICTS[verdict] for verdict in verdicts]))
    ends = [ends_text(row.low, row.high) for row in table.itertuples()]
    columns += [
        _numbers(comparison.metric.title, table["score"], [number(score) for score in table["score"]]),
        _numbers(f"{comparison.level:.0%} interval", table["low"], ends),
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


def method(comparison: Comparison) -> list[str]:
    """Returns how the verdicts were reached, in paragraphs."""
    units = "photos" if comparison.groups else "images"
    pairs = (
        f"Choosing the best of many flatters it, so all pairs are tested together on resamples of the {units} (the "
        "max-T method of Westfall and Young). The chance that any configuration is called worse though it is not is at "
        f"most {1 - comparison.level:.0%}."
    )
    if comparison.groups:
        pairs += " Photos are few, so the tails of their resamples are those of Student's t."
    elif comparison.metric.proportion:
        pairs += " Single runs must differ by McNemar's exact test too."
    paragraphs = [
        f"Only the {comparison.items:,} test images on which every configuration was judged count, and configurations "
        f"are compared {units[:-1]} by {units[:-1]}.",
        pairs,
        f"Tied does not mean equal: these images cannot tell the two apart; more {units} might.",
    ]
    if comparison.effects and len(comparison.factors) > 1:
        paragraphs.append(
            "A factor is judged in the same way by the means of its levels over all others, with Holm's correction "
            f"for {len(comparison.effects)} factors. This shows smaller differences than a pair of configurations, "
            "since every run takes part."
        )
    spread = f"{math.sqrt(comparison.noise.variance):.4f}"
    paragraphs.append(
        {
            "repeats": "Trainings of one configuration with different seeds differ with a standard deviation of "
            f"{spread} in {comparison.metric.title} ({comparison.noise.dof} degrees of freedom), which is part of "
            "every interval and test.",
            "design": "No configuration was repeated enough, so the variation between trainings is estimated from what "
            f"the main effects of the factors leave unexplained, less an outlier: a standard deviation of {spread} "
            f"({comparison.noise.dof} degrees of freedom). This includes the interactions of the factors, so it is "
            "rather too large than too small.",
            "none": "The variation between trainings of one configuration is not known here, so the verdicts hold for "
            "these trained models only. Sweep seed=0,1,2 too, and they hold for the configurations.",
        }[comparison.noise.source]
    )
    paragraphs.append(
        "The time of a run is the time that it would take alone: the measured time, plus the time that computing the "
        "stored embeddings took. Runs that shared a machine took longer."
    )
    return paragraphs


def _effect_sentences(comparison: Comparison) -> list[str]:
    lines = []
    for effect in comparison.effects:
        scores = ", ".join(
            f"{level_text(row.level)}: {number(row.score)} ({ends_text(row.low, row.high)})"
            for row in effect.levels.itertuples()
        )
        claim = "matters" if effect.matters else "no difference shown"
        lines.append(f"{effect.name}: {claim} ({p_text(effect.p)}); {scores}")
    return lines


def _effects(comparison: Comparison) -> Table:
    """Returns a row for each level of each factor; the name of a factor stands in its first row."""
    levels = pd.concat([effect.levels.assign(factor=row) for row, effect in enumerate(comparison.effects)])
    firsts = ~levels["factor"].duplicated()
    effects = [comparison.effects[row] for row in levels["factor"]]
    claims = [f"{'matters' if effect.matters else 'no difference shown'} ({p_text(effect.p)})" for effect in effects]
    pairs = zip(effects, levels["verdict"], strict=True)
    verdicts = [verdict if effect.matters else "" for effect, verdict in pairs]
    return Table(
        [
            Column("factor", [effect.name if first else "" for effect, first in zip(effects, firsts, strict=True)]),
            Column("", [text if first else "" for text, first in zip(claims, firsts, strict=True)]),
            Column("level", [level_text(level) for level in levels["level"]]),
            _numbers("mean score", levels["score"], [number(score) for score in levels["score"]]),
            _numbers(
                f"{comparison.level:.0%} interval",
                levels["low"],
                [ends_text(low, high) for low, high in zip(levels["low"], levels["high"], strict=True)],
            ),
            Column("among the levels", verdicts, tones=[VERDICTS.get(verdict, "") for verdict in verdicts]),
        ]
    )


def _runs(comparison: Comparison) -> Table:
    trials = comparison.trials
    scores = ["left out" if math.isnan(score) else number(score) for score in trials["score"]]
    return Table(
        [
            Column("run", trials["name"].to_list()),
            _numbers("on the common images", trials["score"], scores),
            _numbers("on its own", trials["own_score"], [number(score) for score in trials["own_score"]]),
            _numbers("its test images", trials["tested"], [f"{count:,}" for count in trials["tested"]]),
            _numbers("time", trials["seconds"], [seconds_text(seconds) for seconds in trials["seconds"]]),
            Column("run id", trials["run_id"].to_list()),
        ]
    )


def _levels(title: str, levels: pd.Series) -> Column:
    numeric = pd.api.types.is_numeric_dtype(levels)
    return Column(title, [level_text(level) for level in levels], levels.to_list(), numeric)


def _numbers(title: str, keys: pd.Series, texts: list[str], priority: int = 0) -> Column:
    return Column(title, texts, keys.to_list(), numeric=True, priority=priority)
