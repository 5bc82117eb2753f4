"""The layout of SDNET2018: a folder for each surface, and in it a folder for each class."""

import re
from collections.abc import Iterator
from pathlib import Path

from crackexp.data.files.listing import subfolders

SURFACES = ("decks", "pavements", "walls")

_SURFACE_OF = {alias: surface for surface in SURFACES for alias in (surface[0], surface.removesuffix("s"), surface)}
_CLASS_OF = {
    **dict.fromkeys(("cracked", "c", "cd", "cp", "cw"), "cracked"),
    **dict.fromkeys(("uncracked", "noncracked", "u", "ud", "up", "uw"), "uncracked"),
}


def class_folders(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yields (surface, class name, folder) of each class folder of the set, published or written out, in `root`."""
    for surface in subfolders(root):
        if _letters(surface.name) in _SURFACE_OF:
            for child in subfolders(surface):
                if _letters(child.name) in _CLASS_OF:
                    yield _SURFACE_OF[_letters(surface.name)], _CLASS_OF[_letters(child.name)], child


def _letters(name: str) -> str:
    """Returns the lower-case letters of a name."""
    return re.sub("[^a-z]", "", name.lower())
