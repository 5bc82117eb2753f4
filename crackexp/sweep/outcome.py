"""What a sweep says at its end: on the terminal, on the page of its parent run, in one file that opens anywhere."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from omegaconf import DictConfig

from crackexp import console
from crackexp.commands import next_command
from crackexp.csv_text import csv_text
from crackexp.errors import DataError
from crackexp.evaluation.comparison import Comparison, compare
from crackexp.evaluation.figures.sweep import sweep_figures
from crackexp.evaluation.sweep_report import html, markdown
from crackexp.metrics.metric import MeanMetric, Metric, shown
from crackexp.tracking.registry import VERDICT_TAG, Registry
from crackexp.tracking.sweeps import Failure, SweepStore
from crackexp.tracking.view import sweep_view

MEASURES = ("time/total_seconds", "val/loss")
"""What the runs table of a sweep shows beside the swept values, the score that cells are compared by, and metrics."""


def report(
    store: SweepStore,
    parent: str,
    name: str,
    keys: Sequence[str],
    metric: MeanMetric,
    metrics: Mapping[str, Metric],
    settings: DictConfig,
    command: str,
    seconds: float,
    hydra: DictConfig,
) -> None:
    """Prints what the finished cells of a sweep say, and logs it to the parent run.

    Args:
        store: of the sweep.
        parent: its run id.
        name: of the sweep.
        keys: that it varies.
        metric: that its cells are compared by.
        metrics: all metrics by their names.
        settings: the node `sweep` of the config.
        command: that runs the sweep.
        seconds: that it took.
        hydra: the node `hydra` of the config.
    """
    cells, failures = store.cells(parent)
    counts = {"sweep/cells": len(cells) + len(failures), "sweep/finished": len(cells), "sweep/failed": len(failures)}
    store.annotate(parent, metrics={**counts, "time/sweep_seconds": seconds}, tags={})
    try:
        found = compare(cells, metric, settings.level)
    except DataError as error:
        console.print_failures(failures)
        console.print_plain(str(error))
        store.annotate(parent, metrics={}, tags={"mlflow.note.content": str(error)})
        return
    console.print_comparison(found, failures)
    figures = sweep_figures(found)
    store.log(
        parent,
        texts={
            "sweep/report.html": html_of(found, name, figures, failures, command),
            "sweep/cells.csv": csv_text(found.cells),
            "sweep/settings.csv": csv_text(found.table),
        },
        figures={f"sweep/{title}.png": figure for title, figure in figures.items()},
    )
    best = found.table.iloc[0]
    answer = {f"sweep/best_{metric.name}": best["score"], "sweep/tied": float(len(found.tied))}
    store.annotate(parent, metrics=answer, tags={"mlflow.note.content": markdown(found)})
    common = f"sweep/{metric.name}"
    verdicts = dict(zip(found.table["setting"], found.table["verdict"], strict=True))
    for cell in found.cells.itertuples():
        tags = {"sweep.verdict": verdicts[cell.setting]}
        score = {common: cell.score} if math.isfinite(cell.score) else {}
        store.annotate(str(cell.run_id), metrics=score, tags=tags)
    columns = (common, *(f"test/{key}" for key in shown(metrics, "sweep")), *MEASURES)
    view = sweep_view(name, store.experiment_id, parent, keys, columns, not metric.higher_is_better)
    store.save_view(view)
    again = next_command("compare", parent, "--html", hydra=hydra)
    console.print_plain("\n".join([*store.where(parent, view), f"Again       {again}"]))


def register(store: SweepStore, parent: str, name: str, metric: MeanMetric, settings: DictConfig) -> None:
    """Registers the best finished cell of a sweep, and prints whether it becomes champion; see `Registry.enter`.

    Args:
        store: of the sweep.
        parent: its run id.
        name: of the registered model.
        metric: that models are compared by.
        settings: the node `sweep` of the config.
    """
    cells, _ = store.cells(parent)
    verdict = Registry(store, name).enter([cell.run_id for cell in cells], metric, settings.level)
    store.annotate(parent, metrics={}, tags={VERDICT_TAG: verdict})
    console.print_plain(f"Registry    {verdict}")


def html_of(
    found: Comparison, title: str, figures: Mapping[str, Figure], failures: Sequence[Failure], command: str
) -> str:
    """Returns the report as one HTML file."""
    failed = [(failure.name, f"{failure.status}: {failure.error}") for failure in failures]
    return html(found, title, figures, failed=failed, command=command)
