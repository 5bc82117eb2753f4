"""A network with its calibration in it, so that whoever loads the file gets calibrated probabilities."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from crackexp.models.initializers import start_from
from crackexp.utils.errors import ConfigError


def check_calibratable(classifier: keras.Model, received: str) -> None:
    """Raises ConfigError where `calibrated` cannot take `classifier`; `received` is what asked for it."""
    last = classifier.layers[-1]
    if not (isinstance(last, layers.Dense) and last.activation is keras.activations.softmax):
        raise ConfigError(
            "Calibration becomes part of a dense softmax at the end of the network, and this one ends with the layer "
            f"{last.name}, a {type(last).__name__}. End the head with one, or type policy.temperature=false. "
            f"Received: {received}"
        )


def calibrated(classifier: keras.Model, scale: float, shift: float, positives: Sequence[int]) -> keras.Model:
    """Returns `classifier` with what goes into its softmax scaled, and shifted for damage; it shares all else.

    Where that changes nothing it is `classifier` itself, whatever it ends with.

    Args:
        classifier: flat, (B, S, S, 3) uint8 images to (B, c) probabilities, see `check_calibratable`.
        scale: above 0.
        shift: added to what goes into the softmax for the classes `positives`.
        positives: indices of the classes that are damage.
    """
    if (scale, shift) == (1, 0):
        return classifier
    last = classifier.layers[-1]
    kernel, *bias = last.get_weights()
    moved = scale * (bias[0] if bias else np.zeros(kernel.shape[-1], np.float32))
    moved[list(positives)] += shift
    with keras.StatelessScope():
        new = layers.Dense.from_config({**last.get_config(), "use_bias": True})
        plain = keras.Model(classifier.input, classifier.output, name=classifier.name)  # which is not compiled
        network = keras.models.clone_model(plain, clone_function=lambda layer: new if layer is last else layer)
        for variable, value in zip(new.weights, (scale * kernel, moved), strict=True):
            start_from(variable, value)
    return network
