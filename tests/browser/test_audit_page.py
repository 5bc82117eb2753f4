"""The page of an audit in a browser: findings, pictures, and no need of anything outside itself."""

from pathlib import Path

import numpy as np
import pytest

from crackexp.auditing.audit_report import audit_report
from crackexp.auditing.findings import audit_images
from crackexp.data.duplicates import find_duplicates
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.data.splits.grouped_split import GroupedSplit
from crackexp.data.thumbnails import thumbnails
from crackexp.reporting import artifacts
from tests.browser.conftest import Page

pytestmark = pytest.mark.browser


def test_the_page_tells_and_shows_without_a_network(page: Page, patches: Path, cache: Path, tmp_path: Path) -> None:
    dataset = ImageFolder(name="a <b>", path=patches, positive=None, limit=None, on_bad_file="skip", cache=cache)
    index = dataset.prepare()
    copies, looks = find_duplicates(index, cache), thumbnails(index, cache)
    split = GroupedSplit(ratio=(0.7, 0.2, 0.1), seed=0, by=["copies"], cache=cache).split(index)
    embeddings = np.random.default_rng(0).normal(size=(len(index), 8)).astype(np.float32)
    embeddings[:, 0] += 6 * index.labels
    embeddings[0, 0] = 9 if index.labels[0] == 0 else -3
    audit = audit_images(index, looks, copies, split, embeddings, seed=0)
    *_, report = artifacts.write(audit_report("a <b>", "by hand", index, audit, shown=6), tmp_path / "audit")

    page.chrome.execute_cdp_cmd("Network.enable", {})
    page.chrome.set_network_conditions(offline=True, latency=0, throughput=0)
    page.open(report.as_uri())
    page.shows("Audit of a <b>: 60 images", "suspected labels", "Suspected labels", "Farthest from any other image")
    for picture in page.all(".pictures img"):
        page.chrome.execute_script("arguments[0].scrollIntoView()", picture)
        page.wait(lambda picture=picture: picture.get_property("naturalWidth") == 48, "a picture")
    assert audit.suspects.index.tolist() == [0]
    assert len(page.all("#suspects li")) == 1
    assert len(page.all("#outliers li")) == 6
    width = page.chrome.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert width <= 0
    page.picture("audit")
