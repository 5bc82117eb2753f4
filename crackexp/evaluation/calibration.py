"""Calibration: probabilities that are right as often as they say, by scale and shift of what goes into the softmax."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar

SMALLEST = float(np.finfo(np.float32).tiny)
MOST = 4.0
"""Of the natural logarithm of a scale: calibration makes no network more than 55 times as sure, or as unsure."""
PRIOR_SCALE, PRIOR_SHIFT = 0.5, 1.0
"""Standard deviations, before a site's images are seen, of the logarithm of the scale and of the shift of log-odds."""


@dataclass(frozen=True)
class Calibration:
    """What is done to the log-odds of a crack: z becomes scale * z + shift; with more classes, to their logits.

    Attributes:
        scale: 1 / temperature, above 0.
        shift: 0 but for a model that was fitted to a site.
    """

    scale: float = 1.0
    shift: float = 0.0

    @property
    def temperature(self) -> float:
        return 1 / self.scale

    def __call__(self, probabilities: np.ndarray, positives: Sequence[int]) -> np.ndarray:
        """Returns what the calibrated network says, (n, c) float32, where it said `probabilities`, (n, c).

        The shift is added to the logits of the classes `positives`, and so to the log-odds of damage.
        """
        if self == Calibration():
            return probabilities
        logits = self.scale * _logs(probabilities)
        logits[:, list(positives)] += self.shift
        return np.exp(_log_softmax(logits)).astype(np.float32)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> Calibration:
    """Returns the temperature that makes `labels` (n,) the most likely, where `probabilities` (n, c) were said of them.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599; the targets are Platt's
    (1999) instead of 0 and 1, so that images which are all told apart do not make the network sure beyond measure.
    """
    logs, targets = _logs(probabilities), _targets(labels, probabilities.shape[1])

    def loss(log_scale: float) -> float:
        return -float(np.mean(np.sum(targets * _log_softmax(np.exp(log_scale) * logs), axis=1)))

    return Calibration(scale=float(np.exp(minimize_scalar(loss, bounds=(-MOST, MOST), method="bounded").x)))


def fit_site(labels: np.ndarray, probabilities: np.ndarray, positive: int) -> Calibration:
    """Returns scale and shift of the log-odds of a crack that images of a new site make the most likely.

    Two classes. Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines", with his targets. Few images
    must not overrule what the network learnt from thousands, so scale and shift are drawn towards 1 and 0: their
    maximum a posteriori under normal priors of `PRIOR_SCALE` and `PRIOR_SHIFT`, which many images outvote.

    Args:
        labels: (n,) int, both classes among them.
        probabilities: (n, 2) of the model.
        positive: the class that means "crack".
    """
    logs, targets = _logs(probabilities), _targets(labels, 2)
    odds = logs[:, positive] - logs[:, 1 - positive]

    def loss(parameters: np.ndarray) -> float:
        z = np.exp(parameters[0]) * odds + parameters[1]
        far = (parameters[0] / PRIOR_SCALE) ** 2 / 2 + (parameters[1] / PRIOR_SHIFT) ** 2 / 2
        return float(np.mean(np.logaddexp(0, z) - targets[:, positive] * z) + far / len(labels))

    best = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-MOST, MOST), (None, None)]).x
    return Calibration(scale=float(np.exp(best[0])), shift=float(best[1]))


def _targets(labels: np.ndarray, classes: int) -> np.ndarray:
    counts = np.bincount(labels, minlength=classes)
    doubt = 1 / (counts[labels] + 2)
    targets = np.repeat((doubt / (classes - 1))[:, None], classes, axis=1)
    targets[np.arange(len(labels)), labels] = 1 - doubt
    return targets


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
