"""First values of a new model's weights, as NumPy arrays: seeded by name, without running JAX.

Keras' initializers compile a program for each shape, 6 s for MobileNetV2, whose results pretrained
weights then overwrite. Inside a `keras.StatelessScope` variables wait until the scope ends for
their first value; the functions here choose that value.
"""

import math

import keras
import numpy as np
from scipy.special import ndtr, ndtri

from crackexp.models.saved import start_from
from crackexp.utils.seeds import generator

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a unit normal that is cut at two standard deviations."""


def start_random(model: keras.Model, seed: int, stream: str) -> None:
    """Draws the first values of `model`, created in the open `keras.StatelessScope`.

    The distributions are those of its layers' initializers. Each weight has a random stream of its
    own, named by `stream` and its layer: equal arguments, equal bits.
    """
    for layer in model.layers:
        for weight in layer.weights:
            rng = generator(seed, stream, layer.name, weight.name)
            start_from(weight, draw(weight._initializer, tuple(weight.shape), rng))


def draw(initializer: keras.Initializer, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Returns what `initializer`, a Zeros, Ones, Identity or VarianceScaling, would give, float32."""
    if isinstance(initializer, keras.initializers.Identity):
        return (initializer.gain * np.eye(shape[0], shape[1])).astype(np.float32)
    if isinstance(initializer, keras.initializers.Zeros):
        return np.zeros(shape, np.float32)
    if isinstance(initializer, keras.initializers.Ones):
        return np.ones(shape, np.float32)
    if isinstance(initializer, keras.initializers.VarianceScaling):
        return _variance_scaling(initializer, shape, rng).astype(np.float32)
    raise NotImplementedError(f"There is no NumPy version of {type(initializer).__name__}.")


def _variance_scaling(
    initializer: keras.initializers.VarianceScaling,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> np.ndarray:
    """He et al. 2015 (arXiv:1502.01852) and Glorot & Bengio 2010, with Keras' fans."""
    *receptive, inputs, outputs = shape
    fan_in, fan_out = inputs * math.prod(receptive), outputs * math.prod(receptive)
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    std = math.sqrt(initializer.scale / max(1.0, fans[initializer.mode]))
    if initializer.distribution == "uniform":
        limit = math.sqrt(3.0) * std
        return rng.uniform(-limit, limit, shape)
    if initializer.distribution == "untruncated_normal":
        return rng.normal(0.0, std, shape)
    return ndtri(rng.uniform(ndtr(-2.0), ndtr(2.0), shape)) * (std / TRUNCATED_STD)
