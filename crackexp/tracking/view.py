"""A saved view of the MLflow UI for a sweep: the swept values, the results, and charts of its trials.

MLflow keeps views as tags of the experiment. The UI lists them under *Views* and opens one by its key in the address.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TAG = "mlflow.sharedViewState."
SECTION = "sweep"


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
    order = ["attributes.`Run Name`", "runDateAndNestInfo", *columns]
    section = {"uuid": SECTION, "name": name, "display": True, "isReordered": True, "columns": 2, "cardHeight": 400}
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": f"metrics.`{metrics[0]}`",
        "orderByAsc": lowest_first,
        "selectedColumns": columns,
        "columnOrder": order,
        "columnWidths": {"attributes.`Run Name`": 230, **dict.fromkeys(columns, 120)},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": _charts(params, metrics),
        "compareRunSections": [section],
        "isAccordionReordered": True,
    }
    now = time.time_ns() // 1_000_000
    value = json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)})
    table = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={parent}"
    return View(TAG + parent, value, table, f"{table}&compareRunsMode=CHART")


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
