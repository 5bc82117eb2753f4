"""Chromium, in which the tests open pages."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.page import Page, opened, programs
from tests.predicting.conftest import classifier, model

__all__ = ["Page", "classifier", "model"]


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """The programs of the browser and its driver."""
    found = programs()
    if found is None:
        pytest.skip("Chromium and its driver are not installed")
    return found


@pytest.fixture
def page(chromium: tuple[str, str], tmp_path: Path) -> Iterator[Page]:
    """An empty page of a browser that has never been used."""
    folder = os.environ.get("CRACKEXP_SCREENSHOTS")
    with opened(chromium, tmp_path / "profile", Path(folder) if folder else None) as empty:
        yield empty
