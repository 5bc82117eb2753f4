"""Pages of the MLflow UI: the page of a run, and saved views of the runs of an experiment and of the trials of a sweep.

MLflow keeps views as tags of the experiment. The UI lists them under *Views* and opens one by its key in the address.
A browser that has never seen an experiment would show neither params nor metrics in its runs table otherwise.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TAG = "mlflow.sharedViewState."
PAGES = "workflowType=machine_learning"
"""The part of an address that opens the pages for training, and not those for language models."""
SECTION = "results"
PARAMS = ("dataset.name", "backbone.name", "image_size", "dropout")
RESULTS = ("test/accuracy", "test/f1", "test/roc_auc")
OPEN = {"val": True, "train": True, "test": False, "policy": False, "time": False}
"""Whether the sections are open that MLflow fills with a chart for each further metric, by the prefix of its name."""


@dataclass(frozen=True)
class View:
    """A saved view of the MLflow UI.

    Attributes:
        tag: The key of the experiment tag that holds the view.
        value: The value of that tag.
        table: The address of the runs table, relative to the root of the UI.
        charts: The address of the charts, relative to the root of the UI.
    """

    tag: str
    value: str
    table: str
    charts: str


def run_page(experiment_id: str, run_id: str) -> str:
    """Returns the address of the page of a run, relative to the root of the UI."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{PAGES}"


def runs_page(experiment_id: str) -> str:
    """Returns the address of the runs of an experiment, relative to the root of the UI."""
    return f"#/experiments/{experiment_id}/runs?{PAGES}"


def runs_view(experiment_id: str) -> View:
    """Returns a view of all runs of an experiment, the newest first.

    The table has columns for dataset, backbone, image size, dropout, and the main results on the test images. The
    charts show these results as a bar for each run, and then the training curves.

    Args:
        experiment_id: The id of the experiment.
    """
    columns = [*(f"params.`{key}`" for key in PARAMS), *(f"metrics.`{key}`" for key in RESULTS)]
    charts = [_chart("BAR", f"bars {key}", metricKey=key) for key in RESULTS]
    others = [{"uuid": name, "name": name, "display": shown, "isReordered": False} for name, shown in OPEN.items()]
    state = {
        "orderByKey": "attributes.`start_time`",
        "orderByAsc": False,
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunSections": [_section("Results", 3), *others],
    }
    return _view("Results", experiment_id, "crackexp", columns, charts, state)


def sweep_view(
    name: str, experiment_id: str, parent: str, params: Sequence[str], metrics: Sequence[str], lowest_first: bool
) -> View:
    """Returns a view of the child runs of `parent`, the best first.

    The table has a column for each param and metric. The charts show the first metric: over all params as parallel
    coordinates, as a bar for each run, and as points against each param and each metric of time.

    Args:
        name: The name in the list of views.
        experiment_id: The id of the experiment that holds the runs.
        parent: The run id of the sweep. It is also the key of the view, so that a later view of the sweep replaces it.
        params: The keys of the params that the sweep varies.
        metrics: The keys of the metrics. The runs are sorted by the first one.
        lowest_first: Whether smaller values of the first metric are better.
    """
    columns = [*(f"params.`{key}`" for key in params), *(f"metrics.`{key}`" for key in metrics)]
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": f"metrics.`{metrics[0]}`",
        "orderByAsc": lowest_first,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunSections": [_section(name, 2)],
    }
    return _view(name, experiment_id, parent, columns, _charts(params, metrics), state)


def _view(
    name: str,
    experiment_id: str,
    key: str,
    columns: Sequence[str],
    charts: Sequence[Mapping[str, Any]],
    state: Mapping[str, Any],
) -> View:
    shown = {
        "selectedColumns": columns,
        "columnOrder": ["attributes.`Run Name`", "runDateAndNestInfo", *columns],
        "columnWidths": {"attributes.`Run Name`": 230, **{column: _width(column) for column in columns}},
        "compareRunCharts": charts,
        "isAccordionReordered": True,
        **state,
    }
    now = time.time_ns() // 1_000_000
    value = json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(shown)})
    table = f"{runs_page(experiment_id)}&viewStateShareKey={key}"
    return View(TAG + key, value, table, f"{table}&compareRunsMode=CHART")


def _width(column: str) -> int:
    """Returns the pixels that show the name of a column whole, with which the seven of a run fit in a usual window."""
    return max(70, 24 + 7 * len(column.split("`")[1]))


def _section(name: str, columns: int) -> dict[str, Any]:
    return {
        "uuid": SECTION,
        "name": name,
        "display": True,
        "isReordered": True,
        "columns": columns,
        "cardHeight": 400,
    }


def _charts(params: Sequence[str], metrics: Sequence[str]) -> list[dict[str, Any]]:
    result = {"key": metrics[0], "type": "METRIC"}
    others = [{"key": key, "type": "PARAM"} for key in params]
    others += [{"key": key, "type": "METRIC"} for key in metrics if key.startswith("time/")]
    return [
        _chart("PARALLEL", "all", selectedParams=list(params), selectedMetrics=[metrics[0]], showAllRuns=True),
        _chart("BAR", "bars", metricKey=metrics[0]),
        *(_chart("SCATTER", f"{axis['type']} {axis['key']}", xaxis=axis, yaxis=result) for axis in others),
    ]


def _chart(kind: str, uuid: str, **settings: Any) -> dict[str, Any]:
    common = {"uuid": uuid, "metricSectionId": SECTION, "runsCountToCompare": 100, "deleted": False}
    return {"type": kind, **common, "isGenerated": False, **settings}
