"""The report of a sweep at its end: on the terminal, on its parent run in MLflow, and as one HTML file."""

import math
from typing import TYPE_CHECKING

from crackexp.comparison.comparison import compare
from crackexp.comparison.figures import sweep_figures
from crackexp.comparison.report import comparison_report, failures_section
from crackexp.config.commands import next_command, this_command
from crackexp.metrics.metric import shown
from crackexp.reporting import Report, artifacts
from crackexp.reporting.html import page
from crackexp.reporting.markdown import markdown
from crackexp.reporting.terminal import print_plain, print_report
from crackexp.tracking.registry import VERDICT_TAG, Registry
from crackexp.tracking.stored_runs import BEST_TAG, short
from crackexp.tracking.view import sweep_view
from crackexp.utils.errors import DataError

if TYPE_CHECKING:
    from crackexp.sweep.callback import Sweep

MEASURES = ("time/total_seconds", "val/loss")
"""The last columns of the runs table of a sweep, behind the swept values, the compared score and the metrics."""


def report(sweep: "Sweep", seconds: float) -> None:
    """Compares the finished trials of a sweep, prints the report, and logs it to the parent run.

    Args:
        sweep: The sweep, whose trials have ended.
        seconds: The seconds that it took.
    """
    store, parent, name, metric = sweep.store, sweep.parent, sweep.name, sweep.metric
    trials, failures = store.trials(parent)
    failed = [failure.summary for failure in failures]
    counts = {"sweep/cells": len(trials) + len(failures), "sweep/finished": len(trials), "sweep/failed": len(failures)}
    store.annotate(parent, metrics={**counts, "time/sweep_seconds": seconds}, tags={})
    try:
        comparison = compare(trials, metric, sweep.settings.level)
    except DataError as error:
        print_report(Report(name, failures_section(failed)))
        print_plain(str(error))
        store.annotate(parent, metrics={}, tags={"mlflow.note.content": str(error)})
        return
    result = comparison_report(comparison, name, sweep_figures(comparison), failed, this_command())
    print_report(result)
    texts = {**dict(artifacts.texts(result)), artifacts.PAGE: page(result)}
    store.log(
        parent,
        texts={f"sweep/{path}": text for path, text in texts.items()},
        figures={f"sweep/{path}": drawing for path, drawing in artifacts.drawings(result)},
    )
    best = comparison.table.iloc[0]
    answer = {f"sweep/best_{metric.name}": best["score"], "sweep/tied": float(len(comparison.tied))}
    tags = {"mlflow.note.content": markdown(result), BEST_TAG: comparison.best_run}
    store.annotate(parent, metrics=answer, tags=tags)
    common = f"sweep/{metric.name}"
    verdicts = dict(zip(comparison.table["configuration"], comparison.table["verdict"], strict=True))
    for trial in comparison.trials.itertuples():
        tags = {"sweep.verdict": verdicts[trial.configuration]}
        score = {common: trial.score} if math.isfinite(trial.score) else {}
        store.annotate(str(trial.run_id), metrics=score, tags=tags)
    columns = (common, *(f"test/{key}" for key in shown(sweep.metrics, "sweep")), *MEASURES)
    view = sweep_view(name, store.experiment_id, parent, sweep.keys, columns, not metric.higher_is_better)
    store.save_view(view)
    again = next_command("compare", short(parent), "--html", hydra=sweep.hydra)
    use = next_command("predict", f"model=best:{short(parent)}", "input=PATCHES", hydra=sweep.hydra)
    print_plain("\n".join([*store.where(parent, view), f"Again       {again}", f"Use best    {use}"]))


def register(sweep: "Sweep") -> None:
    """Registers the best finished trial of a sweep and prints whether it becomes champion; see `Registry.enter`."""
    trials, _ = sweep.store.trials(sweep.parent)
    run_ids = [trial.run_id for trial in trials]
    verdict = Registry(sweep.store, sweep.register).enter(run_ids, sweep.metric, sweep.settings.level)
    sweep.store.annotate(sweep.parent, metrics={}, tags={VERDICT_TAG: verdict})
    print_plain(f"Registry    {verdict}")
