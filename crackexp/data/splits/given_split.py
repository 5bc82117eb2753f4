"""The split that a dataset comes with, and what every command does with the parts of one."""

import logging
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from crackexp.data.duplicates import find_duplicates
from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.grouped_split import GroupedSplit, cut_groups, together
from crackexp.data.splits.ratio_split import RatioSplit, split_already
from crackexp.data.splits.split_folder import Split, kept, link_parts
from crackexp.errors import ConfigError, DataError

_log = logging.getLogger(__name__)

_SHARES = {"val": 0.2, "test": 0.1}
_SEED = 1337


class GivenSplit:
    """The parts that the images of a dataset stand in, as they are.

    A part that is not given, val or test, is cut from train at random: copies of a picture and patches of one photo
    stay together, as in `GroupedSplit`. Images that stand in two parts stay in both, and are told as leaks.

    Args:
        val: The share of the given train that becomes val where no val is given, above 0 and below 1; None: 0.2.
        test: The same for test; None: 0.1.
        seed: Of what is cut off; None: 1337.
        cache: The split lands below the folder `splits` of this folder.
        check_leaks: Whether to look for test images that train has seen.

    Raises:
        ConfigError: The shares leave nothing to train.
    """

    unrelated_to_result = ("check_leaks",)

    def __init__(
        self,
        *,
        val: float | None,
        test: float | None,
        seed: int | None,
        cache: str | Path,
        check_leaks: bool = True,
    ) -> None:
        self.shares = {"val": val, "test": test}
        self.seed = seed
        self.cache = Path(cache)
        self.check_leaks = check_leaks
        if (val or 0) + (test or 0) >= 1:
            raise ConfigError(
                f"Val and test leave nothing to train. Type shares with a sum below 1. Received: split.val={val} "
                f"split.test={test}"
            )

    def split(self, index: ImageIndex) -> Split:
        """Splits a dataset as its images say.

        Raises:
            DataError: The dataset has no split, a part lacks a class, or train is too small to cut a part from it.
            ConfigError: An option is set that says how to cut a part which is given.
        """
        if index.parts is None:
            raise no_split(index.root)
        given = [part for part in PARTS if part in index.parts]
        if "train" not in given:
            raise DataError(
                f"{index.root} holds {' and '.join(given)}, and no train. Judge a model on it by crackexp.evaluate, or "
                f"add the images to train on. Received: split=given"
            )
        shares = {part: self._share(part, given) for part in _SHARES}
        missing = [part for part in PARTS if part not in given]
        if not missing and self.seed is not None:
            raise ConfigError(
                f"Train, val and test are all given, so that no seed makes another split. Leave out split.seed. "
                f"Received: split.seed={self.seed}"
            )
        parts = np.array([PARTS.index(part) for part in index.parts.tolist()])
        name, cut = "given", ""
        if missing:
            seed = _SEED if self.seed is None else self.seed
            rows = np.flatnonzero(parts == 0)
            train = index.subset(rows)
            found = together(train, find_duplicates(train, self.cache), photos=True)
            ratio = (1 - sum(shares.values()), shares["val"], shares["test"])
            parts[rows] = cut_groups(found, train.labels, ratio, seed)
            cuts = "-".join(f"{part}-{shares[part]:g}" for part in missing)
            name, cut = f"given-{cuts}-seed-{seed}", f"{seed}\n{','.join(map(str, found.tolist()))}"
        for part, row in ((part, row) for row in range(len(index.class_names)) for part in PARTS):
            if not np.any((parts == PARTS.index(part)) & (index.labels == row)):
                raise self._lacks(index, part, index.class_names[row], part in missing)
        for part in missing:
            count = np.sum(parts == PARTS.index(part))
            _log.warning("no %s is given: %d images of train are cut off as %s at random", part, count, part)
        text = f"{index.fingerprint}\n{shares}\n{cut}"
        return kept(index, self.cache, name, text, link_parts(parts), self.check_leaks)

    def _share(self, part: str, given: list[str]) -> float:
        """Returns the share of train to cut off as `part`; 0 where it is given."""
        typed = self.shares[part]
        if part not in given:
            return _SHARES[part] if typed is None else typed
        if typed is not None:
            raise ConfigError(
                f"The part {part} is given, and none is cut from train. Leave out split.{part}. "
                f"Received: split.{part}={typed}"
            )
        return 0.0

    def _lacks(self, index: ImageIndex, part: str, class_name: str, cut: bool) -> DataError:
        if cut:
            advice = f"Add images to train, or type another split.{part} or split.seed"
        else:
            advice = "Add some, raise dataset.limit, or type dataset.merge_parts=true split=ratio to split anew"
        return DataError(
            f"The part {part} of {index.root} has no image of the class {class_name}. {advice}. Received: split=given"
        )


@runtime_checkable
class GivesParts(Protocol):
    """A dataset that may come with a split."""

    path: Path

    def given_parts(self) -> list[str] | None: ...


def no_split(place: Path) -> DataError:
    """Returns the error of a dataset that comes without a split and was to be split as it says."""
    return DataError(
        f"{place} holds no split to use: it has neither folders train, val and test nor a table with a column split. "
        f"Type split=ratio or split=grouped to make one. Received: split=given"
    )


def check_split(dataset: object, splitter: object) -> None:
    """Refuses a dataset that does not fit its split before any of its images is read.

    Args:
        dataset: One that can come with a split tells so by `given_parts()`; of others nothing is known yet.
        splitter: `GivenSplit`, or another, which makes a split.

    Raises:
        DataError: The dataset comes with a split, which would be lost, or without the one that is to be used.
    """
    if not isinstance(dataset, GivesParts):
        return
    parts = dataset.given_parts()
    if parts is None and isinstance(splitter, GivenSplit):
        raise no_split(dataset.path)
    if parts is not None and isinstance(splitter, RatioSplit | GroupedSplit):
        raise split_already(dataset.path, parts)


def only_part(index: ImageIndex, part: str, name: str) -> ImageIndex:
    """Returns the images of one part where a dataset comes with a split, and says so; else all.

    Args:
        index: The images.
        part: "train", "val" or "test".
        name: Of the dataset, for the message.

    Raises:
        DataError: The dataset comes with a split that lacks the part.
    """
    if index.parts is None:
        return index
    mine = index.parts == part
    if not mine.any():
        given = ", ".join(one for one in PARTS if one in index.parts)
        raise DataError(
            f"{name} is split into {given}, and {part} is what would be used. Give the folder of one part, or type "
            f"dataset.merge_parts=true to use all. Received: dataset.path={index.root}"
        )
    _log.warning(
        "%s comes with a split: its %s is used, %d of %d images; dataset.merge_parts=true uses all",
        name,
        part,
        mine.sum(),
        len(index),
    )
    return index.subset(mine)
