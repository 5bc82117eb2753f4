"""What a classifier knows of an image before its last decision: the features that its scores are weighted sums of."""

from typing import Any

import keras
from keras import layers

from crackexp.models.classifier import CALIBRATION, POOL, called_again
from crackexp.utils.errors import ConfigError

NAME = "features"
"""The name of the layer that averages features over places."""


def with_features(classifier: keras.Model) -> keras.Model:
    """Returns a network that gives the features of an image beside its probabilities.

    The features are what the last dense layer takes, other than one that only calibrates its scores. Where it scores
    each place of a map on its own, they are averaged over the places. A head without dense layers has the embedding.

    Args:
        classifier: A flat model that maps (B, S, S, 3) uint8 images to (B, c) probabilities. Its layers are shared.

    Returns:
        A model with two outputs, the probabilities (B, c) and the features (B, d), both float32.

    Raises:
        ConfigError: The classifier has neither a dense layer nor an embedding.

    Example:

    >>> image = keras.Input((8, 8, 3), dtype="uint8")
    >>> maps = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(image))
    >>> classifier = keras.Model(image, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(maps)))
    >>> [tuple(output.shape) for output in with_features(classifier).outputs]
    [(None, 2), (None, 4)]
    """
    taken: list[keras.KerasTensor] = []
    embeddings: list[keras.KerasTensor] = []

    def watch(layer: keras.layers.Layer, given: Any, outputs: Any) -> None:
        if isinstance(layer, layers.Dense) and layer.name != CALIBRATION:
            taken.append(given)
        if layer.name == POOL:
            embeddings.append(outputs)

    network = called_again(classifier, watch)
    found = taken or embeddings
    if not found:
        raise ConfigError(
            f'A review needs a classifier with a dense layer, or with a layer "{POOL}". Received: {classifier.name}, '
            f"which ends with the layer {classifier.layers[-1].name}"
        )
    return keras.Model(network.inputs, [network.outputs[0], _over_places(found[-1])], name=classifier.name)


def _over_places(features: keras.KerasTensor) -> keras.KerasTensor:
    """Returns features (B, d) of features (B, ..., d): their mean over what is between."""
    match len(features.shape):
        case 4:
            return layers.GlobalAveragePooling2D(name=NAME, dtype="float32")(features)
        case 3:
            return layers.GlobalAveragePooling1D(name=NAME, dtype="float32")(features)
    return features
