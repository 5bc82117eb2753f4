"""Heads: from an embedding of an image, what its classes' probabilities are."""

from collections.abc import Iterable, Sequence
from math import prod

import keras
import numpy as np
from keras import layers

from crackexp.models.classifier import CALIBRATION, embedding_model, flat_embedding
from crackexp.models.initializers import start_random
from crackexp.seeds import keras_seed

STANDARDISE = "standardise"
"""Name of the layer that `fit_statistics` sets."""
EPSILON = 1e-6
"""Added to variances."""
FLOOR = 20.0
"""Odds of a place are never below exp(-20), a five hundred millionth."""
FLOAT = {"dtype": "float32"}
Shape = tuple[int, ...]


class PooledHead:
    """Global average pooling, dropout and a dense softmax layer.

    Args:
        dropout: share of the features that training sets to zero, in [0, 1).
    """

    def __init__(self, dropout: float) -> None:
        self.dropout = dropout

    def embedding(self, backbone: keras.Model) -> keras.Model:
        """Returns the network whose outputs the head takes: (B, S, S, 3) uint8 images to (B, d) means over places."""
        return embedding_model(backbone)

    def build(self, maps: Shape, num_classes: int, positives: Sequence[int], seed: int) -> keras.Model:
        """Builds the head, float32 whatever the dtype policy.

        Args:
            maps: (h, w, d) of the backbone's feature maps.
            num_classes: c.
            positives: the classes that are damage.
            seed: of the first weights and the dropout; equal seeds, equal bits.

        Returns:
            (B, d) float32 embeddings to (B, c) float32 probabilities.
        """
        return build_head(maps[-1], num_classes, self.dropout, seed)


class CellHead:
    """Judges each place of the feature maps by itself, and lets the places vote by how sure they are.

    Features are standardised a channel, two dense layers give each place the log-odds s of each class against a
    sound one, and the image has the odds that are the mean of exp(s) over its places (log-mean-exp: between the mean,
    which a crack on few places is lost in, and the maximum, which one odd place decides; Pinheiro and Collobert 2015,
    arXiv:1411.6228).

    Keras has no layer for the logarithm of a sum of exponentials. But in a log-softmax of scores and one 0 beside them,
    that 0 has the value -log(1 + sum(exp)); with `FLOOR` added to the scores the 1 counts for nothing.

    Args:
        hidden: units of the first dense layer.
        dropout: share of them that training sets to zero, in [0, 1).
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        self.hidden = hidden
        self.dropout = dropout

    def embedding(self, backbone: keras.Model) -> keras.Model:
        """Returns the network whose outputs the head takes: (B, S, S, 3) uint8 images to (B, h * w * d) features."""
        return flat_embedding(backbone)

    def build(self, maps: Shape, num_classes: int, positives: Sequence[int], seed: int) -> keras.Model:
        """Builds the head; arguments as of `PooledHead.build`, (B, h * w * d) features to (B, c) probabilities."""
        places = maps[0] * maps[1]
        sound = next(number for number in range(num_classes) if number not in positives)
        against = [0.0 if number == sound else 1.0 for number in range(num_classes)]
        with keras.StatelessScope():
            features = keras.Input((prod(maps),), dtype="float32", name="features")
            steps = [
                layers.Reshape(maps, name="places", **FLOAT),
                layers.BatchNormalization(
                    center=False, scale=False, epsilon=EPSILON, trainable=False, name=STANDARDISE, **FLOAT
                ),
                layers.Dense(self.hidden, activation="relu", name="place_features", **FLOAT),
                layers.Dropout(self.dropout, seed=keras_seed(seed, "dropout"), name="dropout", **FLOAT),
                layers.Dense(num_classes, name="place_scores", **FLOAT),
                layers.Rescaling(against, offset=FLOOR, name="place_log_odds", **FLOAT),
                layers.Reshape((places, num_classes), name="votes", **FLOAT),
                layers.ZeroPadding1D((0, 1), name="votes_and_floor", **FLOAT),
                layers.Permute((2, 1), name="votes_by_class", **FLOAT),
                layers.Activation("log_softmax", name="floor_share", **FLOAT),
                layers.Permute((2, 1), name="floor_share_by_class", **FLOAT),
                layers.Cropping1D((places, 0), name="floor_log_share", **FLOAT),
                layers.Rescaling(-1.0, name="log_sum", **FLOAT),
                layers.Flatten(name="log_odds", **FLOAT),
                layers.Dense(
                    num_classes,
                    activation="softmax",
                    kernel_initializer="identity",
                    trainable=False,
                    name=CALIBRATION,
                    **FLOAT,
                ),
            ]
            x = features
            for layer in steps:
                x = layer(x)
            head = keras.Model(features, x, name="head")
            start_random(head, seed, "head")
        return head


def build_head(num_features: int, num_classes: int, dropout: float, seed: int) -> keras.Model:
    """Builds the head of `PooledHead` for embeddings of `num_features`."""
    with keras.StatelessScope():
        features = keras.Input((num_features,), dtype="float32", name="features")
        x = layers.Dropout(dropout, seed=keras_seed(seed, "dropout"), dtype="float32", name="dropout")(features)
        x = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)
        head = keras.Model(features, x, name="head")
        start_random(head, seed, "head")
    return head


def fit_statistics(head: keras.Model, embeddings: Iterable[np.ndarray]) -> None:
    """Sets the means and variances that `head` standardises features by to those of `embeddings`, (n, d) a part.

    Nothing is done to a head that standardises nothing. Parts are merged as by Chan, Golub and LeVeque (1979).
    """
    found = [layer for layer in head.layers if layer.name == STANDARDISE]
    if not found:
        return
    (layer,) = found
    channels = layer.input.shape[-1]
    count, mean, squares = 0, np.zeros(channels), np.zeros(channels)
    for part in embeddings:
        features = part.reshape(-1, channels).astype(np.float64)
        new = features.mean(axis=0)
        shift, total = new - mean, count + len(features)
        squares += ((features - new) ** 2).sum(axis=0) + shift**2 * count * len(features) / total
        mean += shift * len(features) / total
        count = total
    layer.set_weights([mean, squares / count])
