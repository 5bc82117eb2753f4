"""What is taken is looked at one by one, kept by tab, judged at any threshold, and dropped when nobody waits."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable

import keras
import numpy as np
import pytest
from fastapi import HTTPException
from nicegui import Client, ui
from PIL import Image

from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.data.images.pixels import UnusableImageError, decode
from crackexp.data.images.windows import WholePhoto
from crackexp.surveying.photo_result import PhotoResult
from crackexp.surveying.surveyor import Surveyor
from crackexp.surveying.tiles import Tiling
from crackexp.tracking.models import LoggedModel
from crackexp.web.server import PhotoService
from crackexp.web.session import SIDE, Limits, Session, analyze, apply_thresholds, photo_table, tile_table

CLASSES = Classes(("Negative", "Positive"), ("Positive",))

LIMITS = Limits(photos=4, megapixels=20, megabytes=1)


@pytest.fixture
def surveyor(classifier: keras.Model) -> Surveyor:
    return Surveyor(LoggedModel(classifier, CLASSES, Thresholds(), {}, None), Tiling(50, 0.5))


def photo(shade: int, width: int = 300) -> bytes:
    """A light photo with a stripe."""
    pixels = np.full((200, width, 3), 230, np.uint8)
    pixels[:, 100:200] = shade
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


async def bites(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100):
        yield data[start : start + 100]


def developed(surveyor: Surveyor, data: bytes) -> Session:
    session = Session(Thresholds(), LIMITS)
    session.keep(analyze(surveyor, "wall.png", data, 0, LIMITS.pixels, None, lambda share: None))
    return session


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_a_photo_is_judged_at_a_threshold_as_the_surveyor_judges_it(surveyor: Surveyor, threshold: float) -> None:
    session = developed(surveyor, photo(100))
    session.move(threshold)
    while stale := session.stale(None):
        session.judged(apply_thresholds(stale, session.thresholds))
    surveyor.thresholds = Thresholds().moved(threshold)
    expected = surveyor.survey_photo(WholePhoto(decode(photo(100)).pixels))
    kept = session.photos[1]
    assert kept.verdict == expected.verdict(None)
    assert kept.outlines == " ".join(region.path for region in expected.regions)
    table = photo_table(session.photos.values(), session.unread, session.thresholds)
    assert table.drop(columns=["photo", "threshold"]).to_dict("records") == [expected.verdict(None)]
    tiles = tile_table(session.photos.values(), session.thresholds)
    assert tiles.drop(columns="photo").equals(expected.tiles())


def test_a_table_at_a_threshold_does_not_wait_for_the_page(surveyor: Surveyor) -> None:
    session = developed(surveyor, photo(100))
    (row,) = photo_table(session.photos.values(), [], Thresholds().moved(0.99)).to_dict("records")
    assert row["decision"] == "sound"
    assert session.photos[1].verdict["decision"] == "crack"


def test_the_shown_photo_is_judged_first() -> None:
    session = Session(Thresholds(), LIMITS)
    finding = PhotoResult(
        20,
        20,
        np.zeros((1, 4), int),
        np.ones(1),
        np.ones((2, 2)),
        np.ones((2, 2)),
        10.0,
        Thresholds(),
        np.zeros(1, bool),
        False,
    )
    surveyor = type("Surveyor", (), {"survey_photo": lambda self, pixels, advance: finding})()
    for _ in range(3):
        session.keep(analyze(surveyor, "", photo(0), 0, LIMITS.pixels, None, lambda share: None))
    session.move(0.7)
    assert [number for number, _ in session.stale(2)] == [2, 1, 3]


def test_what_is_kept_of_a_photo_is_small_and_its_size_is_true(surveyor: Surveyor) -> None:
    kept = developed(surveyor, photo(20, width=4000)).photos[1]
    assert (kept.verdict["width"], kept.verdict["height"]) == (4000, 200)
    kept_bytes = sum(getattr(field, "nbytes", 0) for field in vars(kept.result).values())
    assert kept_bytes < 4000 * 200, "less than a third of the pixels"
    with Image.open(io.BytesIO(kept.pictures["picture.jpg"])) as picture:
        assert picture.size == (SIDE, round(200 * SIDE / 4000))
    with Image.open(io.BytesIO(kept.pictures["heat.png"])) as heat:
        assert heat.size == kept.result.heat.shape[::-1]
        np.testing.assert_allclose(np.asarray(heat)[..., 3] / 255, kept.result.heat, atol=1 / 255)


def test_too_many_pixels_are_refused_without_decoding(surveyor: Surveyor) -> None:
    with pytest.raises(UnusableImageError, match="4000 x 200 pixels are more than 700,000"):
        analyze(surveyor, "wall.png", photo(20, width=4000), 0, 700_000, None, lambda share: None)


def test_photos_of_many_tabs_are_looked_at_one_at_a_time_and_do_not_mix(surveyor: Surveyor) -> None:
    busy = threading.Lock()
    survey_photo = surveyor.survey_photo

    def alone(pixels: WholePhoto, advance: Callable[[float], None]) -> PhotoResult:
        assert busy.acquire(blocking=False), "two at once"
        try:
            return survey_photo(pixels, advance)
        finally:
            busy.release()

    surveyor.survey_photo = alone  # type: ignore[method-assign]
    one, other = Session(Thresholds(), LIMITS), Session(Thresholds(), LIMITS)

    async def send() -> None:
        service = PhotoService(surveyor, LIMITS, None)
        sent = [(one, "a"), (other, "b"), (one, "c"), (other, "d"), (one, "e")]
        await asyncio.gather(*(service.take(session, name, bites(photo(20))) for session, name in sent))

    asyncio.run(send())
    assert sorted(kept.name for kept in one.photos.values()) == ["a", "c", "e"]
    assert sorted(kept.name for kept in other.photos.values()) == ["b", "d"]


@pytest.mark.parametrize("ends", ["stop", "clear", "close"])
def test_a_look_that_nobody_waits_for_ends(surveyor: Surveyor, ends: str) -> None:
    session = Session(Thresholds(), LIMITS)
    survey_photo, shares = surveyor.survey_photo, []

    def interrupted(pixels: WholePhoto, advance: Callable[[float], None]) -> PhotoResult:
        def tell(share: float) -> None:
            shares.append(share)
            if len(shares) == 2:
                getattr(session, ends)()
            advance(share)

        return survey_photo(pixels, tell)

    surveyor.survey_photo = interrupted  # type: ignore[method-assign]
    asyncio.run(PhotoService(surveyor, LIMITS, None).take(session, "wall.png", bites(photo(20, width=4000))))
    assert len(shares) == 2
    assert max(shares) < 1
    assert not session.photos
    assert not session.unread


def test_a_tab_that_is_closed_is_forgotten(surveyor: Surveyor) -> None:
    service = PhotoService(surveyor, LIMITS, None)
    client = Client(ui.page("/tested"))
    session = service.open(client)
    assert service.find(client.id) is session
    client.delete()
    with pytest.raises(HTTPException) as error:
        service.find(client.id)
    assert error.value.status_code == 404
