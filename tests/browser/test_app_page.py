"""The page of crackexp.app in a browser: photos and folders in, marks, verdicts and tables out, and no other server."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from crackexp.data.synthetic import draw_patch
from tests.browser.conftest import Page
from tests.web.running import Served, served
from tests.web.test_app_command import bomb

pytestmark = pytest.mark.browser


@pytest.fixture
def app(tmp_path: Path, cache: Path, model: str) -> Iterator[Served]:
    """Takes what is dark for a crack, and six photos at once."""
    folder = tmp_path / "served"
    folder.mkdir()
    words = ["limits.photos=6", "limits.megabytes=3", "tile.size=160", "relative_to_photo=false"]
    with served(folder, cache, f"model={model}", *words) as running:
        yield running


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two drawn photos, one of which has a gray stripe, with a bad file, a bomb, and what is none."""
    folder = tmp_path / "site"
    (folder / "north").mkdir(parents=True)
    wall = np.clip(np.tile(draw_patch(1, 0, False, 227), (4, 5, 1)).astype(int) // 8 + 190, 0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / "plain.jpg"), wall)
    wall[:, 400:700] = 105
    cv2.imwrite(str(folder / "north" / "stripe.jpg"), wall)
    (folder / "bad <b>.jpg").write_text("no photo")
    (folder / "bomb.png").write_bytes(bomb(60_000, 60_000))
    (folder / "notes.txt").write_text("ignored")
    return folder


def send(page: Page, which: int, *files: Path) -> None:
    """Chooses photos (0) or a folder (1)."""
    page.all("input[type=file]")[which].send_keys("\n".join(map(str, files)))


def row(page: Page, name: str) -> WebElement:
    """Waits for a photo in the list."""
    return page.wait(lambda: next((part for part in page.all(".photos tbody tr") if name in part.text), None), name)


def slide(page: Page, key: str, times: int) -> None:
    """Moves the threshold by tenths."""
    page.one(".controls [tabindex='0']").send_keys(times * key)


def press(page: Page, name: str) -> None:
    next(button for button in page.all("button") if name.casefold() in button.text.casefold()).click()


def test_a_photo_is_marked_and_judged_at_any_threshold(page: Page, app: Served, photos: Path, tmp_path: Path) -> None:
    page.chrome.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "downloads")}
    )
    page.open(app.address)
    page.shows("Drop photos or a folder here", "up to 3 MB and 120 megapixels")
    page.picture("app_empty")
    send(page, 0, photos / "north" / "stripe.jpg", photos / "plain.jpg", photos / "bad <b>.jpg", photos / "bomb.png")
    page.shows("1 of 2 photos show cracks", "bad <b>.jpg", "not a JPEG", "bomb.png", "more than 120,000,000 pixels")
    assert "crack · " in row(page, "stripe.jpg").text
    assert "sound · " in row(page, "plain.jpg").text
    assert page.one(".verdict").text.startswith("stripe.jpg")
    for layer in page.all(".stage image"):
        loaded = "const i = new Image(); i.src = arguments[0]; return i.decode().then(() => i.naturalWidth)"
        assert page.chrome.execute_script(loaded, layer.get_attribute("href")) > 0
    marks = page.one(".stage path")
    before = marks.rect["width"]
    assert 0.2 < before / page.one(".stage image").rect["width"] < 0.5
    page.picture("app")

    slide(page, Keys.PAGE_UP, 4)
    page.shows("0 of 2 photos show cracks", "Threshold 0.90")
    assert not page.one(".stage").find_element(By.TAG_NAME, "path").get_attribute("d")
    slide(page, Keys.PAGE_DOWN, 4)
    page.shows("1 of 2 photos show cracks", "Threshold 0.50")
    slide(page, Keys.PAGE_DOWN, 5)
    page.shows("2 of 2 photos show cracks", "Threshold 0.01")

    page.one("a[download='photos.csv']").click()
    file = tmp_path / "downloads" / "photos.csv"
    page.wait(file.is_file, "the table")
    table = pd.read_csv(file)
    assert sorted(table["photo"]) == ["bad <b>.jpg", "bomb.png", "plain.jpg", "stripe.jpg"]
    assert table["decision"].dropna().tolist() == ["crack", "crack"]
    assert table["threshold"][0] == 0.01

    row(page, "plain.jpg").click()
    page.wait(lambda: page.one(".verdict").text.startswith("plain.jpg"), "the other photo")
    press(page, "Clear")
    page.shows("Cracks in photos")
    assert not page.all(".photos tbody tr")
    assert page.asked() == {urlsplit(app.address).netloc}
    assert not [entry for entry in page.chrome.get_log("browser") if app.address in entry["message"]]


def test_each_press_of_a_key_counts_however_far_the_server_is(page: Page, app: Served, photos: Path) -> None:
    page.open(app.address)
    page.shows("Drop photos or a folder here")
    send(page, 0, photos / "plain.jpg")
    page.shows("Threshold 0.50")
    page.chrome.execute_script(
        "const emit = socket.emit.bind(socket); socket.emit = (...all) => setTimeout(() => emit(...all), 300)"
    )
    for key, last in ((Keys.ARROW_RIGHT, "0.56"), (Keys.ARROW_LEFT, "0.50")):
        for _ in range(6):
            slide(page, key, 1)
            time.sleep(0.15)
        page.shows(f"Threshold {last}")
    slide(page, Keys.PAGE_UP, 2)
    page.shows("Threshold 0.70")
    press(page, "Reset")
    page.shows("Threshold 0.50")
    assert page.one(".controls [role='slider']").get_attribute("aria-valuenow") == "0.5"


@pytest.mark.parametrize("dropped", [False, True])
def test_a_folder_is_taken_with_the_names_in_it(page: Page, app: Served, photos: Path, dropped: bool) -> None:
    page.open(app.address)
    page.shows("Drop photos or a folder here")
    if dropped:
        place = page.one(".drop").rect
        data = {"items": [], "files": [str(photos)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            page.chrome.execute_cdp_cmd(
                "Input.dispatchDragEvent", {"type": kind, "x": place["x"] + 9, "y": place["y"] + 9, "data": data}
            )
    else:
        send(page, 1, photos)
    text = page.shows("1 of 2 photos show cracks", "site/bad <b>.jpg", "site/bomb.png")
    assert text.index("site/north/stripe.jpg") < text.index("site/plain.jpg")
    assert "notes.txt" not in text


def test_what_is_too_much_is_left_out_and_said(page: Page, app: Served, photos: Path, tmp_path: Path) -> None:
    page.open(app.address)
    page.shows("Drop photos or a folder here")
    large = tmp_path / "large.bmp"
    large.write_bytes(bytes(3_000_001))
    send(page, 0, large)
    page.shows("3.0 MB are more than 3 MB")
    for number in range(7):
        (photos / f"more_{number}.jpg").write_bytes((photos / "plain.jpg").read_bytes())
    send(page, 1, photos)
    page.shows("6 of 11 photos were left out: there is room for 5")
    page.shows("of 3 photos show")


def test_photos_are_forgotten_when_the_page_is_loaded_anew(page: Page, app: Served, photos: Path) -> None:
    page.open(app.address)
    page.shows("Drop photos or a folder here")
    send(page, 0, photos / "plain.jpg")
    row(page, "plain.jpg")
    picture = page.one(".stage image").get_attribute("href")
    status = "return fetch(arguments[0]).then(answer => answer.status)"
    assert page.chrome.execute_script(status, picture) == 200
    page.chrome.refresh()
    page.shows("Drop photos or a folder here")
    page.wait(lambda: page.chrome.execute_script(status, picture) == 404, "the photo to be gone")


def test_a_real_photo_is_looked_at(page: Page, app: Served, real_data: Path) -> None:
    page.open(app.address)
    page.shows("Drop photos or a folder here")
    send(page, 0, real_data / "photos" / "wall_032.jpg")
    row(page, "wall_032.jpg")
    slide(page, Keys.PAGE_DOWN, 5)
    page.shows("1 of 1 photo shows cracks", "100.0% marked")
    slide(page, Keys.PAGE_UP, 10)
    page.shows("0 of 1 photo shows cracks")
    assert page.one(".stage svg").get_dom_attribute("viewBox") == "0 0 4032 3024"
    page.picture("app_real")
