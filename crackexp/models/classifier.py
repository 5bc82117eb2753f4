"""The classifier: a backbone, the layers that make an embedding of its feature maps, and a head, as one flat model."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from crackexp.models.backbone import check_layer
from crackexp.models.saved import start_from

POOL = "pool"
"""The name of the layer whose output is the embedding: the mean over locations, or all locations in a row."""
CALIBRATION = "calibration"
"""The name of a last layer that is the identity until a network is calibrated. Training does not change it."""


def build_classifier(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Joins a backbone and a head, which share their layers and weights with the result; see `embedding_model`.

    Returns:
        A flat model, in which `get_layer` finds every layer. It maps (B, S, S, 3) uint8 RGB images to (B, c) float32
        probabilities.
    """
    return headed(embedding_model(backbone), head)


def headed(embedding: keras.Model, head: keras.Model) -> keras.Model:
    """Returns the classifier of an embedding, see `embedding_model`, and a head, with which it shares its layers."""
    probabilities = keras.Function(head.inputs, head.outputs[0]).call([embedding.output])  # `head(...)` is one layer
    return keras.Model(embedding.input, probabilities, name="classifier")


def embedding_model(model: keras.Model) -> keras.Model:
    """Returns `model` up to its layer "pool". A backbone without that layer gets global average pooling.

    Returns:
        A model that shares its weights and maps (B, S, S, 3) uint8 RGB images to (B, d) float32 embeddings, which the
        head takes.
    """
    if any(layer.name == POOL for layer in model.layers):
        output = model.get_layer(POOL).output
    else:
        output = layers.GlobalAveragePooling2D(name=POOL, dtype="float32")(model.output)
    return keras.Model(model.input, output, name=model.name)


def flat_embedding(backbone: keras.Model) -> keras.Model:
    """Returns `backbone` with flattened feature maps, which maps (B, S, S, 3) to (B, h * w * d), row by row."""
    flat = layers.Flatten(name=POOL, dtype="float32")(backbone.output)
    return keras.Model(backbone.input, flat, name=backbone.name)


def called_again(classifier: keras.Model, watch: Callable[[keras.layers.Layer, Any, Any], None]) -> keras.Model:
    """Calls the layers of a classifier once more, which shares them, and returns the network that this makes.

    What a layer takes and gives there is told, where `layer.input` and `layer.output` would be those of the first
    network of which the layer became a part.

    Args:
        classifier: A flat model.
        watch: A function that is called with each layer, what it takes and what it gives.
    """

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        watch(layer, args[0], outputs)
        return outputs

    plain = keras.Model(classifier.inputs, classifier.outputs, name=classifier.name)  # a copy that is not compiled
    return keras.models.clone_model(plain, clone_function=lambda layer: layer, call_function=call)


def with_layer(
    classifier: keras.Model, layer: keras.layers.Layer, config: dict[str, Any], weights: Sequence[np.ndarray]
) -> keras.Model:
    """Returns a classifier in which one layer is another one of the same class. All other layers are shared.

    Args:
        classifier: A flat model.
        layer: The layer of it that is replaced.
        config: The config of the new layer, see `keras.Layer.get_config`.
        weights: The weights of the new layer.
    """
    with keras.StatelessScope():
        new = type(layer).from_config(config)
        plain = keras.Model(classifier.input, classifier.output, name=classifier.name)  # a copy that is not compiled
        network = keras.models.clone_model(plain, clone_function=lambda old: new if old is layer else old)
        for variable, value in zip(new.weights, weights, strict=True):
            start_from(variable, value)
    return network


def unfreeze(classifier: keras.Model, from_layer: str | None, freeze_batch_norm: bool = True) -> int:
    """Makes the layers from `from_layer` on trainable, and freezes those before it.

    Args:
        classifier: The network of `build_classifier`, which must be compiled afterwards.
        from_layer: The name of the first layer to train, in the order of `classifier.layers`. None trains all layers,
            and "pool" the head alone.
        freeze_batch_norm: Whether batch norm stays in inference mode, with its moving statistics as they are. This is
            done with `trainable=False`, since `fit` overrides a `training=False` in the call
            (https://github.com/keras-team/keras/issues/20285).

    Returns:
        The number of trainable parameters.

    Raises:
        ConfigError: There is no such layer.
    """
    check_layer(classifier, from_layer, "trainer.unfreeze_from")
    classifier.trainable = True
    reached = from_layer is None
    for layer in classifier.layers:
        reached = reached or layer.name == from_layer
        frozen_norm = freeze_batch_norm and isinstance(layer, layers.BatchNormalization)
        layer.trainable = reached and not frozen_norm and layer.name != CALIBRATION
    return sum(weight.value.size for weight in classifier.trainable_weights)
