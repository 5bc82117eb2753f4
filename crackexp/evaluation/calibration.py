"""The calibration of probabilities by a scale and a shift of the logits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
MAX_LOG_SCALE = 4.0
"""The largest absolute natural logarithm of a scale: calibration multiplies logits by 1/55 to 55."""
PRIOR_SCALE, PRIOR_SHIFT = 0.5, 1.0
"""The prior standard deviations of the logarithm of the scale and of the shift of the log-odds of a site."""


@dataclass(frozen=True)
class Calibration:
    """A map of the log-odds z of damage to scale * z + shift. With more than two classes it maps their logits.

    Attributes:
        scale: The inverse of the temperature, above 0.
        shift: What is added to the log-odds. It is 0 unless the model was calibrated for a site.
    """

    scale: float = 1.0
    shift: float = 0.0

    @property
    def temperature(self) -> float:
        return 1 / self.scale

    def __call__(self, probabilities: np.ndarray, positives: Sequence[int]) -> np.ndarray:
        """Returns the calibrated probabilities, (n, c) float32.

        Args:
            probabilities: The probabilities of the network, (n, c) float.
            positives: The classes that mean damage. The shift is added to their logits.
        """
        if self == Calibration():
            return probabilities
        logits = self.scale * _logs(probabilities)
        logits[:, list(positives)] += self.shift
        return np.exp(_log_softmax(logits)).astype(np.float32)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> Calibration:
    """Returns the temperature scaling under which the labels are the most likely.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599. The targets are Platt's
    (1999) instead of 0 and 1, since the best temperature would be 0 where every image is classified rightly.

    Args:
        labels: (n,) int in [0, c).
        probabilities: The probabilities of the network, (n, c) float.
    """
    logs, targets = _logs(probabilities), _targets(labels, probabilities.shape[1])

    def loss(log_scale: float) -> float:
        return -float(np.mean(np.sum(targets * _log_softmax(np.exp(log_scale) * logs), axis=1)))

    return Calibration(
        scale=float(np.exp(minimize_scalar(loss, bounds=(-MAX_LOG_SCALE, MAX_LOG_SCALE), method="bounded").x))
    )


def fit_site(labels: np.ndarray, probabilities: np.ndarray, positive: int) -> Calibration:
    """Returns the scale and shift of the log-odds that fit the images of a new site, for a model of two classes.

    This is Platt scaling with his targets (Platt 1999, "Probabilistic Outputs for Support Vector Machines"). A few
    images must not overrule what the network learnt from thousands, so scale and shift are their maximum a posteriori
    estimates under normal priors around 1 and 0 of `PRIOR_SCALE` and `PRIOR_SHIFT`, which count less with more images.

    Args:
        labels: (n,) int in [0, 2), with both classes among them.
        probabilities: The probabilities of the network, (n, 2) float.
        positive: The class that means damage.
    """
    odds, targets = log_odds(probabilities, [positive]), _targets(labels, 2)

    def loss(parameters: np.ndarray) -> float:
        z = np.exp(parameters[0]) * odds + parameters[1]
        penalty = (parameters[0] / PRIOR_SCALE) ** 2 / 2 + (parameters[1] / PRIOR_SHIFT) ** 2 / 2
        return float(np.mean(np.logaddexp(0, z) - targets[:, positive] * z) + penalty / len(labels))

    best = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-MAX_LOG_SCALE, MAX_LOG_SCALE), (None, None)]).x
    return Calibration(scale=float(np.exp(best[0])), shift=float(best[1]))


def log_odds(probabilities: np.ndarray, positives: Sequence[int]) -> np.ndarray:
    """Returns the log-odds of damage, (n,) float64.

    Args:
        probabilities: The probabilities of c classes, (n, c) float.
        positives: The classes that are damage.
    """
    logs = _logs(probabilities)
    others = [label for label in range(probabilities.shape[1]) if label not in positives]
    return np.logaddexp.reduce(logs[:, list(positives)], axis=1) - np.logaddexp.reduce(logs[:, others], axis=1)


def _targets(labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns Platt's targets, (n, classes) float: 1 - 1 / (k + 2) for the label, which k images have."""
    counts = np.bincount(labels, minlength=classes)
    remainder = 1 / (counts[labels] + 2)
    targets = np.repeat((remainder / (classes - 1))[:, None], classes, axis=1)
    targets[np.arange(len(labels)), labels] = 1 - remainder
    return targets


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
