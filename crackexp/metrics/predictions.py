"""The predictions of a classifier for labelled images, and the bootstrap of their metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from crackexp.metrics.intervals import resampled_counts
from crackexp.utils.seeds import generator

SUM_TOLERANCE = 1e-3
ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probabilities that a classifier predicted for n labelled images.

    Example:

    >>> import numpy as np
    >>> labels, probabilities = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> predictions = Predictions(labels, probabilities, positive=1, names=("negative", "crack"))
    >>> predictions.predicted.tolist(), predictions.correct.tolist()
    ([0, 1, 0], [True, True, False])

    Args:
        labels: (n,) int in [0, c), the true class of each image.
        probabilities: (n, c) float, at least 0, with rows that sum to 1.
        positive: The index of the positive class of two. With more classes it changes nothing.
        groups: (n,) of any type, equal for images that resemble each other, such as the patches of one photo. None
            means that the images are independent.
        names: The names of the c classes; they may be left out where nothing asks for them.
        choices: (n,) int in [0, c), the predicted class of each image. None takes the most probable class.
        precision: The floating point type that the probabilities were computed in, where a table gives them in a
            wider one. None takes the type of `probabilities`.

    Raises:
        ValueError: The shapes, the labels or the probabilities are not as described, such as NaN.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    positive: int
    groups: np.ndarray | None = None
    names: Sequence[str] = ()
    choices: np.ndarray | None = None
    precision: type[np.floating] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", np.asarray(self.labels))
        labels, probabilities = self.labels, self.probabilities
        shapes = f"Received: labels of shape {labels.shape}, probabilities of {probabilities.shape}"
        if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
            raise ValueError(f"Labels must be (n,) and probabilities (n, c). {shapes}")
        n, c = probabilities.shape
        if n == 0 or c < 2:
            raise ValueError(f"There must be at least one image and two classes. {shapes}")
        if labels.min() < 0 or labels.max() >= c:
            raise ValueError(f"Labels must lie in [0, {c}). Received: {labels.min()} to {labels.max()}")
        missing = np.isnan(probabilities).any(axis=1).sum()
        if missing:
            raise ValueError(
                f"The probabilities of {missing} of {n} images are NaN: the network overflowed, in training or "
                f"in its precision. Received: {missing} rows with NaN"
            )
        sums = probabilities.sum(axis=1, dtype=np.float64)
        wrong = (probabilities < -ROUNDING).any(axis=1) | (np.abs(sums - 1) > SUM_TOLERANCE)
        if wrong.any():
            raise ValueError(
                f"The probabilities of an image must be at least 0 and sum to 1, but those of {wrong.sum()} of {n} "
                f"images do not. Received: {probabilities[wrong.argmax()]} for image {wrong.argmax()}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return self.probabilities.shape[1] == 2

    @property
    def classes(self) -> list[int]:
        """The classes of which precision, recall and curves are computed: the positive one of two, or all of more."""
        return [self.positive] if self.binary else list(range(self.probabilities.shape[1]))

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predicted class of each image, (n,) int."""
        return self.probabilities.argmax(axis=1) if self.choices is None else self.choices

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether each image was classified correctly, (n,) bool."""
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def given(self) -> np.ndarray:
        """The predicted probability of the true class of each image, (n,) float64."""
        return np.asarray(self.probabilities[np.arange(len(self)), self.labels], np.float64)

    @property
    def epsilon(self) -> float:
        """The relative precision of the probabilities."""
        return float(np.finfo(self.precision or self.probabilities.dtype).eps)

    @cached_property
    def members(self) -> np.ndarray | None:
        """The number of the group of each image, (n,) int; None where the images are independent."""
        return None if self.groups is None else np.unique(self.groups, return_inverse=True)[1]

    @property
    def group_count(self) -> int | None:
        """The number of groups; None where the images are independent."""
        return None if self.members is None else int(self.members.max()) + 1

    def take(self, rows: np.ndarray) -> "Predictions":
        """Returns the predictions for some of the images, or for a resample of them.

        Args:
            rows: (m,) int, or (n,) bool.
        """

        def chosen(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return replace(
            self,
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            groups=chosen(self.groups),
            choices=chosen(self.choices),
        )


@dataclass(frozen=True)
class Bootstrap:
    """The settings of the bootstrap that makes confidence intervals.

    Args:
        seed: The seed of the resampling. Equal seeds give equal resamples of n images.
        level: The confidence of the intervals, in (0, 1).
        resamples: The number of resamples.
    """

    seed: int
    level: float = 0.95
    resamples: int = 1000

    def counts(self, images: int, members: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yields how often each image is drawn in each resample, see `resampled_counts`.

        Args:
            images: The number of images.
            members: (images,) int, the group of each image; None where the images are independent.
        """
        return resampled_counts(images, self.resamples, generator(self.seed, "bootstrap"), members)
