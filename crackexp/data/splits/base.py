"""The base class of splits, and what is refused where a split does not fit its dataset."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.sources.base import Dataset
from crackexp.data.splits.split_folder import SplitDataset
from crackexp.utils.errors import DataError


class Split(ABC):
    """Divides the images of a dataset into train, val and test; a config names one in the group `split`.

    A split of your own inherits this class and implements `split`. `crackexp.data.splits.split_folder.kept` makes its
    folder in the cache and reads it again in later runs.

    Attributes:
        uses_given: Whether the split uses the parts that the images of a dataset come in. Where it is False, a dataset
            that comes with a split is refused, because that split would be lost; where it is True, a dataset that comes
            without one is refused.

    Example:

    >>> class EveryTenth(Split):
    ...     def __init__(self, cache):
    ...         self.cache = Path(cache)
    ...     def split(self, index):
    ...         rows = np.arange(len(index)) % 10
    ...         parts = np.where(rows == 9, 2, np.where(rows == 8, 1, 0))
    ...         build = link_parts(parts)
    ...         return kept(index, self.cache, "every-tenth", index.fingerprint, build, check_leaks=False)
    >>> from crackexp.data.sources import Synthetic
    >>> import numpy as np
    >>> from crackexp.data.splits.split_folder import kept, link_parts
    >>> dataset = Synthetic(
    ...     name="drawn", count=40, size=32, draw_seed=0, positive="Positive", limit=None, on_bad_file="error",
    ...     cache="cache",
    ... )
    >>> split = EveryTenth("cache").split(dataset.prepare())
    >>> len(split.train), len(split.val), len(split.test)
    (32, 4, 4)
    """

    uses_given: bool = False

    @abstractmethod
    def split(self, index: ImageIndex) -> SplitDataset:
        """Divides the images of a dataset, or reads how they were divided before.

        Args:
            index: All images of the dataset.

        Returns:
            The images of each part, with the folder of links to them.

        Raises:
            DataError: The images cannot be divided so that each part holds each class.
        """


def require_unsplit(index: ImageIndex) -> None:
    """Checks that a dataset does not come with a split, which another split would lose.

    Raises:
        DataError: It does.
    """
    if index.parts is not None:
        raise split_already(index.root, [part for part in PARTS if part in index.parts])


def split_already(place: Path | str, parts: Sequence[str]) -> DataError:
    """Returns the error for a dataset that comes with a split and was to be split anew.

    Args:
        place: The folder or the table of the dataset, or its name.
        parts: The parts that the dataset comes in.
    """
    return DataError(
        f"{place} is split already into {', '.join(parts)}. Type split=given to use that split, or "
        f"dataset.merge_parts=true to put the parts together and split anew. Received: dataset.path={place}"
    )


def no_split(place: Path | str) -> DataError:
    """Returns the error for a dataset that comes without a split and was to be split as given.

    Args:
        place: The folder or the table of the dataset, or its name.
    """
    return DataError(
        f"{place} holds no split to use: it has neither folders train, val and test nor a table with a column split. "
        f"Type split=ratio or split=grouped to make one. Received: split=given"
    )


def check_split(dataset: Dataset, split: Split) -> None:
    """Refuses a split that does not fit its dataset, before any image is read.

    Nothing is checked for a dataset that does not know its parts before `Dataset.prepare`.

    Raises:
        DataError: The dataset comes with a split, which would be lost, or without the one that is to be used.
    """
    parts = dataset.given_parts()
    if parts == [] and split.uses_given:
        raise no_split(dataset.place)
    if parts and not split.uses_given:
        raise split_already(dataset.place, parts)
