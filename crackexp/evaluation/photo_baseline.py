"""Probabilities of patches relative to what is usual in their photo."""

from collections.abc import Sequence

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


def shift_of(probabilities: np.ndarray, positives: Sequence[int]) -> Calibration:
    """Returns the calibration that shifts the log-odds of the patches of one photo, so that a usual patch gets `USUAL`.

    Texture, light and dirt of a photo change the log-odds of all its patches alike, and tell nothing about cracks. Most
    patches of a photo show none, so what a usual one gets is known without labels.

    Args:
        probabilities: The probabilities of the patches, (n, c) float.
        positives: The classes that are damage.
    """
    usual = float(np.quantile(log_odds(probabilities, positives), QUANTILE))
    wanted = np.log(USUAL / (1 - USUAL)) - usual
    count = len(probabilities)
    return Calibration(shift=float(min(wanted * count / (count + PRIOR_PATCHES), MOST_RAISED)))


def relative_to_photo(probabilities: np.ndarray, photos: np.ndarray, positives: Sequence[int]) -> np.ndarray:
    """Returns probabilities that are relative to what is usual in each photo, see `shift_of`.

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
        result[rows] = shift_of(probabilities[rows], positives)(probabilities[rows], positives)
    return result
