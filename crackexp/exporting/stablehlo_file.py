"""Export to StableHLO, as one program for CPU and CUDA that JAX runs without Keras."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
from jax import export

from crackexp.models.cpu_conv import for_cpu

PLATFORMS = ("cpu", "cuda")


def write_stablehlo(classifier: keras.Model, file: Path) -> None:
    """Writes `classifier` as a program of `jax.export`, for any number of images.

    The program holds the weights once and two ways to compute with them: the layers of `for_cpu` on a CPU, where they
    are several times as fast, and Keras' own layers elsewhere.

    Args:
        classifier: The model, which maps uint8 pixels (n, S, S, 3) to probabilities (n, c).
        file: The file to write.
    """
    weights = [[variable.value for variable in variables] for variables in _variables(classifier)]

    def forward(images: jax.Array) -> jax.Array:
        ways = {"cpu": for_cpu(classifier), "default": classifier}
        return jax.lax.platform_dependent(
            images, **{platform: partial(_outputs, model, weights) for platform, model in ways.items()}
        )

    (count,) = export.symbolic_shape("n")
    images = jax.ShapeDtypeStruct((count, *classifier.input_shape[1:]), np.uint8)
    file.write_bytes(export.export(jax.jit(forward), platforms=PLATFORMS)(images).serialize())


def _variables(model: keras.Model) -> tuple[list[keras.Variable], list[keras.Variable]]:
    return model.trainable_variables, model.non_trainable_variables


def _outputs(model: keras.Model, weights: list[list[Any]], images: jax.Array) -> jax.Array:
    outputs, _ = model.stateless_call(*weights, images, training=False)
    return outputs
