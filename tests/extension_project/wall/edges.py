"""A backbone that knows nothing of finetune_from."""

import keras

from crackexp.models import Backbone


class Edges(Backbone):
    """Convolves an image twice.

    Args:
        name: The name of the backbone in reports.
        width: The filters of the first convolution.
    """

    def __init__(self, name: str, width: int = 4) -> None:
        self.name, self.width = name, width

    def build(self, image_size: int, seed: int) -> keras.Model:
        image = keras.Input((image_size, image_size, 3), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
        for factor in (1, 2):
            start = keras.initializers.HeNormal(seed)
            x = keras.layers.Conv2D(factor * self.width, 3, 2, activation="relu", kernel_initializer=start)(x)
        return keras.Model(image, x)
