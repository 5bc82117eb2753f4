"""The split that a dataset comes with."""

import logging
from pathlib import Path

import numpy as np

from crackexp.config.types import Seed, Share, Text
from crackexp.data.duplicates import find_duplicates
from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.base import Split, no_split
from crackexp.data.splits.grouped_split import cut_groups, together
from crackexp.data.splits.split_folder import SplitDataset, kept, link_parts
from crackexp.utils.errors import ConfigError, DataError

_log = logging.getLogger(__name__)

_SHARES = {"val": 0.2, "test": 0.1}
_SEED = 1337


class GivenSplit(Split):
    """Keeps the split that a dataset comes with.

    Where val or test is not given, it is cut from train at random: copies of an image and patches of one photo stay
    together, as in `GroupedSplit`. Images that are in two of the given parts stay in both, and are reported as leaks.

    Args:
        val: The share of the given train that becomes val where no val is given; null for 0.2.
        test: The share of the given train that becomes test where no test is given; null for 0.1.
        seed: The seed of the images that are cut from train; null for 1337.
        cache: The folder that the split is kept in, below `splits`.
        check_leaks: Whether to look for test images that train holds as a copy or on another patch of the same photo.

    Raises:
        ConfigError: The shares of val and test leave nothing to train on.

    Example:

    >>> from crackexp.data.sources import ImageFolder
    >>> from crackexp.data.synthetic import draw_dataset
    >>> for seed, part in enumerate(("train", "val", "test")):
    ...     draw_dataset(Path("patches", part), count=4, seed=seed, size=32)
    >>> dataset = ImageFolder(
    ...     name="patches", path="patches", positive=None, limit=None, on_bad_file="error", cache="cache"
    ... )
    >>> split = GivenSplit(val=None, test=None, seed=None, cache="cache").split(dataset.prepare())
    >>> split.test.files.tolist()[0]
    'test/Negative/00001.jpg'
    """

    uses_given = True
    unrelated_to_result = ("check_leaks",)

    def __init__(
        self, *, val: Share | None, test: Share | None, seed: Seed | None, cache: Text, check_leaks: bool = True
    ) -> None:
        self.shares = {"val": val, "test": test}
        self.seed = seed
        self.cache = Path(cache)
        self.check_leaks = check_leaks
        if (val or 0) + (test or 0) >= 1:
            raise ConfigError(
                f"Val and test leave no images to train on. Type shares with a sum below 1. Received: split.val={val} "
                f"split.test={test}"
            )

    def split(self, index: ImageIndex) -> SplitDataset:
        """Divides a dataset into the parts that its images come in.

        Raises:
            DataError: The dataset comes without a split, a part lacks a class, or train is too small to cut a part
                from it.
            ConfigError: An argument says how to cut a part that is given.
        """
        if index.parts is None:
            raise no_split(index.root)
        given = [part for part in PARTS if part in index.parts]
        if "train" not in given:
            raise DataError(
                f"{index.root} holds {' and '.join(given)}, but no train. Evaluate a model on it by crackexp.evaluate, "
                f"or add images to train on. Received: split=given"
            )
        shares = {part: self._share(part, given) for part in _SHARES}
        missing = [part for part in PARTS if part not in given]
        if not missing and self.seed is not None:
            raise ConfigError(
                f"Train, val and test are all given, so no seed makes another split. Leave out split.seed. "
                f"Received: split.seed={self.seed}"
            )
        parts = np.array([PARTS.index(part) for part in index.parts.tolist()])
        name, cut = "given", ""
        if missing:
            seed = _SEED if self.seed is None else self.seed
            rows = np.flatnonzero(parts == 0)
            train = index.subset(rows)
            groups = together(train, find_duplicates(train, self.cache), photos=True)
            ratio = (1 - sum(shares.values()), shares["val"], shares["test"])
            parts[rows] = cut_groups(groups, train.labels, ratio, seed)
            cuts = "-".join(f"{part}-{shares[part]:g}" for part in missing)
            name, cut = f"given-{cuts}-seed-{seed}", f"{seed}\n{','.join(map(str, groups.tolist()))}"
        for part, row in ((part, row) for row in range(len(index.class_names)) for part in PARTS):
            if not np.any((parts == PARTS.index(part)) & (index.labels == row)):
                raise self._lacks(index, part, index.class_names[row], part in missing)
        for part in missing:
            count = np.sum(parts == PARTS.index(part))
            _log.warning("no %s is given: %d images of train are cut off as %s at random", part, count, part)
        text = f"{index.fingerprint}\n{shares}\n{cut}"
        return kept(index, self.cache, name, text, link_parts(parts), self.check_leaks)

    def _share(self, part: str, given: list[str]) -> float:
        """Returns the share of train that becomes `part`; 0 where `part` is given."""
        typed = self.shares[part]
        if part not in given:
            return _SHARES[part] if typed is None else typed
        if typed is not None:
            raise ConfigError(
                f"The part {part} is given, so none is cut from train. Leave out split.{part}. "
                f"Received: split.{part}={typed}"
            )
        return 0.0

    def _lacks(self, index: ImageIndex, part: str, class_name: str, cut: bool) -> DataError:
        """Returns the error for a part, given or `cut` from train, that holds no image of a class."""
        if cut:
            advice = f"Add images to train, or type another split.{part} or split.seed"
        else:
            advice = "Add some, raise dataset.limit, or type dataset.merge_parts=true split=ratio to split anew"
        return DataError(
            f"The part {part} of {index.root} has no image of the class {class_name}. {advice}. Received: split=given"
        )


def only_part(index: ImageIndex, part: str, name: str) -> ImageIndex:
    """Returns the images of one part where a dataset comes with a split, and logs that; else all images.

    Args:
        index: The images of the dataset.
        part: "train", "val" or "test".
        name: The name of the dataset, for the message.

    Raises:
        DataError: The dataset comes with a split in which the part is missing.
    """
    if index.parts is None:
        return index
    chosen = index.parts == part
    if not chosen.any():
        given = ", ".join(known for known in PARTS if known in index.parts)
        raise DataError(
            f"{name} is split into {given}, but has no {part}, which would be used. Type the folder of one part, or "
            f"dataset.merge_parts=true to use all. Received: dataset.path={index.root}"
        )
    _log.warning(
        "%s comes with a split: its %s is used, %d of %d images; dataset.merge_parts=true uses all",
        name,
        part,
        chosen.sum(),
        len(index),
    )
    return index.subset(chosen)
