"""The page of crackexp.review in a browser: a patch after the other, answered by keys, and kept at once."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pandas as pd
import pytest
import requests
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Page
from tests.conftest import Command
from tests.reviewing.conftest import site
from tests.web.running import Served, served

__all__ = ["site"]

pytestmark = pytest.mark.browser


@pytest.fixture
def reviewing(tmp_path: Path, cache: Path, model: str, site: Path) -> Iterator[Callable[[], Served]]:
    """Starts the review of four patches, which goes on where it stopped."""
    words = [f"model={model}", f"input={site}", "out=review", "count=4", "tile.size=100"]
    running = []

    def start() -> Served:
        running.append(served(tmp_path, cache, *words, name="review"))
        return running[-1].__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.one("body").send_keys(key)


def labels(folder: Path) -> list[str]:
    file = folder / "review" / "labels.csv"
    return pd.read_csv(file)["label"].tolist() if file.exists() else []


def test_patches_are_answered_by_keys_and_the_review_goes_on(
    page: Page, reviewing: Callable[[], Served], tmp_path: Path
) -> None:
    app = reviewing()
    page.open(app.address)
    page.shows("Does this patch show a crack?", "1 of 4 · 0 of 4 answered")
    assert "with probability" not in page.text()
    for picture in page.all("figure img"):
        page.wait(lambda shown=picture: int(shown.get_property("naturalWidth")) > 0, "the picture")
    page.picture("review")
    press(page, "p")
    page.shows("crack with probability 0.")
    press(page, "c")
    page.shows("2 of 4 · 1 of 4 answered")
    assert "with probability" not in page.text(), "hidden again for the next patch"
    assert labels(tmp_path) == ["crack"]
    press(page, "s")
    page.shows("2 of 4 answered")
    assert labels(tmp_path) == ["crack", "sound"]
    press(page, Keys.BACKSPACE)
    page.shows("2 of 4", "crack with probability")
    assert page.one("button.given").text.startswith("Sound")
    press(page, "u")
    page.shows("3 of 4 · 2 of 4 answered")
    assert labels(tmp_path) == ["crack", "unsure"]
    code, said = app.stop(signal.SIGINT)
    assert code == 130
    assert "2 of 4 patches answered: 1 crack, 0 sound, 1 unsure" in said
    press(page, "s")
    page.shows("Not kept. The program does not answer")

    app = reviewing()
    page.open(app.address)
    page.shows("3 of 4 · 2 of 4 answered")
    press(page, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    page.shows("1 of 4")
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.shows("3 of 4")
    press(page, "s")
    page.shows("4 of 4")
    next(button for button in page.all("button") if button.text.startswith("Crack")).click()
    page.shows("4 of 4 answered", "All is answered", "crackexp.adapt", "dataset.path=review/labels.csv")
    page.picture("review_done")
    assert labels(tmp_path) == ["crack", "unsure", "sound", "crack"]
    assert {urlsplit(f"//{host}").hostname for host in page.asked()} == {"127.0.0.1"}
    press(page, Keys.ENTER)
    page.shows("Finished", "The answers are in review")
    said, _ = app.process.communicate(timeout=60)
    assert app.process.returncode == 0, said
    assert "Use them    python -m crackexp.adapt" in said


def test_regions_of_a_survey_are_accepted_rejected_and_commented(
    page: Page, command_here: Command, cache: Path, model: str, tmp_path: Path
) -> None:
    (tmp_path / "walls").mkdir()
    wall = np.full((600, 900, 3), 200, np.uint8)
    wall[:, 200:280], wall[:, 600:700] = 30, 10
    cv2.imwrite(str(tmp_path / "walls" / "wall.png"), wall)
    words = [f"model={model}", "input=walls", "out=survey", "tile.size=60", "tracking=none", "inference=xla"]
    assert command_here("survey", *words).returncode == 0
    with served(tmp_path, cache, "survey=survey", name="review") as app:
        page.open(app.address)
        page.shows("Is this region what it is marked as?", "1 of 2 · 0 of 2 answered", "wall.png, region 1", " px")
        press(page, "m")
        page.one("#comment").send_keys("a pipe, rather")
        page.picture("review_regions")
        next(button for button in page.all("button") if button.text.startswith("Rejected")).click()
        page.shows("2 of 2 · 1 of 2 answered")
        assert page.one("#comment").get_property("value") == ""
        press(page, "a")
        page.shows("2 of 2 answered", "All is answered", "survey/review/report.html")
        press(page, Keys.ARROW_LEFT)
        page.shows("1 of 2 · 2")
        assert page.one("#comment").get_property("value") == "a pipe, rather"
        press(page, Keys.ENTER)
        page.shows("Finished")
        said, _ = app.process.communicate(timeout=60)
        assert app.process.returncode == 0, said
    assert "2 regions: 1 accepted, 1 rejected, 0 open" in said
    table = pd.read_csv(tmp_path / "survey" / "review" / "regions.csv")
    assert table["verdict"].tolist() == ["rejected", "accepted"]
    assert table["comment"][0] == "a pipe, rather"
    page.open((tmp_path / "survey" / "review" / "report.html").as_uri())
    page.shows("1 of 2 regions accepted", "a pipe, rather")
    page.picture("review_report")


def test_the_page_refuses_what_is_no_answer(reviewing: Callable[[], Served], tmp_path: Path) -> None:
    address = reviewing().address
    assert requests.get(address, timeout=30).headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert requests.get(f"{address}/pictures/0/patch", timeout=30).headers["Content-Type"] == "image/png"
    for path in ("pictures/4/patch", "pictures/-1/patch", "pictures/0/..%2F..%2Freview.json"):
        assert requests.get(f"{address}/{path}", timeout=30).status_code in (404, 422)
    for number, answer in ((4, "crack"), (0, "maybe"), (0, 7)):
        assert requests.put(f"{address}/answers/{number}", json={"answer": answer}, timeout=30).status_code == 422
    elsewhere = {"Origin": "http://evil.example"}
    answer = requests.put(f"{address}/answers/0", json={"answer": "crack"}, headers=elsewhere, timeout=30)
    assert answer.status_code == 403
    assert requests.post(f"{address}/end", headers=elsewhere, timeout=30).status_code == 403
    assert labels(tmp_path) == []
    assert requests.put(f"{address}/answers/2", json={"answer": "sound"}, timeout=30).status_code == 204
    assert labels(tmp_path) == ["sound"]
