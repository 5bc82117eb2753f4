"""The last layer of a trained classifier, refitted to the images of a new site without going far from where it was."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from crackexp.evaluation.calibration import SMALLEST_PROBABILITY
from crackexp.models.last_layer import LastLayer

STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03)
"""The strengths of the pull towards the old weights that are tried; see `LastLayerRefit.fit`."""
_LEAST_ROWS = 16
_STEPS = 100
_BLOCK = 1024
"""The number of images that are predicted at once."""


class LastLayerRefit:
    """Refits the last layer of a classifier to a few labelled images.

    Args:
        last: The classifier, split at its last layer.
    """

    def __init__(self, last: LastLayer) -> None:
        self._tail = last.tail
        self._old = [np.asarray(variable.value) for variable in last.tail.trainable_variables]
        self._fixed = [variable.value for variable in last.tail.non_trainable_variables]
        self._loss = jax.jit(jax.value_and_grad(self._penalised))
        self._predict = jax.jit(self._probabilities)

    def fit(self, features: np.ndarray, labels: np.ndarray, strength: float) -> list[np.ndarray]:
        """Returns the weights of the layer that fit some images, and are near the old ones.

        They minimise the sum of the cross-entropies plus half of `strength` times the squared distance from the old
        weights, in the unit of the mean squared length of the features. This is L2-SP (Li, Grandvalet and Davoine 2018,
        arXiv:1802.01483); it is the maximum a posteriori estimate under a normal prior around the old weights, which
        counts less with more images.

        Args:
            features: The features of the images, (n, ...) float32.
            labels: Their labels, (n,) int in [0, c).
            strength: The strength of the pull, above 0.
        """
        pull = strength * float(np.mean(np.sum(np.square(features, dtype=np.float64), axis=-1)))
        targets = np.eye(self._tail.output_shape[-1], dtype=np.float32)[labels]
        counted = np.ones(len(labels), np.float32)
        given = [jnp.asarray(_padded(part)) for part in (features, targets, counted)]
        start, rebuild = _flattened(self._old)

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = self._loss(rebuild(flat), *given, pull)
            return float(value), _flattened([np.asarray(part) for part in slope])[0]

        best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
        return [np.asarray(part, np.float32) for part in rebuild(best.x)]

    def probabilities(self, weights: Sequence[np.ndarray], features: np.ndarray) -> np.ndarray:
        """Returns the probabilities of images with other weights of the layer, (n, c) float32."""
        blocks = [features[start : start + _BLOCK] for start in range(0, len(features), _BLOCK)]
        return np.concatenate([self._predict(list(weights), _padded(block))[: len(block)] for block in blocks])

    def cross_validated(
        self, features: np.ndarray, labels: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]], strength: float
    ) -> np.ndarray:
        """Returns the probabilities of all images, each from a fit to the other folds, (n, c) float32.

        Args:
            features: The features of the images, (n, ...) float32.
            labels: Their labels, (n,) int in [0, c).
            folds: The rows to fit to and the rows to predict of each fold; each image is predicted once.
            strength: The strength of the pull.
        """
        result = np.empty((len(labels), self._tail.output_shape[-1]), np.float32)
        for train, test in folds:
            weights = self.fit(features[train], labels[train], strength)
            result[test] = self.probabilities(weights, features[test])
        return result

    def _probabilities(self, weights: Any, features: Any) -> Any:
        outputs, _ = self._tail.stateless_call(weights, self._fixed, features)
        return outputs

    def _penalised(self, weights: Any, features: Any, targets: Any, counted: Any, pull: Any) -> Any:
        probabilities = jnp.maximum(self._probabilities(weights, features), SMALLEST_PROBABILITY)
        losses = -jnp.sum(targets * jnp.log(probabilities), axis=1)
        distance = sum(jnp.sum((new - old) ** 2) for new, old in zip(weights, self._old, strict=True))
        return jnp.sum(counted * losses) + pull / 2 * distance


def _padded(rows: np.ndarray) -> np.ndarray:
    """Returns float32 rows, padded with zeros to a power of two, since each shape is compiled."""
    count = max(_LEAST_ROWS, 1 << (len(rows) - 1).bit_length())
    padded = np.zeros((count, *rows.shape[1:]), np.float32)
    padded[: len(rows)] = rows
    return padded


def _flattened(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, Callable[[np.ndarray], list[np.ndarray]]]:
    """Returns arrays as one vector, (d,) float64, and what makes such a vector arrays of these shapes, float32."""
    ends = np.cumsum([part.size for part in parts])[:-1]

    def rebuild(flat: np.ndarray) -> list[np.ndarray]:
        pieces = np.split(flat.astype(np.float32), ends)
        return [piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)]

    return np.concatenate([part.ravel() for part in parts]).astype(np.float64), rebuild
