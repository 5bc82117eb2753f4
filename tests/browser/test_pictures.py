"""A page that a picture of the docs shows has the words that it had when the picture was made."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from docs.pictures.make import WORDS
from docs.pictures.studio import SHOTS, Studio
from tests.browser.page import opened

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def studio(chromium: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with small models. Its cache is a new one, so that nothing is taken from an earlier state."""
    folder = tmp_path_factory.mktemp("studio")
    with (
        opened(chromium, folder / "browser") as page,
        contextlib.closing(Studio(folder, page, small=True, CRACKEXP_CACHE=str(folder / "cache"))) as made,
    ):
        yield made


@pytest.mark.parametrize("name", SHOTS)
def test_the_picture_shows_the_page_as_it_is(studio: Studio, name: str) -> None:
    pictured = json.loads(WORDS.read_text())[name]
    assert len(pictured) > 2
    words = SHOTS[name].take(studio)
    gone, new = ([word for word in one if word not in other] for one, other in ((pictured, words), (words, pictured)))
    assert words == pictured, (
        f"docs/pictures/{name}.png shows an older page. Type: make pictures PICTURES={name}. Gone: {gone}. New: {new}"
    )
