"""First values of a new model's weights, given as NumPy arrays: seeded by name, and without running JAX.

Keras' initializers compile one program a shape, 6 s for MobileNetV2, only to be overwritten by pretrained weights.
Inside a `keras.StatelessScope` variables wait for their value until the scope ends; what is set here is what they get.
"""

import math

import keras
import numpy as np
from scipy.special import ndtri

from crackexp.seeds import generator

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a unit normal cut at two standard deviations."""
TRUNCATED_LOW = 0.022750131948179209
"""Its distribution function at -2."""


def start_from(variable: keras.Variable, value: np.ndarray) -> None:
    """Makes `value` the first value of `variable`, which was created inside the `keras.StatelessScope` still open."""
    if value.shape != tuple(variable.shape):
        raise ValueError(
            f"{variable.path} is {variable.shape}. Received: a value of shape {value.shape}"
        )
    variable._initializer = lambda shape, dtype=None: value


def start_random(model: keras.Model, seed: int, stream: str) -> None:
    """Draws first values for the weights of `model`, created inside the `keras.StatelessScope` still open.

    The distributions are those of the layers' own initializers. Each weight has a stream of its own, named by `stream`
    and its layer, so equal arguments give equal bits on every machine.
    """
    for layer in model.layers:
        for weight in layer.weights:
            rng = generator(seed, stream, layer.name, weight.name)
            start_from(weight, _draw(weight._initializer, tuple(weight.shape), rng, weight.dtype))


def _draw(
    initializer: keras.Initializer, shape: tuple[int, ...], rng: np.random.Generator, dtype: str
) -> np.ndarray:
    if isinstance(initializer, keras.initializers.Zeros):
        return np.zeros(shape, dtype)
    if isinstance(initializer, keras.initializers.Ones):
        return np.ones(shape, dtype)
    if isinstance(initializer, keras.initializers.VarianceScaling):
        return _variance_scaling(initializer, shape, rng).astype(dtype)
    raise NotImplementedError(f"No NumPy version of {type(initializer).__name__}")


def _variance_scaling(
    initializer: keras.initializers.VarianceScaling,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> np.ndarray:
    """Glorot & Bengio 2010 and He et al. 2015 (arXiv:1502.01852), as `keras.initializers.VarianceScaling` has them."""
    *receptive, inputs, outputs = shape
    fan_in, fan_out = inputs * math.prod(receptive), outputs * math.prod(receptive)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[
        initializer.mode
    ]
    std = math.sqrt(initializer.scale / max(1.0, fan))
    if initializer.distribution == "uniform":
        limit = math.sqrt(3.0) * std
        return rng.uniform(-limit, limit, shape)
    if initializer.distribution == "untruncated_normal":
        return rng.normal(0.0, std, shape)
    quantiles = rng.uniform(TRUNCATED_LOW, 1 - TRUNCATED_LOW, shape)
    return ndtri(quantiles) * (std / TRUNCATED_STD)
