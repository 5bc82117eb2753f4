"""What a user sees of runs in the MLflow UI, in a real browser that has never been there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run
from omegaconf import DictConfig, OmegaConf

from crackexp.data.index import ImageIndex
from crackexp.evaluation.report import evaluation_report, log_evaluation
from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.run_log import log_run
from tests.browser.conftest import Page
from tests.browser.test_sweep_ui import column, shown_headers, shown_runs, tab
from tests.conftest import TINY, Command
from tests.evaluation.test_report import SIZE, evaluated, index, nothing, settings_of

__all__ = ["index"]

pytestmark = pytest.mark.browser
PARAMS = ["dataset.name", "backbone.name", "image_size", "dropout"]
METRICS = ["test/accuracy", "test/f1", "test/roc_auc"]
CARD = "[data-testid=experiment-view-compare-runs-card]"


@dataclass(frozen=True)
class Stored:
    """Runs in a served store.

    Attributes:
        pages: the addresses that the newest run printed, by what they are called, at the port of this test's server.
        runs: the runs, the newest first.
    """

    pages: dict[str, str]
    runs: list[Run]


def pages_of(printed: str, ui: str) -> dict[str, str]:
    """The printed addresses of pages at another port."""
    return {
        name.strip(): f"{ui}{page}"
        for name, page in re.findall(r"(?m)^(.{12})http://127\.0\.0\.1:5000(/\S+)$", printed)
    }


@pytest.fixture
def stored(
    index: ImageIndex, compose_config: Callable[..., DictConfig], tmp_path: Path, serve_mlflow: Callable[..., str]
) -> Stored:
    """Three runs that are logged as those of trainings, without a training."""
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    settings = settings_of(["blur"])
    for dropout in (0.1, 0.3, 0.5):
        cfg = compose_config(f"dropout={dropout}", "dataset=folder", f"dataset.path={tmp_path}")
        OmegaConf.resolve(cfg)
        result = evaluated(index, settings, {"site": index})
        report = evaluation_report(result, settings, SIZE, nothing)
        logger = MlflowLogger(uri)
        with logger.run(f"dropout {dropout}", {}):
            log_run(logger, cfg)
            for epoch in range(4):
                losses = {"train/loss": 1 / (epoch + 1), "val/loss": dropout + 1 / (epoch + 1), "val/accuracy": 0.5}
                logger.log_metrics(losses, epoch)
            log_evaluation(logger, result, report, [])
    runs = mlflow.MlflowClient(uri).search_runs(["1"], order_by=["start_time DESC"])
    ui = serve_mlflow("ui", "--backend-store-uri", uri)
    return Stored(pages_of("\n".join(logger.where()), ui), runs)


def test_the_printed_addresses_show_runs_with_their_results_and_a_run_with_few_charts(
    stored: Stored, page: Page
) -> None:
    page.open(stored.pages["All runs"])
    names = [run.info.run_name for run in stored.runs]
    page.wait(lambda: shown_runs(page) == names, "the runs, the newest first")
    page.picture("runs-table")
    page.wait(lambda: shown_headers(page) == ["Run Name", "Created", *PARAMS, *METRICS], "the columns")
    for key in PARAMS:
        assert column(page, f"params.`{key}`") == [run.data.params[key] for run in stored.runs]
    for key in METRICS:
        values = [float(value) for value in column(page, f"metrics.`{key}`")]
        assert values == pytest.approx([run.data.metrics[key] for run in stored.runs], abs=0.001)

    page.open(f"{stored.pages['All runs']}&compareRunsMode=CHART")
    page.shows("Results", *METRICS, "val/loss", "train")
    assert "test/precision" not in page.text()
    page.picture("runs-charts")

    page.open(stored.pages["Look at it"])
    page.shows("90% interval", "dropout 0.5", "Finished", "backbone.name")
    page.picture("run")
    tab(page, "Model metrics").click()
    page.wait(lambda: page.all(CARD), "charts")
    page.picture("run-charts")


def test_the_run_page_shows_metrics_and_figures(
    command_here: Command,
    patches: Path,
    tmp_path: Path,
    serve_mlflow: Callable[..., str],
    page: Page,
) -> None:
    done = command_here("train", "dataset=folder", f"dataset.path={patches}", *TINY)
    assert done.returncode == 0, done.stderr

    ui = serve_mlflow("ui", "--backend-store-uri", f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    run = pages_of(done.stdout, ui)["Look at it"]
    page.open(run)
    page.shows("val/accuracy_before", "test/accuracy", "backbone.name", "Finished")

    page.open(run.replace("?", "/artifacts/test/confusion_matrix.png?"))
    page.shows("confusion_matrix.png")
    picture = page.wait(lambda: [image for image in page.all("img") if image.size["width"] > 300], "the picture")
    assert page.chrome.execute_script("return arguments[0].naturalWidth", picture[0]) > 300
