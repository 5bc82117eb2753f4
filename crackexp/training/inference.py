"""Predictions of a whole classifier from pixels."""

from collections.abc import Iterator

import jax
import keras
import numpy as np

from crackexp.models.cpu_conv import for_cpu
from crackexp.progress import progress


def computing(classifier: keras.Model) -> keras.Model:
    """Returns the network to compute with: on CPU a clone with faster layers, else `classifier` itself."""
    return for_cpu(classifier) if jax.default_backend() == "cpu" else classifier


def predict(network: keras.Model, batches: Iterator[np.ndarray], count: int, title: str) -> np.ndarray:
    """Returns the probabilities of `count` images, (count, c) float32.

    Args:
        network: (B, S, S, 3) uint8 to (B, c).
        batches: the images in batches of one shape, the last filled up.
        count: of the images without the filling.
        title: of the progress bar.
    """
    outputs: list[np.ndarray] = []
    with progress(title, count) as advance:
        for batch in batches:
            outputs.append(np.asarray(network.predict_on_batch(batch), np.float32))
            advance(len(batch))
    return np.concatenate(outputs)[:count]
