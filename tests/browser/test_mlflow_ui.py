"""What a user sees of a run in the MLflow UI, in a real browser."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.conftest import TINY, Command

pytestmark = pytest.mark.browser
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("Chromium and its driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


def test_the_run_page_shows_metrics_and_figures(
    command: Command,
    patches: Path,
    tmp_path: Path,
    serve_mlflow: Callable[..., str],
    browser: webdriver.Chrome,
) -> None:
    done = command("train", "dataset=folder", f"dataset.path={patches}", *TINY)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("outputs/*/*/*/result.json")
    run_id = json.loads(file.read_text())["run_id"]

    ui = serve_mlflow("ui", "--backend-store-uri", f"sqlite:///{tmp_path}/mlruns/mlflow.db")

    def text() -> str:
        return browser.find_element(By.TAG_NAME, "body").text

    wait = WebDriverWait(browser, 60)
    browser.get(f"{ui}/#/experiments/1/runs/{run_id}")
    wait.until(lambda _: "val/accuracy_before" in text())
    for words in ("test/accuracy", "backbone.name", "Finished"):
        assert words in text()

    browser.get(f"{ui}/#/experiments/1/runs/{run_id}/artifacts/test/confusion_matrix.png")
    wait.until(lambda _: "confusion_matrix.png" in text())
    picture = wait.until(lambda _: [i for i in browser.find_elements(By.TAG_NAME, "img") if i.size["width"] > 300])
    assert browser.execute_script("return arguments[0].naturalWidth", picture[0]) > 300
