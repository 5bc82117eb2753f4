"""Calibration as part of a network, so that every program that loads the file gets calibrated probabilities."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from crackexp.models.classifier import with_layer
from crackexp.utils.errors import ConfigError


def check_calibratable(classifier: keras.Model, received: str) -> None:
    """Raises ConfigError where `calibrated` cannot change `classifier`.

    Args:
        classifier: The network to calibrate.
        received: The input of the user that asks for it, for the message.
    """
    last = classifier.layers[-1]
    if not (isinstance(last, layers.Dense) and last.activation is keras.activations.softmax):
        raise ConfigError(
            "Calibration becomes part of a dense softmax at the end of the network, and this one ends with the layer "
            f"{last.name}, a {type(last).__name__}. End the head with one, or type policy.temperature=false. "
            f"Received: {received}"
        )


def calibrated(classifier: keras.Model, scale: float, shift: float, positives: Sequence[int]) -> keras.Model:
    """Returns `classifier` with the inputs of its softmax scaled, and shifted for the classes that are damage.

    All other layers are shared. With a scale of 1 and a shift of 0, the result is `classifier` itself, whatever its
    last layer is.

    Args:
        classifier: A flat model that maps (B, S, S, 3) uint8 images to (B, c) probabilities; see `check_calibratable`.
        scale: The factor of the inputs of the softmax, above 0.
        shift: The number that is added to these inputs for the classes `positives`, after scaling.
        positives: The indices of the classes that are damage.
    """
    if (scale, shift) == (1, 0):
        return classifier
    last = classifier.layers[-1]
    kernel, *bias = last.get_weights()
    moved = scale * (bias[0] if bias else np.zeros(kernel.shape[-1], np.float32))
    moved[list(positives)] += shift
    return with_layer(classifier, last, {**last.get_config(), "use_bias": True}, [scale * kernel, moved])
