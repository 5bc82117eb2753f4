"""What a sweep says at its end: on the terminal, on the page of its parent run, in one file that opens anywhere."""

import math
from collections.abc import Mapping, Sequence

from omegaconf import DictConfig

from crackexp.comparison.comparison import compare
from crackexp.comparison.figures import sweep_figures
from crackexp.comparison.report import comparison_report, failures_section
from crackexp.config.commands import next_command
from crackexp.metrics.metric import MeanMetric, Metric, shown
from crackexp.reporting import Report, artifacts
from crackexp.reporting.html import page
from crackexp.reporting.markdown import markdown
from crackexp.reporting.terminal import print_plain, print_report
from crackexp.tracking.registry import VERDICT_TAG, Registry
from crackexp.tracking.sweeps import SweepStore
from crackexp.tracking.view import sweep_view
from crackexp.utils.errors import DataError

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
    failed = [failure.told for failure in failures]
    counts = {"sweep/cells": len(cells) + len(failures), "sweep/finished": len(cells), "sweep/failed": len(failures)}
    store.annotate(parent, metrics={**counts, "time/sweep_seconds": seconds}, tags={})
    try:
        found = compare(cells, metric, settings.level)
    except DataError as error:
        print_report(Report(name, failures_section(failed)))
        print_plain(str(error))
        store.annotate(parent, metrics={}, tags={"mlflow.note.content": str(error)})
        return
    told = comparison_report(found, name, sweep_figures(found), failed, command)
    print_report(told)
    texts = {**dict(artifacts.texts(told)), artifacts.PAGE: page(told)}
    store.log(
        parent,
        texts={f"sweep/{path}": text for path, text in texts.items()},
        figures={f"sweep/{path}": drawing for path, drawing in artifacts.drawings(told)},
    )
    best = found.table.iloc[0]
    answer = {f"sweep/best_{metric.name}": best["score"], "sweep/tied": float(len(found.tied))}
    store.annotate(parent, metrics=answer, tags={"mlflow.note.content": markdown(told)})
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
    print_plain("\n".join([*store.where(parent, view), f"Again       {again}"]))


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
    print_plain(f"Registry    {verdict}")
