"""A network run over a stream of images, on all its devices at once, at the speed of the machine."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import cycle
from typing import Any

import jax
import keras
import loky
import numpy as np

from crackexp.inference.base import Engine, Forward, UnsupportedNetworkError
from crackexp.inference.compilation import trace_once
from crackexp.models.cpu_conv import for_cpu
from crackexp.utils.progress import progress

BLOCK_PIXELS = 51_200
"""How many pixels a batch has on CPU, so that its feature maps stay in the cache of a core.

Images per second of MobileNetV2 on 2 cores, in batches of 1, 2, 4 and 8 images, two at a time: at 96 px 766, 987,
1,087, 1,105; at 160 px 363, 385, 359, 302; at 224 px 198, 195, 183, 160. EfficientNetB0 at 160 px: 171, 184, 197, 168.
"""
GPU_BATCH = 512
"""How many images a batch has on other devices, which need many to be busy."""


class Inference:
    """Runs a network over batches, several at a time; an output has the same bits whatever the number of devices.

    On CPU as many batches are computed at a time as there are cores, each on a core of its own, so that no core waits
    for another. On other devices there are two per device, so that one is computed while the other is copied there.
    Weights are read anew at the beginning of each stream.

    Args:
        model: A network of (B, ...) inputs to (B, c) outputs, or to several outputs of any shape, in which each row
            depends on its own input alone; on CPU see `computing`.
        batch_size: The size B of a batch; None for `fastest_batch`.
        devices: The devices to compute on; None for the first.

    Example:
        >>> network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> inputs = np.zeros((5, 3), np.float32)
        >>> Inference(network, 4).predict(padded_batches(inputs, 4), len(inputs), "Predicting").shape
        (5, 2)
    """

    identity: tuple[str, ...] = ()
    """What of the engine is part of the digests of what it computes; see `Engine.identity`."""

    def __init__(self, model: keras.Model, batch_size: int | None = None, devices: Sequence[Any] | None = None) -> None:
        self.model = model
        self.devices = list(devices or jax.local_devices()[:1])
        self.batch_size = batch_size or fastest_batch(model.input_shape[1])
        on_cpu = self.devices[0].platform == "cpu"
        self.workers = loky.cpu_count() if on_cpu else 2 * len(self.devices)

        def forward(weights: Any, inputs: jax.Array) -> Any:
            outputs, _ = model.stateless_call(*weights, inputs, training=False)
            return outputs

        self._forward = jax.jit(trace_once(forward, f"inference of {model.name}"))

    def stream(self, batches: Iterable[np.ndarray]) -> Iterator[Any]:
        """Yields the outputs of each batch in turn, (B, c), or a sequence of them where the model has several."""
        forwards = cycle(self.forwards())
        waiting: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for batch, forward in zip(batches, forwards, strict=False):
                waiting.append(pool.submit(forward, batch))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def forwards(self) -> list[Forward]:
        """Returns the functions that compute the outputs of a batch in turn, one for each device."""

        def on(device: Any) -> Forward:
            weights = self._weights(device)

            def forward(batch: np.ndarray) -> Any:
                return jax.tree.map(np.asarray, self._forward(weights, jax.device_put(batch, device)))

            return forward

        return [on(device) for device in self.devices]

    def predict(self, batches: Iterable[np.ndarray], count: int, title: str) -> Any:
        """Returns the outputs of `count` inputs, (count, c) float32, or a sequence of them.

        Args:
            batches: The inputs in batches of one shape, the last padded.
            count: How many inputs there are without padding.
            title: The title of the progress bar.
        """
        outputs: list[Any] = []
        with progress(title, count) as advance:
            for output in self.stream(batches):
                outputs.append(output)
                advance(self.batch_size)
        return jax.tree.map(lambda *parts: np.concatenate(parts)[:count].astype(np.float32), *outputs)

    def _weights(self, device: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        trainable, others = (
            [jax.device_put(variable.value.addressable_data(0), device) for variable in variables]
            for variables in (self.model.trainable_variables, self.model.non_trainable_variables)
        )
        return trainable, others


class EngineInference(Inference):
    """Runs a network over batches with another engine than JAX, on the CPU.

    The weights are those of the network when this object is made.

    Args:
        engine: The engine.
        model: The network, as it was built or loaded; gradients of it are computed by JAX.
        batch_size: The size B of a batch; None for `cpu_batch`.
        devices: The devices of JAX that a training computes on, of which there must be one.
        proven: Whether the engine has computed such a network on this machine before. It is then tried only where
            batches are computed, since it takes a while to load, and all embeddings may be stored already.

    Raises:
        UnsupportedNetworkError: The engine cannot compute the network, or there are several devices.
    """

    def __init__(
        self,
        engine: Engine,
        model: keras.Model,
        batch_size: int | None,
        devices: Sequence[Any] | None,
        proven: bool = False,
    ) -> None:
        super().__init__(model, batch_size or cpu_batch(model.input_shape[1]), devices)
        if len(self.devices) > 1 or jax.process_count() > 1:
            raise UnsupportedNetworkError(
                f"Only XLA computes on several devices of JAX. Type inference=xla. Received: inference={engine.name}"
            )
        cores = loky.cpu_count()
        self.workers = cores + 1  # a batch is ready for the core that is done first
        self.identity = engine.identity
        self._compiled = engine.compile(model, self.batch_size, cores)
        # The first batch is computed by one thread. OpenVINO's binding to Python looks NumPy up then, under a lock of
        # its own, and two threads that do so at once can wait for each other without end.
        self._first_batch = cache(lambda: self._compiled(blank_batch(model, self.batch_size)))
        if not proven:
            self._first_batch()

    def forwards(self) -> list[Forward]:
        self._first_batch()
        return [lambda batch: self._compiled(np.asarray(batch))]  # views made on a device are arrays of JAX


def blank_batch(model: keras.Model, size: int) -> np.ndarray:
    """Returns `size` images of zeros for `model`, to try or to time it with."""
    return np.zeros((size, *model.input_shape[1:]), model.inputs[0].dtype)


def padded_batches(rows: Any, size: int) -> Iterator[np.ndarray]:
    """Yields all of `rows`, (n, ...), in batches of one shape, (size, ...), the last padded with zeros."""
    for start in range(0, len(rows), size):
        yield pad_rows(rows[start : start + size], size)


def pad_rows(rows: np.ndarray, length: int) -> np.ndarray:
    """Returns `rows`, (n, ...), padded with zeros to (length, ...)."""
    return np.pad(rows, [(0, length - len(rows))] + [(0, 0)] * (rows.ndim - 1)) if len(rows) < length else rows


def computing(classifier: keras.Model) -> keras.Model:
    """Returns the network to compute with: a clone with faster layers on CPU (`for_cpu`), else `classifier` itself."""
    return for_cpu(classifier) if jax.default_backend() == "cpu" else classifier


def fastest_batch(image_size: int) -> int:
    """Returns how many images of `image_size` pixels a batch has where JAX computes."""
    return cpu_batch(image_size) if jax.default_backend() == "cpu" else GPU_BATCH


def cpu_batch(image_size: int) -> int:
    """Returns how many images of `image_size` pixels a batch has on CPU, a power of two."""
    return 2 ** max(round(math.log2(BLOCK_PIXELS / image_size**2)), 0)
