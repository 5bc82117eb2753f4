"""What a person sees of a sweep in the MLflow UI: the answer, the trials with what varies, charts and pictures."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.conftest import Page
from tests.conftest import commands_here

pytestmark = pytest.mark.browser
GRID = ["dropout=0.1,0.3,0.5", "image_size=48,64"]
SETTINGS = [
    "dataset=synthetic",
    "dataset.count=150",
    "dataset.size=96",
    "batch_size=16",
    "optimizer.learning_rate=0.003",
    "evaluation.resamples=50",
    "tracking.log_model=false",
]


@dataclass(frozen=True)
class Sweep:
    """A sweep in a served store.

    Attributes:
        ui: address of the MLflow UI.
        printed: what the command printed.
        parent: its run.
        trials: child runs, the best first.
    """

    ui: str
    printed: str
    parent: Run
    trials: list[Run]

    def address(self, pattern: str) -> str:
        """The printed address that matches, at the port of this test's server."""
        (found,) = re.findall(rf"http://127\.0\.0\.1:5000(/{pattern})\s", self.printed)
        return f"{self.ui}{found}"

    @property
    def runs_page(self) -> str:
        return f"{self.ui}/#/experiments/{self.parent.info.experiment_id}/runs"

    @property
    def table(self) -> str:
        return self.address(rf"\S*viewStateShareKey={self.parent.info.run_id}")

    @property
    def answer(self) -> str:
        markdown = self.parent.data.tags["mlflow.note.content"].splitlines()[0].strip("*# ")
        return markdown.replace("\\", "")


@pytest.fixture(scope="module")
def sweep(
    chromium: tuple[str, str], tmp_path_factory: pytest.TempPathFactory, cache: Path, serve_mlflow: Callable[..., str]
) -> Sweep:
    """A sweep of six trials, and a run that is none of them."""
    folder = tmp_path_factory.mktemp("sweep")
    with commands_here(folder, cache) as run:
        done = run("train", "-m", *SETTINGS, *GRID)
    assert done.returncode == 0, done.stderr[-2000:]
    uri = f"sqlite:///{folder}/mlruns/mlflow.db"
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs(["1"], order_by=["metrics.`sweep/accuracy` DESC"])
    (parent,) = [run for run in runs if "sweep.key" in run.data.tags]
    client.set_terminated(client.create_run("1", run_name="alone").info.run_id)
    trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(trials) == 6
    return Sweep(serve_mlflow("ui", "--backend-store-uri", uri), done.stdout, parent, trials)


def test_the_page_of_a_sweep_begins_with_its_answer(sweep: Sweep, page: Page) -> None:
    page.open(sweep.address(rf"#/experiments/1/runs/{sweep.parent.info.run_id}\S*"))
    text = page.shows(sweep.answer, "Finished", *names(sweep.trials))
    assert text.index(sweep.answer) < text.index("Metrics (")
    page.picture("sweep-answer")
    button(page, "Show more").click()
    page.wait(lambda: len(page.all("table tbody tr")) >= 6, "the table of settings")
    page.picture("sweep-answer-table")


def test_the_report_of_a_sweep_opens_in_the_artifact_viewer(sweep: Sweep, page: Page) -> None:
    page.open(f"{sweep.runs_page}/{sweep.parent.info.run_id}/artifacts/sweep/report.html")
    page.shows("sweep/report.html")
    page.chrome.switch_to.frame(page.one("iframe"))
    page.shows(sweep.answer)
    drawn = "return [...document.images].map(image => image.naturalWidth)"
    widths = page.wait(lambda: page.chrome.execute_script(drawn), "pictures in the report")
    assert min(widths) > 300
    page.chrome.switch_to.default_content()
    page.picture("sweep-report")


def test_the_runs_page_holds_the_cells_under_their_sweep(sweep: Sweep, page: Page) -> None:
    page.open(f"{sweep.runs_page}?workflowType=machine_learning")
    page.wait(lambda: set(shown_runs(page)) == {"alone", *names([sweep.parent])}, "one row for the sweep")
    page.one(".ag-row button").click()
    together = {"alone", *names([sweep.parent, *sweep.trials])}
    page.wait(lambda: set(shown_runs(page)) == together, "the trials below it")
    page.picture("sweep-runs")

    page.one("[data-testid=saved-views-trigger]").click()
    page.one(f"[data-testid=saved-views-item-{sweep.parent.info.run_id}]").click()
    page.wait(lambda: set(shown_runs(page)) == set(names(sweep.trials)), "the view of the sweep")


def test_the_printed_address_shows_what_varies_and_the_results_best_first(sweep: Sweep, page: Page) -> None:
    page.open(sweep.table)
    page.wait(lambda: set(shown_runs(page)) == set(names(sweep.trials)), "the trials alone")
    wanted = ["Run Name", "Created", "dropout", "image_size", "sweep/accuracy", "test/accuracy"]
    page.wait(lambda: shown_headers(page)[: len(wanted)] == wanted, "the columns")
    accuracies = [float(value) for value in column(page, "metrics.`sweep/accuracy`")]
    assert accuracies == [trial.data.metrics["sweep/accuracy"] for trial in sweep.trials]
    by_name = {trial.info.run_name: trial.data for trial in sweep.trials}
    for key in ("dropout", "image_size"):
        assert column(page, f"params.`{key}`") == [by_name[name].params[key] for name in shown_runs(page)]
    page.picture("sweep-table")


def test_the_charts_of_the_view_plot_what_varies_against_accuracy(sweep: Sweep, page: Page) -> None:
    page.open(f"{sweep.table}&compareRunsMode=CHART")
    page.shows(
        "Parallel Coordinates", "Showing all runs", "dropout vs. sweep/accuracy", "image_size vs. sweep/accuracy"
    )
    bars = "[data-testid=experiment-view-compare-runs-card] .bars .point"
    page.wait(lambda: len(page.all(bars)) == len(sweep.trials), "a bar for each trial")
    axes = [part.text for part in page.all(".parcoords text.label")]
    assert axes == ["dropout", "image_size", "sweep/accuracy"]
    page.picture("sweep-charts")


def test_chosen_cells_are_compared_side_by_side(sweep: Sweep, page: Page) -> None:
    page.open(sweep.table)
    page.wait(lambda: len(shown_runs(page)) == len(sweep.trials), "the trials")
    page.wait(lambda: page.all(".ag-header input[type=checkbox]"), "the box that chooses all")[0].click()
    page.one("[data-testid=runs-compare-button]").click()
    page.shows("Comparing 6 Runs from 1 Experiment", *names(sweep.trials))
    page.wait(lambda: page.all(".parcoords"), "parallel coordinates")
    page.picture("sweep-compare")
    tab(page, "Scatter Plot").click()
    choose(page, "x-axis-selector", "dropout")
    plotted = "return document.querySelector('.js-plotly-plot').data.flatMap(trace => trace.x.map(Number))"
    dropouts = sorted(float(trial.data.params["dropout"]) for trial in sweep.trials)
    page.wait(lambda: sorted(page.chrome.execute_script(plotted)) == dropouts, "a point for each trial")
    page.picture("sweep-compare-scatter")
    tab(page, "Contour Plot").click()
    choose(page, "xaxis-selector", "dropout")
    choose(page, "yaxis-selector", "image_size")
    choose(page, "zaxis-selector", "test/accuracy")
    page.wait(lambda: page.all(".contour path"), "contours")
    page.picture("sweep-compare-contour")


def test_the_confusion_matrix_of_a_cell_is_a_few_clicks_away(sweep: Sweep, page: Page) -> None:
    page.open(sweep.table)
    best = sweep.trials[0].info
    page.wait(lambda: best.run_name in shown_runs(page), "the best trial")
    page.one(f".ag-row a[href*='{best.run_id}']").click()
    tab(page, "Artifacts").click()
    entry(page, "test").click()
    entry(page, "confusion_matrix.png").click()
    wide = "return [...document.images].filter(image => image.naturalWidth > 300 && image.width > 300).length"
    page.wait(lambda: page.chrome.execute_script(wide), "the picture")
    page.picture("sweep-confusion-matrix")


def names(runs: list[Run]) -> list[str]:
    return [run.info.run_name for run in runs]


def shown_runs(page: Page) -> list[str]:
    """The names in the runs table from top to bottom."""
    return [row.text.splitlines()[-1] for row in in_rows(page, "[col-id='attributes.`Run Name`']") if row.text]


def column(page: Page, key: str) -> list[str]:
    return [cell.text for cell in in_rows(page, f'[col-id="{key}"]')]


def in_rows(page: Page, selector: str) -> list[WebElement]:
    return sorted(page.all(f".ag-row {selector}"), key=lambda cell: cell.rect["y"])


def shown_headers(page: Page) -> list[str]:
    """The columns of the runs table from left to right."""
    cells = sorted(page.all(".ag-header-cell[col-id]"), key=lambda cell: cell.rect["x"])
    return [cell.text for cell in cells if cell.text]


def button(page: Page, text: str) -> WebElement:
    return page.wait(lambda: next((part for part in page.all("button") if part.text == text), None), text)


def tab(page: Page, text: str) -> WebElement:
    return page.wait(lambda: next((part for part in page.all("[role=tab]") if part.text == text), None), text)


def choose(page: Page, field: str, option: str) -> None:
    """Opens a list of choices and takes one."""
    page.one(f"#{field}").click()
    page.wait(lambda: next((part for part in page.all("[role=option]") if part.text == option), None), option).click()


def entry(page: Page, text: str) -> WebElement:
    """A file or folder in the tree of artifacts."""
    return page.wait(lambda: next((part for part in page.all("li div") if part.text == text), None), text)
