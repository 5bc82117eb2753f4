"""Leaks of a split: test images that train holds as a copy, or on another patch of the same photo."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from crackexp.data.duplicates import IDENTICAL, Duplicates
from crackexp.data.index import ImageIndex

PHOTO = "same photo"


@dataclass(frozen=True)
class Leaks:
    """The leaks of a split from train to test.

    Attributes:
        tested: The number of test images.
        copies: The number of test images that have a copy in train.
        photos: The number of test images whose photo is in train too; None where photos are not known.
        rows: The (file of the test image, file of the training image, kind, similarity) of each leak: first the most
            similar copy of each test image that has one, then the test images of which only the photo is in train, with
            the kind "same photo" and the similarity nan.
    """

    tested: int
    copies: int
    photos: int | None
    rows: list[tuple[str, str, str, float]]


def find_leaks(index: ImageIndex, parts: np.ndarray, duplicates: Duplicates) -> Leaks:
    """Finds the test images of a split that train holds too.

    Args:
        index: The n images.
        parts: The part of each image, (n,) int: 0 for train, 1 for val, 2 for test.
        duplicates: The copies among the images.
    """
    rows = _copies(index, parts, duplicates)
    copied = {row[0] for row in rows}
    photos = None
    if index.groups is not None:
        train = np.flatnonzero(parts == 0)
        known, first = np.unique(index.groups[train], return_index=True)
        trained_file = dict(zip(known.tolist(), index.files[train[first]].tolist(), strict=True))
        seen = [row for row in np.flatnonzero(parts == 2).tolist() if str(index.groups[row]) in trained_file]
        photos = len(seen)
        rows += [
            (file, trained_file[str(index.groups[row])], PHOTO, float("nan"))
            for row in seen
            if (file := str(index.files[row])) not in copied
        ]
    return Leaks(int(np.sum(parts == 2)), len(copied), photos, rows)


def _copies(index: ImageIndex, parts: np.ndarray, duplicates: Duplicates) -> list[tuple[str, str, str, float]]:
    """Returns the rows of `Leaks` for the test images that have a copy in train."""
    _, picture = np.unique(index.digests, return_inverse=True)
    trained = dict(zip(picture[parts == 0].tolist(), index.files[parts == 0].tolist(), strict=True))
    near: defaultdict[int, list[tuple[float, str, int]]] = defaultdict(list)
    for (a, b), kind, similarity in zip(
        duplicates.pairs.tolist(), duplicates.kinds.tolist(), duplicates.similarity.tolist(), strict=True
    ):
        first, second = int(picture[a]), int(picture[b])
        if kind != IDENTICAL:
            near[first].append((similarity, kind, second))
            near[second].append((similarity, kind, first))
    rows = []
    for row in np.flatnonzero(parts == 2).tolist():
        own = int(picture[row])
        copies = [copy for copy in [(2.0, IDENTICAL, own), *near[own]] if copy[2] in trained]
        if copies:
            similarity, kind, copy = max(copies)
            rows.append((str(index.files[row]), trained[copy], kind, min(similarity, 1.0)))
    return rows
