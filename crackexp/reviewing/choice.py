"""Which patches a person is asked about: those that a model is unsure of, unlike each other, and from many photos.

This is BADGE (Ash et al. 2020, arXiv:1906.03671) with a quota for each photo. If an image were labelled with what the
model takes it for, the gradient of the loss by the weights of the last layer would be its features, times how unsure
the model is. These vectors are long where the model is unsure, and point elsewhere where images differ, so the seeds of
k-means++ (Arthur and Vassilvitskii 2007) among them are both.
"""

import math

import numpy as np

from crackexp.utils.seeds import generator

SPREAD = 2.0
"""How many times the even share of a photo its quota is. With 1, photos on which the model is sure take labels from
those on which it is not, which was worth less; see experiments/review."""


def choose(
    probabilities: np.ndarray, features: np.ndarray, photos: np.ndarray, count: int, seed: int, spread: float = SPREAD
) -> np.ndarray:
    """Chooses the patches that teach most.

    Args:
        probabilities: The probabilities of damage, (n,) in [0, 1].
        features: The features that the scores of the model are weighted sums of, (n, d); see `with_features`.
        photos: The photo of each patch, (n,) of any type.
        count: The number of patches to choose; where there are fewer, all are chosen.
        seed: The seed of the run.
        spread: How many times the even share of a photo its quota is, at least 1; see `quota`.

    Returns:
        The rows of the patches in the order in which they were chosen, (min(count, n),) int.

    Example:

    >>> probabilities = np.array([0.5, 0.5, 0.4, 0.001, 0.999])
    >>> features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> sorted(choose(probabilities, features, np.zeros(5), count=2, seed=0).tolist()) in ([0, 2], [1, 2])
    True
    """
    count = min(count, len(probabilities))
    unsure = np.minimum(probabilities, 1 - probabilities).astype(np.float64)
    gradients = unsure[:, None] * features
    _, own = np.unique(photos, return_inverse=True)
    left = np.full(own.max(initial=-1) + 1, quota(np.bincount(own), count, spread))
    random = generator(seed, "review", "choice")
    # The squared distance of each patch from the nearest one that was chosen, or from 0, where the model is sure.
    distances = np.square(gradients).sum(axis=1)
    free = np.ones(len(probabilities), bool)
    chosen: list[int] = []
    while len(chosen) < count:
        weights = np.where(free & (left[own] > 0), distances, 0.0)
        if not weights.any():  # all that is left is like what was chosen
            weights = (free & (left[own] > 0)).astype(float)
        row = int(random.choice(len(weights), p=weights / weights.sum()))
        chosen.append(row)
        free[row] = False
        left[own[row]] -= 1
        distances = np.minimum(distances, np.square(gradients - gradients[row]).sum(axis=1))
    return np.array(chosen, int)


def draw(photos: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws patches as they come, with the arguments of `choose`: their share of cracks is that of the photos."""
    return generator(seed, "review", "draw").choice(len(photos), min(count, len(photos)), replace=False)


def quota(sizes: np.ndarray, count: int, spread: float) -> int:
    """Returns how many patches of a photo are chosen at most.

    Args:
        sizes: The number of patches of each photo, (m,) int.
        count: The number of patches to choose, at most the sum of `sizes`.
        spread: How many times the even share, which is `count` / m. Where small photos cannot give theirs, the quota
            is as much larger as it takes.

    Example:

    >>> quota(np.array([10, 10, 10]), count=6, spread=2)
    4
    >>> quota(np.array([1, 1, 10]), count=9, spread=2)
    7
    """
    most = math.ceil(min(spread * count / max(len(sizes), 1), count))
    while np.minimum(sizes, most).sum() < count:
        most += 1
    return most
