"""Probabilities of patches relative to what is usual in their photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crackexp.evaluation.calibration import Calibration, log_odds

USUAL = 0.015
"""The probability of damage that a usual patch of a photo gets."""
QUANTILE = 0.25
"""The usual patch of a photo is at this quantile of its log-odds, so three of four patches may be damaged."""
PRIOR_PATCHES = 10
"""A photo of so many patches is shifted by half of the difference, and one of more patches by more of it."""
MOST_RAISED = 2.0
"""The log-odds of a photo are raised by this at most, so that no photo of clean concrete is made suspicious."""


@dataclass(frozen=True)
class PhotoBaseline:
    """What is usual in a photo.

    Texture, light and dirt of a photo change the log-odds of all its patches alike, and tell nothing about cracks. Most
    patches of a photo show none, so what a usual one should get is known without labels.

    Attributes:
        log_odds: The log-odds of damage of a usual patch.
        patches: The number of patches.
    """

    log_odds: float
    patches: int

    @property
    def shift(self) -> Calibration:
        """The calibration that shifts the log-odds of all patches, so that a usual one gets `USUAL`."""
        wanted = float(np.log(USUAL / (1 - USUAL))) - self.log_odds
        return Calibration(shift=min(wanted * self.patches / (self.patches + PRIOR_PATCHES), MOST_RAISED))

    def seems_damaged(self, threshold: float) -> bool:
        """Returns whether a usual patch has a probability of damage of `threshold` or more.

        Then the photo is damaged all over, or of a kind that the model does not know. With fewer than `PRIOR_PATCHES`
        patches it is not said, since the crack of a close-up may be in most of them.
        """
        return self.patches >= PRIOR_PATCHES and 1 / (1 + np.exp(-self.log_odds)) >= threshold


def baseline_of(probabilities: np.ndarray, positives: Sequence[int]) -> PhotoBaseline:
    """Returns what is usual in a photo.

    Args:
        probabilities: The probabilities of its patches, (n, c) float.
        positives: The classes that are damage.
    """
    return PhotoBaseline(float(np.quantile(log_odds(probabilities, positives), QUANTILE)), len(probabilities))


def relative_to_photo(probabilities: np.ndarray, photos: np.ndarray, positives: Sequence[int]) -> np.ndarray:
    """Returns probabilities that are shifted by what is usual in each photo, see `PhotoBaseline`.

    Args:
        probabilities: The probabilities of the patches, (n, c) float.
        photos: The photo of each patch, (n,) str.
        positives: The classes that are damage.

    Returns:
        (n, c) float32.
    """
    result = np.empty(probabilities.shape, np.float32)
    for photo in np.unique(photos):
        rows = photos == photo
        result[rows] = baseline_of(probabilities[rows], positives).shift(probabilities[rows], positives)
    return result
