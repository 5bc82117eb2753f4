"""The datamodule: a split dataset with its augmentation and auxiliary datasets, read as batches."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from crackexp.data.accounting import Account
from crackexp.data.augmentation import Augmentation, View
from crackexp.data.auxiliary import AuxiliaryDataset
from crackexp.data.classes.single import require_two_classes
from crackexp.data.images.cache import ImageCache
from crackexp.data.index import ImageIndex
from crackexp.data.pipeline import image_batches, training_batches
from crackexp.data.sources.base import Dataset
from crackexp.data.splits.base import Split, check_split
from crackexp.utils.errors import DataError
from crackexp.utils.seeds import generator


class DataModule:
    """Provides the images and labels of train, val and test as batches of one image size.

    `prepare` lists the images and `setup` splits them; everything else works after `setup`.

    Args:
        dataset: The dataset that finds the images.
        split: The split that divides them into train, val and test.
        augmentation: The augmentation of the training images.
        image_size: The side S of the images in pixels; images are resized to (S, S).
        batch_size: The number of images in a training batch, at most the number of training images.
        seed: The seed of the run, of which shuffling and augmentation are named streams.
        mix: Auxiliary datasets, whose images are added to train; val and test are those of `dataset` alone.
        cache: The cache of decoded images of this size; None to decode them each time they are read.

    Attributes:
        index: All images of `dataset`.
        split: The split of `index`.
        train: The training images: those of `split.train`, then those of each auxiliary dataset.
        weights: The weight of each image of `train` in the loss, (n,) float32.

    Example:

    >>> from crackexp.data.sources import Synthetic
    >>> from crackexp.data.splits import RatioSplit
    >>> dataset = Synthetic(
    ...     name="drawn", count=40, size=32, draw_seed=0, positive="Positive", limit=None, on_bad_file="error",
    ...     cache="cache",
    ... )
    >>> split = RatioSplit(ratio=[0.7, 0.2, 0.1], seed=1337, cache="cache")
    >>> data = DataModule(dataset, split, Augmentation({}), image_size=32, batch_size=8, seed=0)
    >>> data.prepare()
    >>> data.setup()
    >>> images, labels, weights = next(data.train_batches(epochs=1, first_epoch=0, weights=data.weights))
    >>> images.shape, labels.shape
    ((8, 32, 32, 3), (8,))
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        augmentation: Augmentation,
        image_size: int,
        batch_size: int,
        seed: int,
        mix: Sequence[AuxiliaryDataset] = (),
        cache: ImageCache | None = None,
    ) -> None:
        self.dataset = dataset
        self.splitter = split
        self.augmentation = augmentation
        self.image_size = image_size
        self.batch_size = batch_size
        self.seed = seed
        self.mix = tuple(mix)
        self.cache = cache

    def prepare(self) -> None:
        """Lists and checks the images of all datasets.

        Raises:
            DataError: The images cannot be used, or the dataset does not fit its split.
        """
        check_split(self.dataset, self.splitter)
        self.index = self.dataset.prepare()
        require_two_classes(self.index)
        for auxiliary in self.mix:
            auxiliary.prepare()

    def setup(self) -> None:
        """Splits the images that `prepare` has listed, and adds those of the auxiliary datasets to train.

        Raises:
            DataError: There are too few images.
        """
        self.split = self.splitter.split(self.index)
        for auxiliary in self.mix:
            auxiliary.setup(self.index, (self.val, self.test))
        self.train = self.split.train.join(*(auxiliary.train for auxiliary in self.mix))
        weighed = [(self.split.train, 1.0), *((auxiliary.train, auxiliary.weight) for auxiliary in self.mix)]
        self.weights = np.concatenate([np.full(len(part), weight, np.float32) for part, weight in weighed])
        if self.batch_size > len(self.train):
            raise DataError(
                f"batch_size is larger than the {len(self.train)} training images of "
                f"dataset={self.dataset.name}. Type batch_size={len(self.train)} or less. "
                f"Received: batch_size={self.batch_size}"
            )

    @property
    def fingerprint(self) -> str:
        """A digest of the content of all datasets, 16 hex digits; without auxiliary datasets it is that of `index`."""
        if not self.mix:
            return self.index.fingerprint
        parts = [self.index.fingerprint, *(auxiliary.index.fingerprint for auxiliary in self.mix)]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()

    @property
    def account(self) -> Account:
        """The account of the files of all datasets."""
        account = Account()
        account.add(self.index.account)
        for auxiliary in self.mix:
            account.add(auxiliary.index.account.of(auxiliary.name))
        return account

    @property
    def val(self) -> ImageIndex:
        """The validation images."""
        return self.split.val

    @property
    def test(self) -> ImageIndex:
        """The test images."""
        return self.split.test

    @property
    def seen(self) -> set[str]:
        """The digests of the images of train and val, on which the model is trained and its epoch is chosen."""
        return {*self.train.digests.tolist(), *self.val.digests.tolist()}

    @property
    def steps_per_epoch(self) -> int:
        """The number of training batches in an epoch; an incomplete last batch is not counted."""
        return len(self.train) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """Returns the order of the training images in an epoch, a permutation of their rows, (n,) int64."""
        return generator(self.seed, "shuffle", epoch).permutation(len(self.train))

    def view(self, epoch: int) -> View:
        """Returns the view of the training images that an epoch shows."""
        return View(self.augmentation, self.seed, epoch)

    def class_weights(self) -> np.ndarray:
        """Returns the weight of each class, (c,) float32, with which all classes count the same in train.

        A weight is the inverse of the share that the class has of `weights`; their mean over `weights` is 1.
        """
        counts = np.bincount(self.train.labels, self.weights, minlength=len(self.index.class_names))
        return (counts.sum() / (len(counts) * counts)).astype(np.float32)

    def train_batches(
        self, epochs: int, first_epoch: int, weights: np.ndarray, first_batch: int = 0, rows: range | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields shuffled batches of augmented images, labels and weights; see `training_batches`."""
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
            self.cache,
        )

    def images(self, index: ImageIndex, batch_size: int, view: View | None = None) -> Iterator[np.ndarray]:
        """Yields batches of the images of `index` in order, augmented where there is a `view`; see `image_batches`."""
        return image_batches(index, self.image_size, batch_size, view, self.cache)
