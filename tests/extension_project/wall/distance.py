"""A loss."""

import keras


class Distance(keras.losses.Loss):
    """The distance of the probabilities from the true class.

    Args:
        power: The power that it is raised to.
    """

    target_format = "one_hot"

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.sum(keras.ops.abs(y_true - y_pred) ** self.power, axis=-1)
