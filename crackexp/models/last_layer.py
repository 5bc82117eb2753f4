"""A classifier as what it computes before its last trained layer, and the few layers from there on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from crackexp.models.classifier import called_again, with_layer


@dataclass(frozen=True)
class LastLayer:
    """The last layer of a classifier that was trained, and the networks before and from it.

    Attributes:
        classifier: The whole network, a flat model of (B, S, S, 3) uint8 images to (B, c) probabilities.
        layer: The last layer with trainable weights. Of a head that pools, it is the softmax layer; of one that scores
            each location, the layer of the scores.
        features: The network before it, of images to (B, ...) float32 features. It shares the layers of the classifier.
        tail: The network from it on, of features to (B, c) probabilities. It shares the layers of the classifier.
    """

    classifier: keras.Model
    layer: keras.layers.Layer
    features: keras.Model
    tail: keras.Model

    def replaced(self, weights: Sequence[np.ndarray]) -> keras.Model:
        """Returns the classifier with other weights of the layer. All other layers are shared."""
        return with_layer(self.classifier, self.layer, self.layer.get_config(), weights)


def split_at_last_layer(classifier: keras.Model) -> LastLayer:
    """Splits a classifier before its last layer with trainable weights.

    Args:
        classifier: A flat model of images to probabilities.
    """
    layer = next(layer for layer in reversed(classifier.layers) if layer.trainable_weights)
    taken: list[keras.KerasTensor] = []

    def watch(each: keras.layers.Layer, given: Any, outputs: Any) -> None:
        if each is layer:
            taken.append(given)

    network = called_again(classifier, watch)
    (before,) = taken
    features = keras.Model(network.inputs[0], before, name="features")
    given = keras.Input(before.shape[1:], dtype=before.dtype, name="features")
    tail = keras.Model(given, keras.Function(before, network.outputs[0]).call(given), name="tail")
    return LastLayer(classifier, layer, features, tail)
