"""The page of a survey in a browser: sorted, zoomable, and in need of nothing outside itself."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import CRACK, Thresholds
from crackexp.data.images.windows import WholePhoto
from crackexp.predicting.inputs import InputFile
from crackexp.reporting import artifacts
from crackexp.surveying.photo_result import PhotoResult
from crackexp.surveying.survey_report import Survey
from crackexp.surveying.tiles import MeanMap, Tiling
from tests.browser.conftest import Page

pytestmark = pytest.mark.browser


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Two photos, and the second is the worse one."""
    account = Account()
    made = Survey(tmp_path / "survey", CRACK, mm_per_px=0.25, gps=False, account=account)
    tiling = Tiling(100, 0.5)
    shades = np.random.default_rng(0).integers(120, 200, (900, 1200, 1), np.uint8)
    photo = np.repeat(shades, 3, axis=2)
    boxes = tiling.boxes(*photo.shape[:2])
    for name, width in (("a little.jpg", 120), ("much.jpg", 500)):
        probabilities = (np.abs(boxes[:, 0] + 50 - 600) < width / 2).astype(np.float32)
        votes = MeanMap(tiling, *photo.shape[:2])
        votes.add(boxes, probabilities[:, None, None])
        heat = votes.mean()
        saliency = np.zeros_like(heat)
        saliency[:, heat.shape[1] // 2] = 1
        seen = *photo.shape[:2], boxes, probabilities, heat, saliency, tiling.cell, Thresholds()
        made.add(InputFile(name), WholePhoto(photo), PhotoResult(*seen, np.zeros(len(boxes), bool), led=False))
    account.leave_out("notes.jpg", "not a JPEG")
    return artifacts.write(made.report("a model"), made.folder)[-1]


@pytest.fixture
def offline(page: Page) -> Iterator[Page]:
    page.chrome.execute_cdp_cmd("Network.enable", {})
    page.chrome.set_network_conditions(offline=True, latency=0, throughput=0)
    yield page
    page.chrome.delete_network_conditions()


def test_the_page_tells_sorts_and_zooms_without_a_network(offline: Page, survey: Path) -> None:
    offline.open(survey.as_uri())
    text = offline.shows("2 of 2 photos show cracks", "not a JPEG", "mm)")
    assert text.index("much.jpg") < text.index("a little.jpg")
    assert len(offline.all(".photos path")) == 2
    offline.picture("survey")

    offline.all(".photos button")[0].click()
    stage = offline.one("#stage svg")
    assert "much.jpg" in offline.one("dialog header").text
    before = stage.rect["width"]
    ActionChains(offline.chrome).double_click(stage).perform()
    offline.wait(lambda: stage.rect["width"] > 1.5 * before, "a larger photo")
    ActionChains(offline.chrome).drag_and_drop_by_offset(stage, 80, 0).perform()
    assert "scale(2)" in stage.get_attribute("style")
    offline.chrome.execute_script("marks.value = 0; marks.dispatchEvent(new Event('input'))")
    mark = stage.find_element(By.TAG_NAME, "path")
    assert float(mark.value_of_css_property("fill-opacity")) == 0
    offline.picture("survey_zoomed")
    offline.one("#close").click()
    offline.wait(lambda: not offline.all("dialog[open]"), "the page again")
    assert not [entry for entry in offline.chrome.get_log("browser") if "report.html" in entry["message"]]


def test_the_page_switches_between_regions_and_where_the_network_looked(offline: Page, survey: Path) -> None:
    def shown(place: str) -> tuple[list[bool], list[bool]]:
        marks = offline.all(f"{place} path"), offline.all(f"{place} .saliency")
        regions, saliency = ([mark.is_displayed() for mark in kind] for kind in marks)
        return regions, saliency

    offline.open(survey.as_uri())
    offline.shows("2 of 2 photos show cracks")
    assert shown(".photos") == ([True, True], [False, False])
    Select(offline.one("main select.show")).select_by_visible_text("where the network looked")
    assert shown(".photos") == ([False, False], [True, True])
    offline.picture("survey_saliency")

    offline.all(".photos button")[0].click()
    assert shown("#stage") == ([False], [True])
    photo, layer = offline.one("#stage image"), offline.one("#stage .saliency")
    assert layer.rect["height"] == pytest.approx(photo.rect["height"], rel=0.02), "it lies over the photo"
    assert layer.rect["width"] == pytest.approx(photo.rect["width"], rel=0.02)
    assert 0.5 < float(layer.value_of_css_property("opacity")) < 1
    offline.picture("survey_saliency_zoomed")
    offline.chrome.execute_script("marks.value = 0; marks.dispatchEvent(new Event('input'))")
    assert float(layer.value_of_css_property("opacity")) == 0
    Select(offline.one("dialog select.show")).select_by_visible_text("marked regions")
    assert shown("#stage") == ([True], [False])
    offline.one("#close").click()
    offline.wait(lambda: not offline.all("dialog[open]"), "the page again")
    assert shown(".photos") == ([True, True], [False, False])
    assert not [entry for entry in offline.chrome.get_log("browser") if "report.html" in entry["message"]]
