"""Chromium, and a page in it as a person reads it."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.predicting.conftest import classifier, model

__all__ = ["classifier", "model"]

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
CLOSED_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
"""MLflow opens a pane for its assistant on the very first visit; a person closes it once."""


class Page:
    """What stands in the window of the browser.

    Args:
        chrome: the browser.
        pictures: folder for screenshots, or None.
    """

    def __init__(self, chrome: webdriver.Chrome, pictures: Path | None) -> None:
        self.chrome = chrome
        self.pictures = pictures

    def open(self, address: str) -> None:
        """Loads a page, also where the address differs from the last one after the # alone."""
        self.chrome.get("about:blank")
        self.chrome.get(address)

    def text(self) -> str:
        return self.chrome.find_element(By.TAG_NAME, "body").text

    def shows(self, *words: str) -> str:
        """Waits until all of the words stand on the page and returns its text."""
        try:
            self.wait(lambda: all(word in self.text() for word in words), f"{words} on {self.chrome.current_url}")
        except TimeoutException as error:
            raise AssertionError(f"{error.msg}, which shows: {self.text()}") from None
        return self.text()

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Returns what the condition does once that is true."""
        waiting = WebDriverWait(self.chrome, 60, ignored_exceptions=[StaleElementReferenceException])
        return waiting.until(lambda _: condition(), f"waited for {what}")

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """Waits for an element that can be seen."""
        return self.wait(lambda: next((part for part in self.all(selector) if part.is_displayed()), None), selector)

    def asked(self) -> set[str]:
        """Returns the hosts that the browser has asked over a network since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.chrome.get_log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        sockets = [message["params"]["url"] for message in messages if message["method"] == "Network.webSocketCreated"]
        addresses = [urlsplit(url) for url in (*(params["request"]["url"] for params in sent), *sockets)]
        return {address.netloc for address in addresses if address.scheme in ("http", "https", "ws", "wss")}

    def picture(self, name: str) -> None:
        """Keeps a screenshot of the page when it stands still, if CRACKEXP_SCREENSHOTS names a folder."""
        if self.pictures:
            time.sleep(2)
            self.pictures.mkdir(parents=True, exist_ok=True)
            assert self.chrome.save_screenshot(self.pictures / f"{name}.png")


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """The programs of the browser and its driver."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("Chromium and its driver are not installed")
    return binary, driver


@pytest.fixture
def page(chromium: tuple[str, str], tmp_path: Path) -> Iterator[Page]:
    """An empty page of a browser that has never been used."""
    binary, driver = chromium
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOSED_ASSISTANT})
    folder = os.environ.get("CRACKEXP_SCREENSHOTS")
    yield Page(chrome, Path(folder) if folder else None)
    chrome.quit()
