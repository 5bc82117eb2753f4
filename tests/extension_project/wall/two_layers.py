"""A head."""

from collections.abc import Sequence

import keras

from crackexp.models import Head
from crackexp.models.heads import PooledHead


class TwoLayers(Head):
    """Puts a layer between the pooled features and the probabilities.

    Args:
        units: The units of that layer.
    """

    def __init__(self, units: int) -> None:
        self.units = units

    def embedding(self, backbone: keras.Model) -> keras.Model:
        return PooledHead(dropout=0.0).embedding(backbone)

    def build(self, maps: tuple[int, ...], num_classes: int, positives: Sequence[int], seed: int) -> keras.Model:
        features = keras.Input((maps[-1],))
        start = keras.initializers.HeNormal(seed)
        x = keras.layers.Dense(self.units, activation="relu", kernel_initializer=start, dtype="float32")(features)
        start = keras.initializers.GlorotUniform(seed)
        return keras.Model(
            features,
            keras.layers.Dense(num_classes, activation="softmax", kernel_initializer=start, dtype="float32")(x),
        )
