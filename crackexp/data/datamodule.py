"""The datamodule: one dataset, split and augmented, as the trainer asks for it."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from crackexp.data.augmentation import Augmentation, View
from crackexp.data.index import ImageIndex
from crackexp.data.pipeline import Transform, image_batches, training_batches
from crackexp.data.split import Split
from crackexp.errors import DataError
from crackexp.seeds import generator


class Dataset(Protocol):
    name: str

    def prepare(self) -> ImageIndex: ...


class Splitter(Protocol):
    def split(self, index: ImageIndex) -> Split: ...


class DataModule:
    """Images and labels of train, val and test at one size.

    Args:
        dataset: finds the images.
        split: parts them.
        augmentation: draws the views of the training images.
        image_size: S in pixels.
        batch_size: of training; no larger than the training set.
        seed: of the run; shuffling and views are streams of it.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Splitter,
        augmentation: Augmentation,
        image_size: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.dataset = dataset
        self.splitter = split
        self.augmentation = augmentation
        self.image_size = image_size
        self.batch_size = batch_size
        self.seed = seed

    def setup(self) -> None:
        """Indexes the images and parts them.

        Raises:
            DataError: images that cannot be used, or too few of them.
        """
        self.index = self.dataset.prepare()
        self.split = self.splitter.split(self.index)
        if self.batch_size > len(self.split.train):
            raise DataError(
                f"batch_size is larger than the {len(self.split.train)} training images of "
                f"dataset={self.dataset.name}. Type batch_size={len(self.split.train)} or less. "
                f"Received: batch_size={self.batch_size}"
            )

    @property
    def train(self) -> ImageIndex:
        return self.split.train

    @property
    def val(self) -> ImageIndex:
        return self.split.val

    @property
    def test(self) -> ImageIndex:
        return self.split.test

    @property
    def seen(self) -> set[str]:
        """Digests of the images that training or the choice of an epoch has seen: train and val."""
        return {*self.train.digests.tolist(), *self.val.digests.tolist()}

    @property
    def steps_per_epoch(self) -> int:
        return len(self.train) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """Returns the permutation of the training rows in `epoch`, (n,) int64."""
        return generator(self.seed, "shuffle", epoch).permutation(len(self.train))

    def view(self, epoch: int) -> View:
        """Returns what the training images show in `epoch`."""
        return View(self.augmentation, self.seed, epoch)

    def class_weights(self) -> np.ndarray:
        """Returns a weight a class, (c,) float32: inverse frequency in train, 1 on average over the images."""
        counts = np.bincount(self.train.labels, minlength=len(self.index.class_names))
        return (len(self.train) / (len(counts) * counts)).astype(np.float32)

    def train_batches(
        self, epochs: int, first_epoch: int, weights: np.ndarray, first_batch: int = 0, rows: range | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields augmented, shuffled batches of pixels; see `training_batches`."""
        return training_batches(
            self.train,
            self.image_size,
            self.batch_size,
            epochs,
            self.order,
            self.view,
            weights,
            first_epoch,
            first_batch,
            rows,
        )

    def images(self, index: ImageIndex, batch_size: int, view: Transform | None = None) -> Iterator[np.ndarray]:
        """Yields the images of `index` in order, plain or as `view` shows them; see `image_batches`."""
        return image_batches(index, self.image_size, batch_size, view)
