"""Devices that share each batch: several of one process, or of all processes that train one run."""

import logging
from typing import Any, Literal

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from crackexp.errors import ConfigError

_log = logging.getLogger(__name__)


class Devices:
    """N devices of each of P processes, which share every training batch of B images.

    A process reads B / P of them, and fills them up to a multiple of N with rows that have no weight.

    Args:
        count: N; "auto" for all that there are.
        batch_size: B.

    Attributes:
        local: devices of this process.

    Raises:
        ConfigError: there are fewer devices, or P does not divide B.
    """

    def __init__(self, count: int | Literal["auto"], batch_size: int) -> None:
        here = jax.local_devices()
        self.local = here if count == "auto" else here[:count]
        if count != "auto" and count > len(here):
            virtual = f", or XLA_FLAGS=--xla_force_host_platform_device_count={count} for virtual ones"
            raise ConfigError(
                f"This process has {len(here)} of {here[0].device_kind}. Type trainer.devices={len(here)} or less"
                f"{virtual if here[0].platform == 'cpu' else ''}. Received: trainer.devices={count}"
            )
        self.processes, self.process = jax.process_count(), jax.process_index()
        if batch_size % self.processes:
            raise ConfigError(
                f"The batches are shared by {self.processes} processes. Type a multiple of {self.processes} for "
                f"batch_size. Received: batch_size={batch_size}"
            )
        self.share = batch_size // self.processes
        self.filling = -self.share % len(self.local)

    @property
    def rows(self) -> range:
        """The rows of a batch that this process reads."""
        return range(self.process * self.share, (self.process + 1) * self.share)

    @property
    def batch_size(self) -> int:
        """Rows of a batch with the filling, of all processes."""
        return (self.share + self.filling) * self.processes

    def begin(self) -> None:
        """Spreads the variables that are created from now on, and the batches of `fit`, over the devices."""
        alone = len(self.local) * self.processes == 1
        mesh = [f"{one.platform}:{one.id}" for one in self._all()]
        spread = None if alone else keras.distribution.DataParallel(devices=mesh, auto_shard_dataset=False)
        keras.distribution.set_distribution(spread)
        if spread:
            _log.info("Each batch is shared by %d devices of %d processes", len(mesh), self.processes)

    def end(self) -> None:
        """Leaves variables that are created from now on to the first device."""
        keras.distribution.set_distribution(None)

    def scale(self, loss: keras.Loss) -> np.float32:
        """Returns the factor of the real rows' weights with which `loss` of a filled batch is that of the real rows."""
        by_count = loss.reduction in ("sum_over_batch_size", "mean")
        return np.float32((self.share + self.filling) / self.share if by_count else 1)

    def fill(self, rows: np.ndarray) -> np.ndarray:
        """Returns this process' rows of a batch, (B / P, ...), filled up with zeros."""
        return lengthened(rows, self.share + self.filling)

    def part(self, count: int) -> slice:
        """Returns which of `count` items this process works on, for `gather`."""
        size = -(-count // self.processes)
        return slice(self.process * size, (self.process + 1) * size)

    def gather(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Returns the rows of all processes in order, (count, ...), from those of this one's `part`."""
        if self.processes == 1:
            return rows
        size = -(-count // self.processes)
        return np.concatenate(multihost_utils.process_allgather(lengthened(rows, size)))[:count]

    def _all(self) -> list[Any]:
        by_process = [[one for one in jax.devices() if one.process_index == p] for p in range(self.processes)]
        return [one for devices in by_process for one in devices[: len(self.local)]]


def lengthened(rows: np.ndarray, length: int) -> np.ndarray:
    """Returns `rows`, (n, ...), with zeros after them, (length, ...)."""
    return np.pad(rows, [(0, length - len(rows))] + [(0, 0)] * (rows.ndim - 1)) if len(rows) < length else rows
