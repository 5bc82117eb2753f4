"""The regions of a survey, which a person accepts, rejects and comments."""

import json
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from crackexp.reporting import Card, Gallery, Label, Picture, Report, Section, artifacts, pdf, stored
from crackexp.reporting.formatting import counted
from crackexp.reporting.report import Tone
from crackexp.utils.csv_text import csv_text, unescaped
from crackexp.utils.errors import DataError
from crackexp.utils.files import replacing
from crackexp.utils.pictures import encode_jpeg, shrink

ACCEPTED, REJECTED, OPEN = "accepted", "rejected", "open"
TABLE = "regions.csv"
"""The table of the verdicts, in the folder of the review."""
MARGIN = 0.25
"""The width of what is shown around a region, in shares of its longer side."""
SIDE, SMALL = 1200, 600
"""The longer side of a picture on the page of the review, and in its report, in pixels."""
SHOWN = 400
"""The number of regions in the report, at about 50 kB each. The table has all that were answered."""


class Region(NamedTuple):
    """A region of a survey.

    Attributes:
        photo: The name of the photo.
        number: The number of the region in the photo, from 1; the largest is the first.
        picture: The picture of the photo with its regions.
        box: Its left, top, right and bottom, in pixels of the photo.
        size: The width and height of the photo in pixels.
        extent: Its extent, such as "812 px (203 mm)".
    """

    photo: str
    number: int
    picture: Path
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    extent: str

    @property
    def name(self) -> str:
        """The name of the region for people."""
        return f"{self.photo}, region {self.number}"


class RegionReview:
    """Keeps the verdicts on the regions of a survey, in its folder ``review``.

    Args:
        survey: The folder of the survey. Verdicts that it holds are read.

    Raises:
        DataError: The folder is no survey, it has no regions, its report is damaged, or its table of verdicts is not
            that of its regions.

    Attributes:
        folder: The folder of the review.
        regions: The regions, those of the most severe photo first.
        given: The verdict, or "open", and the comment on each region that has one, by its number in `regions`.
    """

    choices: tuple[str, ...] = (ACCEPTED, REJECTED)
    question = "Is this region what it is marked as?"
    comments = True

    def __init__(self, survey: Path) -> None:
        self.folder = survey / "review"
        self.regions = _regions(survey)
        self.given = self._read()
        self._of_survey = _stored(survey)
        self.about = f"The regions of the survey in {survey}. Each verdict is kept at once in {self.folder}."

    def give(self, number: int, answer: str | None, comment: str = "") -> None:
        """Keeps a verdict and a comment, in place of earlier ones. They are on disk when this returns.

        Args:
            number: The number of the region in `regions`.
            answer: "accepted" or "rejected"; None leaves the region open.
            comment: The comment; empty for none.

        Raises:
            ValueError: There is no such verdict or region.
            OSError: It cannot be written; then the verdicts are as before.
        """
        if answer not in (None, *self.choices) or not 0 <= number < len(self.regions):
            raise ValueError(f"A verdict is one of {', '.join(self.choices)}. Received: {answer} on region {number}")
        given = dict(sorted({**self.given, number: (answer or OPEN, " ".join(comment.split()))}.items()))
        rows = [
            (self.regions[k].photo, self.regions[k].number, self.regions[k].extent, verdict, said)
            for k, (verdict, said) in given.items()
        ]
        table = pd.DataFrame(rows, columns=["photo", "region", "extent", "verdict", "comment"])
        with replacing(self.folder / TABLE, lasting=True) as temporary:
            temporary.write_text(csv_text(table), encoding="utf-8")
        self.given = given

    @property
    def are_complete(self) -> bool:
        """Whether all regions are accepted or rejected."""
        return self._counts()[OPEN] == 0

    def __str__(self) -> str:
        counts = self._counts()
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in (*self.choices, OPEN))
        return f"{counted(len(self.regions), 'region')}: {told}"

    def items(self) -> list[dict[str, Any]]:
        """Returns what the page shows of each region."""
        items = []
        for number, region in enumerate(self.regions):
            verdict, comment = self._verdict(number)
            left, top, right, bottom = region.box
            width, height = region.size
            frame = left / width, top / height, (right - left) / width, (bottom - top) / height
            answer = None if verdict == OPEN else verdict
            items.append(
                {"name": region.name, "told": region.extent, "frame": frame, "answer": answer, "comment": comment}
            )
        return items

    def picture(self, number: int, kind: str, side: int = SIDE) -> bytes:
        """Returns a picture of a region, "patch", or of its photo, "surroundings", as a JPEG file.

        Args:
            number: The number of the region in `regions`.
            kind: What is shown.
            side: The longer side of the picture in pixels, at most.

        Raises:
            IndexError: There is no such region.
            FileNotFoundError: The survey has lost the picture.
        """
        region = self.regions[number]
        photo = _photo(region.picture)
        if kind == "surroundings":
            return encode_jpeg(shrink(photo, side), 85)
        scale = photo.shape[1] / region.size[0]
        left, top, right, bottom = (edge * scale for edge in region.box)
        margin = MARGIN * max(right - left, bottom - top)
        rows = slice(max(round(top - margin), 0), round(bottom + margin))
        return encode_jpeg(shrink(photo[rows, max(round(left - margin), 0) : round(right + margin)], side), 85)

    def write(self) -> list[Path]:
        """Writes the report of the review as HTML and PDF, and that of the survey again, with the verdicts.

        Returns:
            The pages that were written: that of the review, and that of the survey where it could be written again.
        """
        pages = []
        for report, folder in ((self.report(), self.folder), (self.survey_report(), self.folder.parent)):
            if report is not None:
                pdf.write(report, folder)
                pages.append(artifacts.write(report, folder)[-1])
        return pages

    def survey_report(self) -> Report | None:
        """Returns the report of the survey with the verdicts; None for a survey of a version that did not keep it."""
        if (report := self._of_survey) is None:
            return None
        told: dict[str, list[str]] = {}
        for number, region in enumerate(self.regions):
            verdict, comment = self._verdict(number)
            told.setdefault(region.photo, []).append(f"region {region.number} {verdict}{comment and f': {comment}'}")

        def card(one: Card) -> Card:
            return replace(one, details=[*one.details, *told.get(one.title, [])])

        sections = [
            replace(
                section,
                galleries=[replace(gallery, cards=list(map(card, gallery.cards))) for gallery in section.galleries],
            )
            for section in report.sections
        ]
        return replace(report, sections=sections, notes=[*report.notes, f"Reviewed: {self}."])

    def report(self) -> Report:
        """Returns the report of the review: accepted regions first, then open ones, then rejected ones."""
        tones: dict[str, Tone] = {ACCEPTED: "danger", OPEN: "warning", REJECTED: "muted"}
        order = sorted(range(len(self.regions)), key=lambda number: list(tones).index(self._verdict(number)[0]))
        cards = []
        for number in order[:SHOWN]:
            region, (verdict, comment) = self.regions[number], self._verdict(number)
            picture = Picture(self.picture(number, "patch", SMALL), region.name)
            details = [region.extent, *([comment] if comment else [])]
            cards.append(Card([picture], region.name, details, Label(verdict, tones[verdict])))
        counts = self._counts()
        notes = [f"{counts[OPEN]} of them {'is' if counts[OPEN] == 1 else 'are'} still open."] if counts[OPEN] else []
        if len(order) > SHOWN:
            notes.append(f"The first {SHOWN} are shown; {TABLE} has all that were answered.")
        return Report(
            f"{counts[ACCEPTED]} of {counted(len(order), 'region')} accepted",
            [Section(galleries=[Gallery(cards, width=17)], media=["html"])],
            notes=notes,
            source=str(self),
        )

    def _verdict(self, number: int) -> tuple[str, str]:
        return self.given.get(number, (OPEN, ""))

    def _counts(self) -> Counter[str]:
        return Counter(self._verdict(number)[0] for number in range(len(self.regions)))

    def _read(self) -> dict[int, tuple[str, str]]:
        file = self.folder / TABLE
        if not file.exists():
            return {}
        number_of = {(one.photo, one.number, one.extent): number for number, one in enumerate(self.regions)}
        table = pd.read_csv(file, keep_default_na=False, dtype={"photo": str, "comment": str}).map(unescaped)
        given = {}
        for line, row in enumerate(table.to_dict("records"), 2):
            number = number_of.get((row.get("photo"), row.get("region"), row.get("extent")))
            if number is None or row.get("verdict") not in (*self.choices, OPEN):
                raise DataError(
                    f"Line {line} of {file} is no verdict on a region of this survey. Move the table elsewhere if the "
                    f"survey was made anew. Received: {row}"
                )
            given[number] = row["verdict"], row.get("comment", "")
        return given


def _regions(survey: Path) -> list[Region]:
    """Returns the regions of a survey, those of the most severe photo first."""
    try:
        photos = pd.read_csv(survey / "photos.csv").map(unescaped)
        named = photos["files"].dropna().tolist()
        found = [region for stem in named for region in _of_photo(survey / stem)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"This is no folder of a survey: {error}. Type survey=FOLDER, the folder that crackexp survey wrote "
            f"(out=FOLDER). Received: survey={survey}"
        ) from None
    if not found:
        raise DataError(f"The survey has no regions to review. Received: survey={survey}")
    return found


def _stored(survey: Path) -> Report | None:
    try:
        return stored.read(survey)
    except FileNotFoundError:
        return None


def _of_photo(base: Path) -> list[Region]:
    outlines = json.loads(base.with_name(f"{base.name}.geojson").read_text(encoding="utf-8"))
    image = outlines["image"]
    regions = []
    for number, feature in enumerate(outlines["features"], 1):
        geometry, facts = feature["geometry"], feature["properties"]
        polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        corners = np.concatenate([np.array(polygon[0]) for polygon in polygons])
        millimetres = f" ({facts['extent_mm']:,.0f} mm)" if "extent_mm" in facts else ""
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        size, extent = (image["width"], image["height"]), f"{facts['extent_px']:,} px{millimetres}"
        picture = base.with_name(f"{base.name}.jpg")
        regions.append(Region(image["name"], number, picture, (left, top, right, bottom), size, extent))
    return regions


@lru_cache(maxsize=2)
def _photo(file: Path) -> np.ndarray:
    """Returns the picture of a photo, (H, W, 3) uint8 RGB."""
    if (pixels := cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)) is None:
        raise DataError(f"The picture of the survey is damaged. Make the survey again. Received: {file}")
    return pixels[..., ::-1]
