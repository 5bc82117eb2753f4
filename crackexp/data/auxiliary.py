"""Auxiliary datasets, whose images are added to the training images of the main dataset."""

import logging
from collections.abc import Sequence

import numpy as np

from crackexp.data.index import ImageIndex
from crackexp.data.sources.base import Dataset
from crackexp.data.splits.given_split import only_part
from crackexp.utils.errors import DataError, about

_log = logging.getLogger(__name__)


class AuxiliaryDataset:
    """A dataset whose images are added to the training images of the main dataset; an item of `mix` in a config.

    It changes neither the split nor the val and test images of the main dataset.

    Args:
        dataset: The dataset that finds the images.
        weight: The weight of each of its images in the loss; an image of the main dataset has the weight 1.

    Attributes:
        index: All images of the dataset, with its own classes; only its training images where it comes with a split.
            It is set by `prepare`.
        train: The images that are added to train, with the classes of the main dataset. It is set by `setup`.
    """

    def __init__(self, dataset: Dataset, weight: float) -> None:
        self.dataset = dataset
        self.weight = weight

    @property
    def name(self) -> str:
        """The name of the dataset."""
        return self.dataset.name

    def prepare(self) -> None:
        """Lists and checks the images.

        Raises:
            UserError: The images cannot be used.
        """
        with about(f"{self.name} in mix"):
            self.index = only_part(self.dataset.prepare(), "train", self.name)

    def setup(self, main: ImageIndex, held_out: Sequence[ImageIndex]) -> None:
        """Gives the images the classes of the main dataset, and leaves out those that the model is evaluated on.

        Args:
            main: The images of the main dataset.
            held_out: Its val and its test. An image with the same bytes as one of them is not trained on.

        Raises:
            UserError: The classes of the datasets do not match, or no image is left.
        """
        with about(f"{self.name} in mix"):
            images = self.index.relabel(main.classes)
        seen = np.isin(images.digests, np.concatenate([part.digests for part in held_out]))
        if seen.all():
            raise DataError(
                "All images of the auxiliary dataset are also in val or test of the main one. Remove it from mix. "
                f"Received: {self.name} of {len(images)} images in mix"
            )
        if seen.any():
            _log.warning("left out %d of %d images of %s: they are in val or test", seen.sum(), len(seen), self.name)
        self.train = images.subset(~seen)
