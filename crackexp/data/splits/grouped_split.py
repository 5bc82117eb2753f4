"""A random split that keeps copies of an image, and patches of one photo, in one part."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackexp.config.types import Distinct
from crackexp.data.duplicates import Duplicates, find_duplicates
from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.base import require_unsplit
from crackexp.data.splits.random_split import RandomSplit
from crackexp.data.splits.split_folder import SplitDataset, kept, link_parts
from crackexp.utils.errors import DataError
from crackexp.utils.seeds import generator

_DRAWS = 100
_BALANCED = 0.005
"""Where no stretch of an order has more than this share too much of a class, no better order is looked for."""


class GroupedSplit(RandomSplit):
    """Random split in which copies of an image, and patches of one photo, are never divided between two parts.

    Groups are put into an order of which every stretch holds the classes in about their shares: groups with equal
    numbers of each class are spread evenly over it, and of several such orders the most balanced one is taken. Train is
    the head of this order and test its tail, each cut where it comes nearest to its share of the images. With one seed
    the order is the same whatever the ratio is, so the test part of a larger share holds that of a smaller one.

    `splitfolders.ratio` takes groups of unequal sizes too (a function as its `group`), but it cuts each class on its
    own and by the number of groups: a group of two classes would be divided, and shares would be met in groups instead
    of images. So this class chooses the parts itself; the folder is laid out in the same way.

    Args:
        by: What is kept together: "copies" of an image, see `find_duplicates`, and "photos", which are the patches of
            one photo where the dataset knows it. Groups that share an image become one group.
        kwargs: What random splits take, see `RandomSplit`.

    Example:

    >>> from crackexp.data.sources import Synthetic
    >>> dataset = Synthetic(
    ...     name="drawn", count=40, size=32, draw_seed=0, positive="Positive", limit=None, on_bad_file="error",
    ...     cache="cache",
    ... )
    >>> split = GroupedSplit(ratio=[0.7, 0.2, 0.1], seed=1337, by=["copies"], cache="cache").split(dataset.prepare())
    >>> split.leaks.copies
    0
    """

    def __init__(
        self, *, by: Annotated[list[Literal["copies", "photos"]], Field(min_length=1), Distinct], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.by = tuple(sorted(set(by)))
        self.kind = f"grouped-{'-'.join(self.by)}"

    def split(self, index: ImageIndex) -> SplitDataset:
        """Divides the groups of a dataset, or reads the split from the cache.

        Raises:
            DataError: There are too few groups for every part to hold every class, `by` is "photos" alone and the
                photos are not known, or the dataset comes with a split.
        """
        require_unsplit(index)
        groups = self._groups(index)
        parts = cut_groups(groups, index.labels, self.ratio, self.seed)
        for label, class_name in enumerate(index.class_names):
            for part, part_name in enumerate(PARTS):
                if not np.any((parts == part) & (index.labels == label)):
                    raise DataError(self._too_few(index, groups, class_name, part_name))

        members = ",".join(map(str, groups.tolist()))
        text = f"{index.fingerprint}\n{self.ratio!r}\n{self.seed}\n{members}"
        return kept(index, self.cache, self.name, text, link_parts(parts), self.check_leaks)

    def _groups(self, index: ImageIndex) -> np.ndarray:
        """Returns the group of each image, (n,) int in [0, g)."""
        copies = find_duplicates(index, self.cache) if "copies" in self.by else None
        if copies is None and index.groups is None:
            raise DataError(
                f"The photos that the patches of {index.root} were cut from are not known. Type "
                f"split.by=[copies]. Received: split.by=[photos]"
            )
        return together(index, copies, photos="photos" in self.by)

    def _too_few(self, index: ImageIndex, groups: np.ndarray, class_name: str, part: str) -> str:
        """Returns the message for a part that would hold no image of a class."""
        sizes = np.bincount(groups)
        less = "split.by=[copies]" if "photos" in self.by else "split=ratio"
        return (
            f"No image of the class {class_name} is left for {part}: the {len(index)} images come in {len(sizes)} "
            f"groups, the largest of {sizes.max()}, and no group may be in two parts. Add images, or type another "
            f"split.ratio or split.seed, or {less}. Received: split.ratio={list(self.ratio)} split.seed={self.seed}"
        )


def together(index: ImageIndex, copies: Duplicates | None, photos: bool) -> np.ndarray:
    """Returns the group of each image, (n,) int in [0, g); images that belong together have the same group.

    Args:
        index: The n images.
        copies: The copies among them, which belong together; None to let each stand alone.
        photos: Whether patches of one photo belong together, where the index knows the photos.
    """
    links = [] if copies is None else [copies.groups]
    if photos and index.groups is not None:
        _, first, photo = np.unique(index.groups, return_index=True, return_inverse=True)
        links.append(first[photo])
    ends = np.concatenate(links or [np.arange(len(index))])
    starts = np.arange(len(ends)) % len(index)
    graph = coo_array((np.ones(len(ends)), (starts, ends)), shape=(len(index), len(index)))
    return np.asarray(connected_components(graph, directed=False)[1])


def cut_groups(groups: np.ndarray, labels: np.ndarray, ratio: Sequence[float], seed: int) -> np.ndarray:
    """Returns the part of each image, (n,) int: 0 for train, 1 for val, 2 for test. No group is divided.

    Args:
        groups: The group of each image, (n,) int in [0, g).
        labels: The class of each image, (n,) int. Each part holds the classes in about the same shares.
        ratio: The shares of train, val and test, which sum to 1; val or test may be 0.
        seed: The seed of the order of the groups.
    """
    counts = np.zeros((groups.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (groups, labels), 1)
    order = _order(counts, seed)
    ends = np.cumsum(counts[order].sum(axis=1))
    cuts = [int(np.abs(ends - share * len(groups)).argmin()) + 1 for share in (ratio[0], ratio[0] + ratio[1])]
    part_of = np.empty(len(order), np.int64)
    part_of[order] = np.searchsorted(cuts, np.arange(len(order)), side="right")
    return part_of[groups]


def _order(counts: np.ndarray, seed: int) -> np.ndarray:
    """Returns an order of the groups, (g,) int, of which every stretch holds the classes in about their shares.

    Args:
        counts: The number of images of each class in each group, (g, c) int.
        seed: The seed of the orders that are tried.
    """
    _, kind, sizes = np.unique(counts, axis=0, return_inverse=True, return_counts=True)
    kind = kind.reshape(-1)
    starts = np.cumsum(sizes) - sizes
    best, least = np.empty(0, np.int64), np.inf
    for draw in range(_DRAWS):
        rng = generator(seed, "grouped split", draw)
        mixed = rng.permutation(len(counts))
        mixed = mixed[np.argsort(kind[mixed], kind="stable")]
        rank = np.arange(len(counts)) - starts[kind[mixed]]
        position = (rank + rng.random(len(sizes))[kind[mixed]]) / sizes[kind[mixed]]
        order = mixed[np.argsort(position, kind="stable")]
        grown = np.cumsum(counts[order], axis=0)
        uneven = np.abs(grown / grown[-1] - (grown.sum(axis=1) / grown[-1].sum())[:, None]).max()
        if uneven < least:
            best, least = order, uneven
        if least <= _BALANCED:
            break
    return best
