"""Splits a dataset so that what belongs together stays together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crackexp.data.duplicates import Duplicates, find_duplicates
from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.ratio_split import checked_ratio, ratio_name, require_unsplit
from crackexp.data.splits.split_folder import Split, kept, link_parts
from crackexp.errors import DataError
from crackexp.seeds import generator

_DRAWS = 100
_BALANCED = 0.005
"""Share of a class that a part of the order may have too much of; a better order is then not looked for."""


class GroupedSplit:
    """Random split in which copies of a picture, and patches of one photo, never stand in two parts.

    Groups are put in an order in which every stretch holds the classes in their shares: groups with equal numbers of
    each class are spread evenly over it, and of several such orders the one is taken whose classes grow most alike.
    Train is its head and test its tail, each cut where it comes nearest to its share of the images. With one seed the
    order is the same whatever the ratio, so the test part of a larger share holds that of a smaller one.

    `splitfolders.ratio` can take groups of unequal sizes (by a function as its `group`), but cuts each class on its own
    and by the number of groups: a group of two classes would stand in two parts, and shares would be met in groups, not
    in images. So the parts are chosen here; the folder is the same.

    Args:
        ratio: shares of train, val and test; above 0, with the sum 1.
        seed: of the order, apart from the seed of the run.
        by: what stays together: "copies" of a picture, see `find_duplicates`, and "photos", the patches of one source
            photo where the dataset knows it. Groups that share an image become one.
        cache: folder; the split lands below its `splits`.
        check_leaks: whether to look for test images that train has seen.

    Raises:
        ConfigError: the ratio is none.
    """

    unrelated_to_result = ("check_leaks",)

    def __init__(
        self, *, ratio: Sequence[float], seed: int, by: Sequence[str], cache: str | Path, check_leaks: bool = True
    ) -> None:
        self.ratio = checked_ratio(ratio)
        self.seed = int(seed)
        self.by = tuple(sorted(set(by)))
        self.cache = Path(cache)
        self.check_leaks = check_leaks

    @property
    def name(self) -> str:
        """Readable name of the split, the same for every dataset."""
        return f"grouped-{'-'.join(self.by)}-{ratio_name(self.ratio, self.seed)}"

    def split(self, index: ImageIndex) -> Split:
        """Splits a dataset, or reads the split that stands in the cache.

        Raises:
            DataError: too few groups for three parts with every class, no photos known where they alone count, or a
                dataset that comes with a split.
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
        """Returns a number in [0, g) for each image, (n,) int, equal where two belong together."""
        copies = find_duplicates(index, self.cache) if "copies" in self.by else None
        if copies is None and index.groups is None:
            raise DataError(
                f"The photos that the patches of {index.root} were cut from are not known. Type "
                f"split.by=[copies]. Received: split.by=[photos]"
            )
        return together(index, copies, photos="photos" in self.by)

    def _too_few(self, index: ImageIndex, groups: np.ndarray, class_name: str, part: str) -> str:
        sizes = np.bincount(groups)
        less = "split.by=[copies]" if "photos" in self.by else "split=ratio"
        return (
            f"No image of the class {class_name} is left to {part}: the {len(index)} images come in {len(sizes)} "
            f"groups, the largest of {sizes.max()}, and no group may stand in two parts. Add images, or type another "
            f"split.ratio or split.seed, or {less}. Received: split.ratio={list(self.ratio)} split.seed={self.seed}"
        )


def together(index: ImageIndex, copies: Duplicates | None, photos: bool) -> np.ndarray:
    """Returns a number in [0, g) for each image, (n,) int, equal for images that belong together.

    Args:
        index: n images.
        copies: what keeps copies together; None: nothing does.
        photos: whether patches of one source photo belong together, where it is known.
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
    """Returns the part of each image, (n,) int: 0 train, 1 val, 2 test; no group stands in two parts.

    Args:
        groups: (n,) int in [0, g), the group of each image.
        labels: (n,) int, which the parts hold in equal shares as well as whole groups can.
        ratio: The shares of train, val and test. The sum is 1; val or test may be 0.
        seed: Of the order of the groups.
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
    """Returns an order of groups, (g,) int, whose stretches hold the classes in their shares as well as can be.

    Args:
        counts: (g, c) images of each class in each group.
        seed: of the draws.
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
