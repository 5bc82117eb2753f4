"""The datamodule: one dataset, split and augmented, and others that join its train, as the trainer asks for it."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from crackexp.data.accounting import Account
from crackexp.data.augmentation import Augmentation, View
from crackexp.data.auxiliary import Dataset, Mixed
from crackexp.data.classes.single import require_two_classes
from crackexp.data.index import ImageIndex
from crackexp.data.pipeline import Transform, image_batches, training_batches
from crackexp.data.splits.given_split import check_split
from crackexp.data.splits.split_folder import Split
from crackexp.errors import DataError
from crackexp.seeds import generator


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
        mix: datasets whose images are added to train; val and test stay those of `dataset`.

    Attributes:
        index: all images of `dataset`.
        split: of `index`.
        train: the images of `split.train`, then those of `mix` in turn.
        weights: (n,) float32, what each image of `train` counts in the loss.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Splitter,
        augmentation: Augmentation,
        image_size: int,
        batch_size: int,
        seed: int,
        mix: Sequence[Mixed] = (),
    ) -> None:
        self.dataset = dataset
        self.splitter = split
        self.augmentation = augmentation
        self.image_size = image_size
        self.batch_size = batch_size
        self.seed = seed
        self.mix = tuple(mix)

    def prepare(self) -> None:
        """Indexes the images of all datasets.

        Raises:
            DataError: Images cannot be used, or the dataset does not fit its split.
        """
        check_split(self.dataset, self.splitter)
        self.index = self.dataset.prepare()
        require_two_classes(self.index)
        for mixed in self.mix:
            mixed.prepare()

    def setup(self) -> None:
        """Parts the images, which `prepare` has indexed, and mixes the others in.

        Raises:
            DataError: There are too few images.
        """
        self.split = self.splitter.split(self.index)
        for mixed in self.mix:
            mixed.setup(self.index, (self.val, self.test))
        self.train = self.split.train.join(*(mixed.train for mixed in self.mix))
        weighed = [(self.split.train, 1.0), *((mixed.train, mixed.weight) for mixed in self.mix)]
        self.weights = np.concatenate([np.full(len(part), weight, np.float32) for part, weight in weighed])
        if self.batch_size > len(self.train):
            raise DataError(
                f"batch_size is larger than the {len(self.train)} training images of "
                f"dataset={self.dataset.name}. Type batch_size={len(self.train)} or less. "
                f"Received: batch_size={self.batch_size}"
            )

    @property
    def fingerprint(self) -> str:
        """16 hex digits over the content of all datasets; that of `index` where nothing is mixed in."""
        if not self.mix:
            return self.index.fingerprint
        parts = [self.index.fingerprint, *(mixed.index.fingerprint for mixed in self.mix)]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()

    @property
    def account(self) -> Account:
        """What became of every file of all datasets."""
        account = Account()
        account.add(self.index.account)
        for mixed in self.mix:
            account.add(mixed.index.account.of(mixed.name))
        return account

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
        """Returns a weight a class, (c,) float32, with which all classes count the same in train.

        It is the inverse of the class' share of the `weights`, and 1 on average over them.
        """
        counts = np.bincount(self.train.labels, self.weights, minlength=len(self.index.class_names))
        return (counts.sum() / (len(counts) * counts)).astype(np.float32)

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
