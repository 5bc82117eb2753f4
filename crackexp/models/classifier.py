"""The classifier: a backbone, average pooling and a head, as one flat Keras model."""

import keras
from keras import layers

from crackexp.models.backbone import check_layer
from crackexp.models.initial import start_random
from crackexp.seeds import keras_seed

POOL = "pool"
"""Name of the layer whose output is the embedding of an image."""


def build_head(num_features: int, num_classes: int, dropout: float, seed: int) -> keras.Model:
    """Builds the head, dropout and a dense softmax layer, float32 whatever the dtype policy.

    Args:
        num_features: d.
        num_classes: c.
        dropout: share of the features that training sets to zero, in [0, 1).
        seed: of the first weights and the dropout; equal seeds, equal bits.

    Returns:
        (B, d) float32 features to (B, c) float32 probabilities.
    """
    with keras.StatelessScope():
        features = keras.Input((num_features,), dtype="float32", name="features")
        x = layers.Dropout(dropout, seed=keras_seed(seed, "dropout"), dtype="float32", name="dropout")(features)
        x = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)
        head = keras.Model(features, x, name="head")
        start_random(head, seed, "head")
    return head


def build_classifier(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Joins `backbone` and `head` by global average pooling, with their own layers and weights.

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
    """Returns `model`, a classifier or a backbone, up to the pooling; it shares the weights.

    Returns:
        (B, S, S, 3) uint8 RGB images to (B, d) float32 embeddings, which the head takes.
    """
    is_classifier = any(layer.name == POOL for layer in model.layers)
    output = model.get_layer(POOL).output if is_classifier else _pooled(model)
    return keras.Model(model.input, output, name="embedding")


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
        layer.trainable = reached and not frozen_norm
    return sum(weight.value.size for weight in classifier.trainable_weights)


def _pooled(backbone: keras.Model) -> keras.KerasTensor:
    return layers.GlobalAveragePooling2D(name=POOL, dtype="float32")(backbone.output)
