"""What the machine can do at best: arithmetic, memory, decoding; and what a network asks of it."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import loky
import numpy as np

ROUNDS = 7


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Returns the median seconds of `work`, after one round that does not count."""
    work()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken)


def arithmetic() -> float:
    """Returns the float32 operations a second of a large matrix product on this machine's device."""
    import jax

    size = 2048 if jax.default_backend() == "cpu" else 8192
    factor = jax.device_put(np.random.default_rng(0).normal(size=(size, size)).astype(np.float32))
    product = jax.jit(lambda a: a @ a)
    return 2 * size**3 / seconds(lambda: product(factor).block_until_ready())


def numpy_arithmetic() -> float:
    """Returns the float32 operations a second of NumPy's product of large matrices."""
    factor = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
    return 2 * len(factor) ** 3 / seconds(lambda: factor @ factor)


def copying() -> float:
    """Returns the bytes a second that one core copies."""
    source = np.ones(2**27, np.uint8)
    target = np.empty_like(source)
    return source.nbytes / seconds(lambda: np.copyto(target, source))


def device_copying() -> float:
    """Returns the bytes a second that a program on this machine's device reads while it writes as many."""
    import jax

    source = jax.device_put(np.ones(2**26 if jax.default_backend() == "cpu" else 2**30, np.uint8))
    program = jax.jit(lambda values: values + 1)
    return source.nbytes / seconds(lambda: program(source).block_until_ready())


def decoding(files: Sequence[Path]) -> float:
    """Returns how many of these JPEG files all cores decode a second (libjpeg-turbo, through OpenCV)."""
    data = [np.fromfile(file, np.uint8) for file in files]
    return loky.cpu_count() * len(data) / seconds(lambda: [cv2.imdecode(one, cv2.IMREAD_COLOR_RGB) for one in data])


def operations(model: Any) -> float:
    """Returns the multiplications and additions of one image in the convolutions and dense layers of a Keras model."""
    total = 0
    for layer in model.layers:
        outputs = math.prod(layer.output.shape[1:])
        match type(layer).__name__:
            case "DepthwiseConv2D":
                total += 2 * outputs * math.prod(layer.kernel_size)
            case "Conv2D":
                total += 2 * outputs * math.prod(layer.kernel.shape[:3])
            case "Dense":
                total += 2 * math.prod(layer.kernel.shape)
    return float(total)
