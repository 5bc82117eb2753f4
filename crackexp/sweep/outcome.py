"""The report of a sweep at its end: on the terminal, on its parent run in MLflow, and as one HTML file."""

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
"""The last columns of the runs table of a sweep, behind the swept values, the compared score and the metrics."""


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
    """Compares the finished trials of a sweep, prints the report, and logs it to the parent run.

    Args:
        store: The store of the sweep.
        parent: The run id of the sweep.
        name: The name of the sweep.
        keys: The swept keys.
        metric: The metric by which the trials are compared.
        metrics: All metrics by their names.
        settings: The node `sweep` of the config.
        command: The command that runs the sweep.
        seconds: The seconds that the sweep took.
        hydra: The node `hydra` of the config.
    """
    trials, failures = store.trials(parent)
    failed = [failure.summary for failure in failures]
    counts = {"sweep/cells": len(trials) + len(failures), "sweep/finished": len(trials), "sweep/failed": len(failures)}
    store.annotate(parent, metrics={**counts, "time/sweep_seconds": seconds}, tags={})
    try:
        comparison = compare(trials, metric, settings.level)
    except DataError as error:
        print_report(Report(name, failures_section(failed)))
        print_plain(str(error))
        store.annotate(parent, metrics={}, tags={"mlflow.note.content": str(error)})
        return
    result = comparison_report(comparison, name, sweep_figures(comparison), failed, command)
    print_report(result)
    texts = {**dict(artifacts.texts(result)), artifacts.PAGE: page(result)}
    store.log(
        parent,
        texts={f"sweep/{path}": text for path, text in texts.items()},
        figures={f"sweep/{path}": drawing for path, drawing in artifacts.drawings(result)},
    )
    best = comparison.table.iloc[0]
    answer = {f"sweep/best_{metric.name}": best["score"], "sweep/tied": float(len(comparison.tied))}
    store.annotate(parent, metrics=answer, tags={"mlflow.note.content": markdown(result)})
    common = f"sweep/{metric.name}"
    verdicts = dict(zip(comparison.table["configuration"], comparison.table["verdict"], strict=True))
    for trial in comparison.trials.itertuples():
        tags = {"sweep.verdict": verdicts[trial.configuration]}
        score = {common: trial.score} if math.isfinite(trial.score) else {}
        store.annotate(str(trial.run_id), metrics=score, tags=tags)
    columns = (common, *(f"test/{key}" for key in shown(metrics, "sweep")), *MEASURES)
    view = sweep_view(name, store.experiment_id, parent, keys, columns, not metric.higher_is_better)
    store.save_view(view)
    again = next_command("compare", parent, "--html", hydra=hydra)
    print_plain("\n".join([*store.where(parent, view), f"Again       {again}"]))


def register(store: SweepStore, parent: str, name: str, metric: MeanMetric, settings: DictConfig) -> None:
    """Registers the best finished trial of a sweep and prints whether it becomes champion; see `Registry.enter`.

    Args:
        store: The store of the sweep.
        parent: The run id of the sweep.
        name: The name of the registered model.
        metric: The metric by which models are compared.
        settings: The node `sweep` of the config.
    """
    trials, _ = store.trials(parent)
    verdict = Registry(store, name).enter([trial.run_id for trial in trials], metric, settings.level)
    store.annotate(parent, metrics={}, tags={VERDICT_TAG: verdict})
    print_plain(f"Registry    {verdict}")
