"""A random split of each class."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from crackexp.data.index import ImageIndex
from crackexp.data.splits.base import require_unsplit
from crackexp.data.splits.random_split import RandomSplit
from crackexp.data.splits.split_folder import SplitDataset, kept
from crackexp.reporting.formatting import counted
from crackexp.utils.errors import DataError


class RatioSplit(RandomSplit):
    """Random split of each class by `splitfolders.ratio`.

    With one seed, the images of a class are shuffled into the same order whatever the ratio is. Train is the head of
    this order and test its tail, so the test part of a larger share holds that of a smaller one.

    Example:

    >>> from crackexp.data.sources import Synthetic
    >>> dataset = Synthetic(
    ...     name="drawn", count=40, size=32, draw_seed=0, positive="Positive", limit=None, on_bad_file="error",
    ...     cache="cache",
    ... )
    >>> split = RatioSplit(ratio=[0.7, 0.2, 0.1], seed=1337, cache="cache").split(dataset.prepare())
    >>> len(split.train), len(split.val), len(split.test)
    (28, 8, 4)
    """

    kind = "ratio"

    def split(self, index: ImageIndex) -> SplitDataset:
        """Divides the images of each class, or reads the split from the cache.

        Raises:
            DataError: A class has too few images for three parts, or the dataset comes with a split.
        """
        require_unsplit(index)
        self._require_enough(index)
        text = f"{index.fingerprint}\n{self.ratio!r}\n{self.seed}"
        return kept(index, self.cache, self.name, text, self._build, self.check_leaks)

    def _require_enough(self, index: ImageIndex) -> None:
        """Raises DataError where a part would be left without images of a class."""
        for label, name in enumerate(index.class_names):
            count = int(np.sum(index.labels == label))
            train, val = (int(share * count) for share in self.ratio[:2])
            if min(train, val, count - train - val) < 1:
                raise DataError(
                    f"The class {name} has {counted(count, 'image')}: {train} to train, {val} to val and "
                    f"{count - train - val} to test, and each part needs one or more. Add images "
                    f"of {name}, raise dataset.limit or choose another split.ratio. "
                    f"Received: split.ratio={list(self.ratio)}"
                )

    def _build(self, folder: Path, index: ImageIndex, links: list[str]) -> None:
        """Fills `folder` as `kept` asks, by way of a folder of links in which split-folders finds the classes."""
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


def apart(index: ImageIndex) -> str:
    """Returns the overrides with which copies of an image, and patches of one photo, are kept in one part."""
    return "split=grouped" if index.parts is None else "split=grouped dataset.merge_parts=true"


@contextmanager
def _quiet_splitfolders() -> Iterator[None]:
    """Hides the progress bar of split-folders, and restores the state of `random`, which split-folders seeds."""
    from splitfolders import split as module

    state, bar = random.getstate(), module.use_tqdm
    module.use_tqdm = False
    try:
        yield
    finally:
        module.use_tqdm = bar
        random.setstate(state)
