"""The photos of one tab of the page. They stay in memory, only so many, and are decided anew at any threshold."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from crackexp.data.accounting import Remark
from crackexp.data.classes.decisions import Thresholds
from crackexp.data.images.pixels import decode
from crackexp.data.images.windows import WholePhoto
from crackexp.surveying.overlay import heat_layer
from crackexp.surveying.photo_result import PhotoResult
from crackexp.surveying.survey_report import SEVERITY, by_severity
from crackexp.surveying.surveyor import Surveyor
from crackexp.utils.pictures import encode_jpeg, shrink

SIDE = 2048
"""The longer side of a photo in the page, in pixels."""
THUMBNAIL = 144
"""The longer side of a photo in the list, in pixels."""
NAME = 500
"""The number of characters of a name, and of a reason, that are kept."""
AT_ONCE = 0.1
"""The seconds that a new threshold is applied to photos before those that are done are shown."""


class Stopped(Exception):
    """It is raised where nobody waits for a photo any more."""


@dataclass(frozen=True)
class Limits:
    """The limits of what the page takes.

    Attributes:
        photos: The number of photos kept for a tab at once, with the files that could not be read.
        megapixels: The size of a photo.
        megabytes: The size of a file.
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
    """A photo of a tab, with what the model says of it.

    Attributes:
        name: The name of the file in the browser. It is never used as a path.
        result: What the surveyor found.
        verdict: The row of the photo in the table; see `PhotoResult.verdict`.
        pictures: The bytes of files by their names: picture.jpg with a longer side of at most `SIDE`, thumbnail.jpg of
            at most `THUMBNAIL`, and heat.png, see `heat_layer`.
        mm_per_px: The scale of the photo; see `PhotoResult.verdict`.
    """

    name: str
    result: PhotoResult
    verdict: dict[str, Any]
    pictures: dict[str, bytes]
    mm_per_px: float | None

    @property
    def outlines(self) -> str:
        """The regions as data of one SVG path, in pixels of the photo."""
        return " ".join(region.path for region in self.result.regions)

    @property
    def doubt(self) -> str | None:
        """What is odd about the photo, in words; None where nothing is."""
        return "; ".join(self.result.doubts) or None

    @property
    def severity(self) -> list[float]:
        return [self.verdict[key] for key in SEVERITY]

    @property
    def is_patch(self) -> bool:
        """Whether the photo has one tile only, so that a heat map would be of one color."""
        return self.verdict["tiles"] == 1

    def at(self, thresholds: Thresholds) -> "Photo":
        """Returns the photo with the decisions that other thresholds make of the probabilities of its tiles."""
        if thresholds == self.result.thresholds:
            return self
        result = replace(self.result, thresholds=thresholds)
        return replace(self, result=result, verdict=result.verdict(self.mm_per_px))


def analyze(
    surveyor: Surveyor,
    name: str,
    data: bytes,
    page: int,
    max_pixels: int,
    mm_per_px: float | None,
    advance: Callable[[float], None],
) -> Photo:
    """Decodes a page of an image file, surveys it, and draws its pictures.

    Args:
        surveyor: The surveyor of the model.
        name: The name of the photo.
        data: The bytes of the file; see `decode`.
        page: The number of the page, from 0.
        max_pixels: The largest number of pixels; a larger photo is refused before it is decoded.
        mm_per_px: The scale of the photo; see `PhotoResult.verdict`.
        advance: It is called with the share that is done; see `Surveyor.survey_photo`.

    Raises:
        UnusableImageError: The bytes are no image, or the image is too large or too small.
    """
    image = decode(data, max_pixels, page)
    result = surveyor.survey_photo(WholePhoto(image.pixels, image.doubts), advance)
    verdict = result.verdict(mm_per_px)
    small = shrink(image.pixels, SIDE)
    pictures = {
        "picture.jpg": encode_jpeg(small, 85),
        "thumbnail.jpg": encode_jpeg(shrink(small, THUMBNAIL), 75),
        "heat.png": heat_layer(result.heat),
    }
    return Photo(name[:NAME], result, verdict, pictures, mm_per_px)


class Session:
    """The photos of one tab and the state of its controls. It belongs to the thread of the server.

    Args:
        thresholds: The thresholds of the mean probability at which decisions change.
        limits: The limits of what is kept.

    Attributes:
        photos: The photos by their numbers, in the order in which they came.
        unread: The files that there is no photo of, with the reasons.
        on_change: It is called after each change of the two.
        on_progress: It is called with the share of the current photo that is done.
        sending: The number of files that the tab is sending, those that wait for their turn among them.
        receiving: The lock that is held while one of them is received and surveyed.
    """

    def __init__(self, thresholds: Thresholds, limits: Limits) -> None:
        self.thresholds = self._usual = thresholds
        self.photos: dict[int, Photo] = {}
        self.unread: list[Remark] = []
        self.on_change: Callable[[], None] = lambda: None
        self.on_progress: Callable[[float], None] = lambda share: None
        self.sending = 0
        self.receiving = asyncio.Lock()
        self._limits = limits
        self._numbers = itertools.count(1)
        self._stops = 0

    @property
    def room(self) -> int:
        """The number of photos that can still be taken."""
        return max(self._limits.photos - len(self.photos) - len(self.unread), 0)

    def keep(self, photo: Photo) -> None:
        """Adds a photo."""
        self.photos[next(self._numbers)] = photo
        self.on_change()

    def leave_out(self, name: str, reason: str) -> None:
        """Adds a file that there is no photo of, with the reason."""
        if self.room:
            self.unread.append(Remark(name[:NAME], reason[:NAME]))
        self.on_change()

    def stop(self) -> None:
        """Ends the survey of the current photo."""
        self._stops += 1

    def close(self) -> None:
        """Ends the survey of the current photo and calls no callback any more."""
        self.stop()
        self.on_change, self.on_progress = lambda: None, lambda share: None

    def clear(self) -> None:
        """Drops all photos and ends the survey of the current one."""
        self.stop()
        self.photos, self.unread = {}, []
        self.on_change()

    def going(self) -> Callable[[], bool]:
        """Returns a function that says whether nothing was stopped since this call."""
        stops = self._stops
        return lambda: self._stops == stops

    def move(self, threshold: float) -> None:
        """Sets another threshold. There is no band of "unsure" unless it is the threshold of the model."""
        self.thresholds = self._usual if threshold == self._usual.crack else self._usual.moved(threshold)

    def stale(self, first: int | None) -> list[tuple[int, Photo]]:
        """Returns the photos, with their numbers, that were decided at other thresholds; number `first` comes first."""
        stale = [(number, photo) for number, photo in self.photos.items() if photo.result.thresholds != self.thresholds]
        return sorted(stale, key=lambda item: item[0] != first)

    def judged(self, photos: dict[int, Photo]) -> None:
        """Replaces photos by what `apply_thresholds` made of them, but for those that are gone."""
        self.photos.update({number: photo for number, photo in photos.items() if number in self.photos})
        self.on_change()


def apply_thresholds(photos: Iterable[tuple[int, Photo]], thresholds: Thresholds) -> dict[int, Photo]:
    """Decides photos at new thresholds, by number: as many as `AT_ONCE` allows, and one at least."""
    begun, judged = time.monotonic(), {}
    for number, photo in photos:
        judged[number] = photo.at(thresholds)
        if time.monotonic() - begun > AT_ONCE:
            break
    return judged


def photo_table(photos: Iterable[Photo], unread: Iterable[Remark], thresholds: Thresholds) -> pd.DataFrame:
    """Returns a row for each photo, as in the ``photos.csv`` of a survey, with the threshold in a further column."""
    rows = [
        {"photo": photo.name, **photo.at(thresholds).verdict, "threshold": thresholds.crack}
        | ({"doubt": photo.doubt} if photo.doubt else {})
        for photo in photos
    ]
    return by_severity(rows, list(unread))


def tile_table(photos: Iterable[Photo], thresholds: Thresholds) -> pd.DataFrame:
    """Returns a row for each tile of each photo; see `PhotoResult.tiles`."""
    tables = [photo.at(thresholds).result.tiles().assign(photo=photo.name) for photo in photos]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"photo": []})
    return table[["photo", *table.columns.drop("photo")]]
