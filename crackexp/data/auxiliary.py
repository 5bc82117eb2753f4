"""Datasets beside the main one, whose images are added to its training images."""

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from crackexp.data.index import ImageIndex
from crackexp.data.splits.given_split import only_part
from crackexp.errors import DataError, about

_log = logging.getLogger(__name__)


class Dataset(Protocol):
    name: str

    def prepare(self) -> ImageIndex: ...


class Mixed:
    """A dataset that is mixed into train.

    Args:
        dataset: finds the images.
        weight: of each of its images in the loss; the main dataset's have 1.

    Attributes:
        index: all its images, with its own classes; of a dataset that comes with a split, those of its train.
        train: those that are added to train, with the classes of the main dataset.
    """

    def __init__(self, dataset: Dataset, weight: float) -> None:
        self.dataset = dataset
        self.weight = weight

    @property
    def name(self) -> str:
        return self.dataset.name

    def prepare(self) -> None:
        """Indexes the images.

        Raises:
            UserError: Images cannot be used.
        """
        with about(f"{self.name} in mix"):
            self.index = only_part(self.dataset.prepare(), "train", self.name)

    def setup(self, main: ImageIndex, held_out: Sequence[ImageIndex]) -> None:
        """Gives the images the classes of `main`, and leaves out those that judge the model.

        Args:
            main: the main dataset.
            held_out: its val and test, of which no image, byte for byte, may be trained on.

        Raises:
            UserError: Other classes, or nothing left.
        """
        with about(f"{self.name} in mix"):
            images = self.index.relabel(main.classes)
        seen = np.isin(images.digests, np.concatenate([part.digests for part in held_out]))
        if seen.all():
            raise DataError(
                "All images of a dataset that is mixed in are in val or test of the main one. Leave it out of mix. "
                f"Received: {self.name} of {len(images)} images in mix"
            )
        if seen.any():
            _log.warning("left out %d of %d images of %s: they are in val or test", seen.sum(), len(seen), self.name)
        self.train = images.subset(~seen)
