"""The report of an audit: what was found, the worst of it in pictures, and every table as a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crackexp.auditing.audit_report import audit_report
from crackexp.auditing.findings import MEASURED, Audit, audit_images
from crackexp.data.duplicates import find_duplicates
from crackexp.data.index import ImageIndex
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.data.thumbnails import thumbnails
from crackexp.reporting import Report, artifacts


@pytest.fixture
def audited(patches: Path, cache: Path) -> tuple[ImageIndex, Audit]:
    """A folder of patches and its audit."""
    index = ImageFolder(
        name="walls", path=patches, positive=None, limit=None, on_bad_file="skip", cache=cache
    ).prepare()
    copies, looks = find_duplicates(index, cache), thumbnails(index, cache)
    embeddings = looks.pictures.reshape(len(index), -1).astype(np.float32)
    return index, audit_images(index, looks, copies, None, embeddings, seed=0)


@pytest.fixture
def report(audited: tuple[ImageIndex, Audit]) -> Report:
    return audit_report("walls", "by hand", *audited, shown=5)


def test_each_finding_is_a_row_that_stands_out_where_something_was_found(report: Report) -> None:
    for section in report.sections[:2]:
        titles, found, _, advice = section.tables[0].columns
        assert len(titles.texts) == len(section.tables[0].tones)
        for count, text, tone in zip(found.values, advice.texts, section.tables[0].tones, strict=True):
            assert (tone == "warning") == bool(text) == (int(count) > 0)


def test_galleries_show_the_first_of_many_and_say_of_how_many(report: Report) -> None:
    galleries = {section.name: section for section in report.sections if section.name}
    assert {"outliers", "extremes"} <= set(galleries)
    assert len(galleries["extremes"].galleries[0].cards) == 12
    outliers = galleries["outliers"].galleries[0]
    assert len(outliers.cards) == 5
    assert all(isinstance(card.pictures[0].source, np.ndarray) for card in outliers.cards)


def test_all_tables_and_galleries_are_files(report: Report) -> None:
    paths = {path for path, _ in artifacts.texts(report)}
    names = ("findings", "images", "pairs", "suspects", "outliers", "left_out", "doubts")
    assert paths == {f"{name}.csv" for name in names}
    assert {"outliers.png", "extremes.png"} <= {path for path, _ in artifacts.drawings(report)}


@pytest.mark.parametrize("suspected", [0, 2])
def test_suspects_are_shown_with_what_a_list_is_worth_and_none_are_said_to_be_none(
    audited: tuple[ImageIndex, Audit], suspected: int
) -> None:
    index, audit = audited
    images = audit.images.assign(suspect_rank=np.nan, suspected="", probability=0.9)
    images.loc[: suspected - 1, ["suspect_rank", "suspected"]] = [1.0, "Positive"]
    page = audit_report("walls", "by hand", index, replace(audit, images=images, unjudged=""), shown=5)
    (section,) = (section for section in page.sections if section.name == "suspects")
    assert sum(len(gallery.cards) for gallery in section.galleries) == suspected
    assert (MEASURED in section.sentences[0]) == (suspected > 0)
    assert ("none" in section.sentences[0]) == (suspected == 0)
