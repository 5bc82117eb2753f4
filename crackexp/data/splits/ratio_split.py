"""Splits a dataset into train, val and test by split-folders."""

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.split_folder import Split, kept
from crackexp.errors import ConfigError, DataError


class RatioSplit:
    """Random split of each class by `splitfolders.ratio`.

    With one seed the images of a class are shuffled in one order whatever the ratio: train is its
    head and test its tail, so the test part of a larger share holds that of a smaller one.

    Args:
        ratio: shares of train, val and test; above 0, with the sum 1.
        seed: of the shuffle, apart from the seed of the run.
        cache: folder; the split lands below its `splits`.
        check_leaks: whether to look for test images that train has seen.

    Raises:
        ConfigError: the ratio is none.
    """

    unrelated_to_result = ("check_leaks",)

    def __init__(self, *, ratio: Sequence[float], seed: int, cache: str | Path, check_leaks: bool = True) -> None:
        self.ratio = checked_ratio(ratio)
        self.seed = int(seed)
        self.cache = Path(cache)
        self.check_leaks = check_leaks

    @property
    def name(self) -> str:
        """Readable name of the split, the same for every dataset."""
        return f"ratio-{ratio_name(self.ratio, self.seed)}"

    def split(self, index: ImageIndex) -> Split:
        """Splits a dataset, or reads the split that stands in the cache.

        Raises:
            DataError: a class has too few images for three parts, or the dataset comes with a split.
        """
        require_unsplit(index)
        self._require_enough(index)
        text = f"{index.fingerprint}\n{self.ratio!r}\n{self.seed}"
        return kept(index, self.cache, self.name, text, self._build, self.check_leaks)

    def _require_enough(self, index: ImageIndex) -> None:
        for label, name in enumerate(index.class_names):
            count = int(np.sum(index.labels == label))
            train, val = (int(share * count) for share in self.ratio[:2])
            if min(train, val, count - train - val) < 1:
                raise DataError(
                    f"The class {name} has {count} images: {train} to train, {val} to val and "
                    f"{count - train - val} to test, and each part needs one or more. Add images "
                    f"of {name}, raise dataset.limit or choose another split.ratio. "
                    f"Received: split.ratio={list(self.ratio)}"
                )

    def _build(self, folder: Path, index: ImageIndex, links: list[str]) -> None:
        import splitfolders

        source = folder.with_name(f"{folder.name}.source")
        try:
            for name in index.class_names:
                (source / name).mkdir(parents=True)
            for i, link in enumerate(links):
                (source / link).symlink_to(index.path(i).absolute())
            with _quiet_splitfolders():
                splitfolders.ratio(source, folder, seed=self.seed, ratio=self.ratio, move="symlink")
        finally:
            shutil.rmtree(source, ignore_errors=True)


def require_unsplit(index: ImageIndex) -> None:
    """Raises DataError where a dataset comes with a split, which would be lost."""
    if index.parts is not None:
        raise split_already(index.root, [part for part in PARTS if part in index.parts])


def split_already(place: Path, parts: Sequence[str]) -> DataError:
    """Returns the error of a dataset that comes with a split and was to be split anew.

    Args:
        place: The folder or table of the dataset.
        parts: Those that it has.
    """
    return DataError(
        f"{place} is split already into {', '.join(parts)}. Type split=given to use that split, or "
        f"dataset.merge_parts=true to put the parts together and split anew. Received: dataset.path={place}"
    )


def apart(index: ImageIndex) -> str:
    """Returns what to type so that copies and patches of one photo stand in one part."""
    return "split=grouped" if index.parts is None else "split=grouped dataset.merge_parts=true"


def checked_ratio(ratio: Sequence[float]) -> tuple[float, ...]:
    """Returns shares of train, val and test.

    Raises:
        ConfigError: they are not three numbers above 0 with the sum 1.
    """
    shares = tuple(float(share) for share in ratio)
    if len(shares) != 3 or min(shares) <= 0 or round(sum(shares), 5) != 1:
        raise ConfigError(
            "A ratio is three numbers above 0 with the sum 1, such as "
            f"split.ratio=[0.7,0.2,0.1]. Received: split.ratio={list(shares)}"
        )
    return shares


def ratio_name(ratio: Sequence[float], seed: int) -> str:
    """Returns ratio and seed as they stand in the name of a split."""
    return f"{'-'.join(f'{share:g}' for share in ratio)}-seed-{seed}"


@contextmanager
def _quiet_splitfolders() -> Iterator[None]:
    """Hides split-folders' own bar, and keeps its seed out of Python's global random numbers."""
    from splitfolders import split as module

    state, bar = random.getstate(), module.use_tqdm
    module.use_tqdm = False
    try:
        yield
    finally:
        module.use_tqdm = bar
        random.setstate(state)
