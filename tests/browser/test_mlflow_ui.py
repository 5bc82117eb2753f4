"""What a user sees of a run in the MLflow UI, in a real browser."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import Page
from tests.conftest import TINY, Command

pytestmark = pytest.mark.browser


def test_the_run_page_shows_metrics_and_figures(
    command: Command,
    patches: Path,
    tmp_path: Path,
    serve_mlflow: Callable[..., str],
    page: Page,
) -> None:
    done = command("train", "dataset=folder", f"dataset.path={patches}", *TINY)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("outputs/*/*/*/result.json")
    run = f"#/experiments/1/runs/{json.loads(file.read_text())['run_id']}"

    ui = serve_mlflow("ui", "--backend-store-uri", f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    page.open(f"{ui}/{run}")
    page.shows("val/accuracy_before", "test/accuracy", "backbone.name", "Finished")
    page.picture("run")

    page.open(f"{ui}/{run}/artifacts/test/confusion_matrix.png")
    page.shows("confusion_matrix.png")
    picture = page.wait(lambda: [image for image in page.all("img") if image.size["width"] > 300], "the picture")
    assert page.chrome.execute_script("return arguments[0].naturalWidth", picture[0]) > 300
