"""Decisions: what a probability of a crack means for who has to act on it."""

from dataclasses import dataclass

import numpy as np

CRACK, UNSURE, SOUND = "crack", "unsure", "sound"


@dataclass(frozen=True)
class Thresholds:
    """Where decisions change, in probabilities of a crack.

    Attributes:
        crack: from which on the decision is "crack".
        unsure: from which on it is "unsure", at most `crack`; equal to it where there is no band between.
    """

    crack: float = 0.5
    unsure: float = 0.5

    @classmethod
    def at(cls, threshold: float) -> "Thresholds":
        """Returns those of one threshold without a band."""
        return cls(threshold, threshold)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns "crack", "unsure" or "sound" for each probability of a crack, (n,) str."""
        low = np.where(probabilities >= self.unsure, UNSURE, SOUND)
        return np.where(probabilities >= self.crack, CRACK, low)

    def __str__(self) -> str:
        band = f", unsure from {self.unsure:.4g}" if self.unsure < self.crack else ""
        return f"crack from {self.crack:.4g}{band}"
