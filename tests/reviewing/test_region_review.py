"""The regions of a survey are accepted, rejected and commented, and a report says so."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from crackexp.reviewing.regions import RegionReview
from crackexp.utils.errors import DataError
from tests.conftest import Command


@pytest.fixture
def survey(command_here: Command, model: str, tmp_path: Path) -> Path:
    """The folder of a survey of two photos, one with a dark stripe and one with two."""
    (tmp_path / "walls").mkdir()
    for name, stripes in (("=one.png", [100]), ("two.jpg", [100, 300])):
        photo = np.full((300, 400, 3), 230, np.uint8)
        for left in stripes:
            photo[:, left : left + 60] = 20
        cv2.imwrite(str(tmp_path / "walls" / name), photo)
    words = ["tile.size=40", "regions.join=0", "mm_per_px=0.5", "tracking=none", "inference=xla"]
    done = command_here("survey", f"model={model}", "input=walls", "out=survey", *words)
    assert done.returncode == 0, done.stderr
    return tmp_path / "survey"


def test_verdicts_are_kept_at_once_and_go_into_a_report(command_here: Command, survey: Path) -> None:
    before = (survey / "photos.csv").read_bytes()
    review = RegionReview(survey)
    assert [region.name for region in review.regions] == [
        "two.jpg, region 1", "two.jpg, region 2", "=one.png, region 1"
    ]  # fmt: skip
    left, top, right, bottom = review.regions[2].box
    assert abs(left - 100) < 40 > abs(right - 160)
    assert (top, bottom) == (0, 300)
    review.give(0, "accepted", "=HYPERLINK, to be sealed")
    review.give(2, None, "look  at\nit again")
    assert RegionReview(survey).given == review.given
    review.give(2, "rejected", "a stain")
    assert RegionReview(survey).given == {
        0: ("accepted", "=HYPERLINK, to be sealed"),
        2: ("rejected", "a stain"),
    }
    done = command_here("review", "survey=survey", "serve=false")
    assert done.returncode == 0, done.stderr
    assert "3 regions: 1 accepted, 1 rejected, 1 open" in done.stdout
    assert "same command" in done.stdout
    page = (survey / "review" / "report.html").read_text()
    assert "1 of 3 regions accepted" in page
    assert "1 of them is still open." in page
    assert page.index("two.jpg, region 1") < page.index("two.jpg, region 2") < page.index("=one.png, region 1")
    assert "a stain" in page
    assert "to be sealed" in PdfReader(survey / "review" / "report.pdf").pages[0].extract_text()
    table = pd.read_csv(survey / "review" / "regions.csv")
    assert table["verdict"].tolist() == ["accepted", "rejected"]
    assert table["comment"][0].startswith("'=")
    assert table["extent"][0].endswith("mm)")
    for _ in range(2):
        page = (survey / "report.html").read_text()
        assert "2 of 2 photos show cracks" in page
        assert "Reviewed: 3 regions: 1 accepted, 1 rejected, 1 open." in page
        assert page.count("region 1 rejected: a stain") == page.count("region 2 open") == 1
        printed = "".join(one.extract_text() for one in PdfReader(survey / "report.pdf").pages)
        assert "region 1 accepted: =HYPERLINK, to be sealed" in " ".join(printed.split())
        review.write()
    assert (survey / "photos.csv").read_bytes() == before


def test_the_report_of_an_older_survey_stays_as_it_is(command_here: Command, survey: Path) -> None:
    (survey / "report.json").unlink()
    before = (survey / "report.html").read_bytes()
    done = command_here("review", "survey=survey", "serve=false")
    assert done.returncode == 0, done.stderr
    assert "an older version of crackexp has written it" in done.stdout
    assert (survey / "report.html").read_bytes() == before
    (survey / "report.json").write_text('{"kind": "Label", "text": "x"}')
    assert "not as it was written" in command_here("review", "survey=survey", "serve=false").stderr


def test_a_region_is_shown_enlarged_and_in_its_photo(survey: Path) -> None:
    review = RegionReview(survey)
    region, photo = (
        cv2.imdecode(np.frombuffer(review.picture(2, kind), np.uint8), 1) for kind in ("patch", "surroundings")
    )
    assert photo.shape == (300, 400, 3)
    assert region.shape[1] < 300
    left, _, width, height = review.items()[2]["frame"]
    assert left == pytest.approx(0.25, abs=0.1)
    assert width == pytest.approx(0.15, abs=0.1)
    assert height == 1
    with pytest.raises(IndexError):
        review.picture(3, "patch")
    for number, verdict in ((3, "accepted"), (0, "crack")):
        with pytest.raises(ValueError, match="Received"):
            review.give(number, verdict)


def test_what_is_no_survey_is_refused(command_here: Command, survey: Path, tmp_path: Path) -> None:
    for words, said in (
        (["survey=walls"], "no folder of a survey"),
        (["survey=survey", "model=latest", "out=x"], "reviewed without model and out"),
        ([], "Type model=MODEL input=PHOTOS out=FOLDER, or survey=FOLDER"),
        (["model=latest"], "Received: input=null out=null"),
    ):
        done = command_here("review", *words, "serve=false")
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    (survey / "review").mkdir()
    (survey / "review" / "regions.csv").write_text("photo,region,extent,verdict,comment\nthree.jpg,1,5 px,accepted,\n")
    with pytest.raises(DataError, match="Line 2 of"):
        RegionReview(survey)
    for file in (survey / "photos").glob("*.geojson"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "features": []}))
    with pytest.raises(DataError, match="no regions to review"):
        RegionReview(survey)
