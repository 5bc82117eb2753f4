"""The classifier: a backbone, what makes an embedding of its feature maps, and a head, as one flat Keras model."""

import keras
from keras import layers

from crackexp.models.backbone import check_layer

POOL = "pool"
"""Name of the layer whose output is the embedding of an image: a mean over places, or all of them in a row."""


CALIBRATION = "calibration"
"""Name of a last layer that passes on what it gets until a network is calibrated; training leaves it as it is."""


def build_classifier(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Joins `backbone`, see `embedding_model`, and `head`, with their own layers and weights.

    Returns:
        (B, S, S, 3) uint8 RGB images to (B, c) float32 probabilities, flat: `get_layer` finds
        every layer.
    """
    return headed(embedding_model(backbone), head)


def headed(embedding: keras.Model, head: keras.Model) -> keras.Model:
    """Returns the classifier that `embedding`, of `embedding_model`, and `head` make, with their own layers."""
    x = embedding.output
    for layer in head.layers[1:]:
        x = layer(x)
    return keras.Model(embedding.input, x, name="classifier")


def embedding_model(model: keras.Model) -> keras.Model:
    """Returns `model` up to the layer "pool"; a backbone without one gets global average pooling; it shares weights.

    Returns:
        (B, S, S, 3) uint8 RGB images to (B, d) float32 embeddings, which the head takes.
    """
    if any(layer.name == POOL for layer in model.layers):
        output = model.get_layer(POOL).output
    else:
        output = layers.GlobalAveragePooling2D(name=POOL, dtype="float32")(model.output)
    return keras.Model(model.input, output, name=model.name)


def flat_embedding(backbone: keras.Model) -> keras.Model:
    """Returns `backbone` with the places of its feature maps in a row, row by row: (B, S, S, 3) to (B, h * w * d)."""
    places = layers.Flatten(name=POOL, dtype="float32")(backbone.output)
    return keras.Model(backbone.input, places, name=backbone.name)


def unfreeze(classifier: keras.Model, from_layer: str | None, freeze_batch_norm: bool = True) -> int:
    """Makes the layers from `from_layer` on trainable, and those before it not.

    Args:
        classifier: of `build_classifier`; compile it afterwards.
        from_layer: name of the first layer to train, in the order of `classifier.layers`; None
            for all layers, "pool" for the head alone.
        freeze_batch_norm: keeps batch norm in inference mode and its moving statistics as they
            are. It takes `trainable=False`: a `training=False` at the call is overridden by `fit`
            (https://github.com/keras-team/keras/issues/20285).

    Returns:
        The number of trainable parameters.

    Raises:
        ConfigError: there is no such layer.
    """
    check_layer(classifier, from_layer, "trainer.unfreeze_from")
    classifier.trainable = True
    reached = from_layer is None
    for layer in classifier.layers:
        reached = reached or layer.name == from_layer
        frozen_norm = freeze_batch_norm and isinstance(layer, layers.BatchNormalization)
        layer.trainable = reached and not frozen_norm and layer.name != CALIBRATION
    return sum(weight.value.size for weight in classifier.trainable_weights)
