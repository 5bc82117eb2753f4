"""What the MLflow UI opens of a sweep: a saved view with the swept values, the results and charts of its cells.

MLflow keeps views as tags of the experiment; the UI lists them under *Views*, and opens one by its key in the address.
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
    """A saved view.

    Attributes:
        tag: key of the experiment tag that keeps it.
        value: of that tag.
        table: address of the runs table, from the root of the UI.
        charts: address of the charts.
    """

    tag: str
    value: str
    table: str
    charts: str


def sweep_view(
    name: str, experiment_id: str, parent: str, params: Sequence[str], metrics: Sequence[str], lowest_first: bool
) -> View:
    """Returns a view of the child runs of `parent`, the best first.

    Its table has a column for each param and metric. Its charts show the first metric: over all params as parallel
    coordinates, run by run as bars, and as points against each param and each metric of time.

    Args:
        name: shown in the list of views.
        experiment_id: of the experiment that holds the runs.
        parent: run id; also the key of the view, so that a later view of the sweep takes the place of this one.
        params: keys of what the sweep varies.
        metrics: keys of results; the runs are sorted by the first one.
        lowest_first: whether less of it is better.
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
