"""The photos of one tab of the page: judged anew at any threshold, kept in memory alone, and only so many."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from crackexp.data.accounting import Remark
from crackexp.data.images.pixels import decode
from crackexp.data.images.windows import WholePhoto
from crackexp.decisions import Thresholds
from crackexp.surveying.overlay import heat_layer
from crackexp.surveying.survey_report import SEVERITY, by_severity
from crackexp.surveying.surveyor import Finding, Surveyor
from crackexp.utils.pictures import encode_jpeg, shrink

SIDE = 2048
"""Pixels of the longer side of a photo in the page."""
THUMBNAIL = 144
"""Pixels of the longer side of a photo in the list."""
NAME = 500
"""Characters of a name, and of a reason, that are kept."""
AT_ONCE = 0.1
"""Seconds of judging at a new threshold before what is judged so far is shown."""


class Stopped(Exception):
    """Nobody waits for this photo any more."""


@dataclass(frozen=True)
class Limits:
    """Of what the page takes.

    Attributes:
        photos: kept for a tab at once, with the files that could not be read.
        megapixels: of a photo.
        megabytes: of a file.
    """

    photos: int
    megapixels: float
    megabytes: float

    @property
    def pixels(self) -> int:
        return int(self.megapixels * 1e6)

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 1e6)


@dataclass(frozen=True)
class Photo:
    """What is kept of a photo.

    Attributes:
        name: as the browser told it; never a path.
        found: what was found in it.
        verdict: see `Finding.verdict`.
        pictures: files by name: picture.jpg with a longer side of at most `SIDE`, thumbnail.jpg of at most `THUMBNAIL`,
            and heat.png, see `heat_layer`.
        mm_per_px: see `Finding.verdict`.
    """

    name: str
    found: Finding
    verdict: dict[str, Any]
    pictures: dict[str, bytes]
    mm_per_px: float | None

    @property
    def outlines(self) -> str:
        """The regions as data of one SVG path, in pixels of the photo."""
        return " ".join(region.path for region in self.found.regions)

    @property
    def doubt(self) -> str | None:
        """What is odd about the photo; None where nothing is."""
        return "; ".join(self.found.doubts) or None

    @property
    def severity(self) -> list[float]:
        return [self.verdict[key] for key in SEVERITY]

    @property
    def is_patch(self) -> bool:
        """Whether it was judged by one look: a heat map would colour all of it alike."""
        return self.verdict["tiles"] == 1

    def at(self, thresholds: Thresholds) -> "Photo":
        """Returns the photo as `thresholds` judge the probabilities of its tiles."""
        if thresholds == self.found.thresholds:
            return self
        found = replace(self.found, thresholds=thresholds)
        return replace(self, found=found, verdict=found.verdict(self.mm_per_px))


def develop(
    surveyor: Surveyor,
    name: str,
    data: bytes,
    page: int,
    max_pixels: int,
    mm_per_px: float | None,
    advance: Callable[[float], None],
) -> Photo:
    """Returns what the surveyor finds in a page of an image file.

    Args:
        surveyor: of the model.
        name: of the photo.
        data: The bytes of the file, see `decode`.
        page: The number of the page, from 0.
        max_pixels: a larger photo is refused before it is decoded.
        mm_per_px: see `Finding.verdict`.
        advance: see `Surveyor.look_at`.

    Raises:
        UnusableImageError: the bytes are no image, or one too large or too small.
    """
    image = decode(data, max_pixels, page)
    found = surveyor.look_at(WholePhoto(image.pixels, image.doubts), advance)
    verdict = found.verdict(mm_per_px)
    small = shrink(image.pixels, SIDE)
    pictures = {
        "picture.jpg": encode_jpeg(small, 85),
        "thumbnail.jpg": encode_jpeg(shrink(small, THUMBNAIL), 75),
        "heat.png": heat_layer(found.heat),
    }
    return Photo(name[:NAME], found, verdict, pictures, mm_per_px)


class Session:
    """What one tab has been told so far; belongs to the thread of the server.

    Args:
        thresholds: of the mean probability, where decisions change.
        limits: of what is kept.

    Attributes:
        photos: by number, in the order in which they came.
        unread: names without a photo, with the reason.
        changed: called after each change of the two.
        told: called with the share of the photo in work that is done.
        sending: how many files the tab is sending, those that wait for their turn among them.
        receiving: held while one of them is received and looked at.
    """

    def __init__(self, thresholds: Thresholds, limits: Limits) -> None:
        self.thresholds = self._usual = thresholds
        self.photos: dict[int, Photo] = {}
        self.unread: list[Remark] = []
        self.changed: Callable[[], None] = lambda: None
        self.told: Callable[[float], None] = lambda share: None
        self.sending = 0
        self.receiving = asyncio.Lock()
        self._limits = limits
        self._numbers = itertools.count(1)
        self._stops = 0

    @property
    def room(self) -> int:
        """Photos that can still be taken."""
        return max(self._limits.photos - len(self.photos) - len(self.unread), 0)

    def keep(self, photo: Photo) -> None:
        """Takes a photo in."""
        self.photos[next(self._numbers)] = photo
        self.changed()

    def leave_out(self, name: str, reason: str) -> None:
        """Notes a file that there is no photo of."""
        if self.room:
            self.unread.append(Remark(name[:NAME], reason[:NAME]))
        self.changed()

    def stop(self) -> None:
        """Ends the look at the photo in work."""
        self._stops += 1

    def close(self) -> None:
        """Ends the look at the photo in work, and tells nobody of anything any more."""
        self.stop()
        self.changed, self.told = lambda: None, lambda share: None

    def clear(self) -> None:
        """Drops all, and ends the look at the photo in work."""
        self.stop()
        self.photos, self.unread = {}, []
        self.changed()

    def going(self) -> Callable[[], bool]:
        """Returns a function that says whether nothing was stopped since."""
        stops = self._stops
        return lambda: self._stops == stops

    def move(self, threshold: float) -> None:
        """Decides at another threshold, without a band of doubt unless it is the one to begin with."""
        self.thresholds = self._usual if threshold == self._usual.crack else self._usual.moved(threshold)

    def stale(self, first: int | None) -> list[tuple[int, Photo]]:
        """Returns the photos, with their numbers, that were judged at other thresholds; number `first` before all."""
        stale = [(number, photo) for number, photo in self.photos.items() if photo.found.thresholds != self.thresholds]
        return sorted(stale, key=lambda item: item[0] != first)

    def judged(self, photos: dict[int, Photo]) -> None:
        """Takes what `judge` made of photos, but for those that are gone."""
        self.photos.update({number: photo for number, photo in photos.items() if number in self.photos})
        self.changed()


def judge(photos: Iterable[tuple[int, Photo]], thresholds: Thresholds) -> dict[int, Photo]:
    """Returns photos, by number, as `thresholds` judge them: as many as `AT_ONCE` allows, and one at least."""
    begun, judged = time.monotonic(), {}
    for number, photo in photos:
        judged[number] = photo.at(thresholds)
        if time.monotonic() - begun > AT_ONCE:
            break
    return judged


def photo_table(photos: Iterable[Photo], unread: Iterable[Remark], thresholds: Thresholds) -> pd.DataFrame:
    """Returns a row for each photo at `thresholds`, as in the ``photos.csv`` of a survey, and the threshold."""
    rows = [
        {"photo": photo.name, **photo.at(thresholds).verdict, "threshold": thresholds.crack}
        | ({"doubt": photo.doubt} if photo.doubt else {})
        for photo in photos
    ]
    return by_severity(rows, list(unread))


def tile_table(photos: Iterable[Photo], thresholds: Thresholds) -> pd.DataFrame:
    """Returns a row for each tile of each photo; see `Finding.tiles`."""
    tables = [photo.at(thresholds).found.tiles().assign(photo=photo.name) for photo in photos]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"photo": []})
    return table[["photo", *table.columns.drop("photo")]]
