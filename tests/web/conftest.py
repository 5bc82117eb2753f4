"""A page over a model that takes what is dark for a crack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.predicting.conftest import classifier, model
from tests.web.running import Served, served

__all__ = ["classifier", "model"]


@pytest.fixture(scope="module")
def page_served(tmp_path_factory: pytest.TempPathFactory, cache: Path, model: str) -> Iterator[Served]:
    """Takes three photos a tab, of 1 megapixel and 1 MB each, and cuts them into tiles of 40 pixels."""
    folder = tmp_path_factory.mktemp("served")
    words = ["limits.photos=3", "limits.megapixels=1", "limits.megabytes=1", "tile.size=40", "mm_per_px=0.5"]
    with served(folder, cache, f"model={model}", *words) as running:
        yield running
