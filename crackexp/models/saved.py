"""Reads a model that Keras saved without drawing the random weights that the saved ones would replace.

This file is copied beside each logged model, so it imports nothing of crackexp.
"""

from os import PathLike

import keras
import numpy as np


def start_from(variable: keras.Variable, value: np.ndarray) -> None:
    """Makes `value` the first value of `variable`, which was created in the open `keras.StatelessScope`.

    Raises:
        ValueError: The shape of `value` is another one than that of `variable`.
    """
    if value.shape != tuple(variable.shape):
        raise ValueError(f"{variable.path} is {variable.shape}. Received: shape={value.shape}")
    variable._initializer = lambda shape, dtype=None: value


def read_network(file: str | PathLike[str]) -> keras.Model:
    """Returns the model in a file ``.keras``, which is not compiled.

    `keras.saving.load_model` draws random weights first, for which it compiles a program for each shape: 12 s for
    MobileNetV2, where reading the file takes 0.5 s. In a `keras.StatelessScope` the variables wait for their first
    values until the scope ends. What is assigned to them within it is what the file holds.

    Raises:
        Exception: What `keras.saving.load_model` raises.
    """
    try:
        with keras.StatelessScope() as scope:
            model = keras.saving.load_model(file, compile=False)
            for variable in model.variables:
                value = scope.get_current_value(variable)
                if value is not None:  # the state of a seed generator is not in the file
                    start_from(variable, value)
        return model
    except Exception:  # the file is damaged, or a layer of the user's computes with its variables while it is built
        return keras.saving.load_model(file, compile=False)
