"""The heads of crackexp: they turn the embedding of an image into the probabilities of its classes."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Annotated

import keras
import numpy as np
from keras import layers
from pydantic import Field

from crackexp.config.types import Fraction
from crackexp.models.base import Head, MapShape
from crackexp.models.classifier import CALIBRATION, embedding_model, flat_embedding
from crackexp.models.initializers import start_random
from crackexp.utils.seeds import keras_seed

STANDARDISE = "standardise"
"""The name of the layer that `fit_statistics` sets."""
EPSILON = 1e-6
"""It is added to variances, so that a constant channel is not divided by 0."""
FLOOR = 20.0
"""The log-odds of a location are never below -20, odds of one to a five hundred million."""
FLOAT = {"dtype": "float32"}


class PooledHead(Head):
    """Classifies an image by what it shows on average: global average pooling, dropout and a dense softmax layer.

    Args:
        dropout: The share of the features that training sets to zero.

    Example:

    >>> import numpy as np
    >>> head = PooledHead(dropout=0.2).build(maps=(5, 5, 8), num_classes=2, positives=[1], seed=0)
    >>> head.predict(np.zeros((3, 8)), verbose=0).shape
    (3, 2)
    """

    def __init__(self, dropout: Fraction) -> None:
        self.dropout = dropout

    def embedding(self, backbone: keras.Model) -> keras.Model:
        """Extends a backbone by global average pooling, to (B, d) embeddings; see `Head.embedding`."""
        return embedding_model(backbone)

    def build(self, maps: MapShape, num_classes: int, positives: Sequence[int], seed: int) -> keras.Model:
        """Builds dropout and the softmax layer, which take (B, d) embeddings; see `Head.build`."""
        return build_head(maps[-1], num_classes, self.dropout, seed)


class MultipleInstanceHead(Head):
    """Classifies each location of the feature maps and pools the scores, for cracks that fill a small part of an image.

    This is multiple-instance learning: an image is a bag of locations, and it is positive where some of them are.
    Features are standardised channel by channel, and two dense layers give each location the log-odds s of each class
    against a class that is no damage. The odds of the image are the mean of exp(s) over its locations (log-sum-exp
    pooling, Pinheiro and Collobert 2015, arXiv:1411.6228). That lies between the mean of s, in which a crack at few
    locations is lost, and its maximum, which one odd location decides.

    Keras has no layer for the logarithm of a sum of exponentials. In a log-softmax over the scores and one further 0,
    however, that 0 has the value -log(1 + sum(exp(s))). With `FLOOR` added to the scores the 1 counts for nothing.

    Args:
        hidden: The number of units of the first dense layer.
        dropout: The share of these units that training sets to zero.

    Example:

    >>> import numpy as np
    >>> head = MultipleInstanceHead(hidden=16, dropout=0.2)
    >>> network = head.build(maps=(5, 5, 8), num_classes=2, positives=[1], seed=0)
    >>> network.predict(np.zeros((3, 5 * 5 * 8)), verbose=0).shape
    (3, 2)
    """

    needs_pretrained = True

    def __init__(self, hidden: Annotated[int, Field(gt=0, le=65_536)], dropout: Fraction) -> None:
        self.hidden = hidden
        self.dropout = dropout

    def embedding(self, backbone: keras.Model) -> keras.Model:
        """Extends a backbone by a flattening layer, to (B, h * w * d) embeddings; see `Head.embedding`."""
        return flat_embedding(backbone)

    def build(self, maps: MapShape, num_classes: int, positives: Sequence[int], seed: int) -> keras.Model:
        """Builds the layers that take (B, h * w * d) embeddings; see `Head.build`."""
        places = maps[0] * maps[1]
        negative = next(number for number in range(num_classes) if number not in positives)
        against = [0.0 if number == negative else 1.0 for number in range(num_classes)]
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
    """Builds the layers of a `PooledHead` for embeddings of `num_features` numbers."""
    with keras.StatelessScope():
        features = keras.Input((num_features,), dtype="float32", name="features")
        x = layers.Dropout(dropout, seed=keras_seed(seed, "dropout"), dtype="float32", name="dropout")(features)
        x = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)
        head = keras.Model(features, x, name="head")
        start_random(head, seed, "head")
    return head


def fit_statistics(head: keras.Model, embeddings: Iterable[np.ndarray]) -> None:
    """Sets the means and variances by which a head standardises features to those of some embeddings.

    A head without such a layer is left as it is. Parts are merged by the formula of Chan, Golub and LeVeque (1979).

    Args:
        head: The network that a `Head` built.
        embeddings: The embeddings in parts, each (n, d).
    """
    layer = next((layer for layer in head.layers if layer.name == STANDARDISE), None)
    if layer is None:
        return
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
