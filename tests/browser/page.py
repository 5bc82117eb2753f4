"""Chromium, and a page in it as a person reads it: for the tests, and for the pictures of the docs."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

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


def programs() -> tuple[str, str] | None:
    """Returns the programs of Chromium and its driver, or None where they are not installed."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextlib.contextmanager
def opened(found: tuple[str, str], profile: Path, pictures: Path | None = None) -> Iterator[Page]:
    """Yields an empty page of a browser that has never been used, and closes the browser.

    Args:
        found: The programs of the browser and its driver.
        profile: A folder that does not exist yet, for what the browser keeps.
        pictures: A folder for screenshots, or None.
    """
    browser, driver = found
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOSED_ASSISTANT})
        yield Page(chrome, pictures)
    finally:
        chrome.quit()
