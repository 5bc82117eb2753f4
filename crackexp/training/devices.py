"""Devices that share each batch: several of one process, or of all processes that train one run."""

import logging
from typing import Any, Literal

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from crackexp.inference.engine import pad_rows
from crackexp.utils.errors import ConfigError

_log = logging.getLogger(__name__)


class Devices:
    """N devices of each of P processes, which share every training batch of B images.

    A process reads B / P rows of a batch, and pads them to a multiple of N with rows that have no weight.

    Args:
        count: The number N of devices of each process; "auto" for all that there are.
        batch_size: The size B of a batch.

    Attributes:
        local: The devices of this process.
        processes: The number P of processes.
        process: The index of this process.
        local_batch_size: How many rows of a batch this process reads, B / P.
        padding: How many rows without weight follow them.

    Raises:
        ConfigError: There are fewer devices, or P does not divide B.
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
        self.local_batch_size = batch_size // self.processes
        self.padding = -self.local_batch_size % len(self.local)

    @property
    def rows(self) -> range:
        """The rows of a batch that this process reads."""
        return range(self.process * self.local_batch_size, (self.process + 1) * self.local_batch_size)

    @property
    def padded_batch_size(self) -> int:
        """The number of rows of a padded batch, of all processes."""
        return (self.local_batch_size + self.padding) * self.processes

    def distribute(self) -> None:
        """Distributes the variables that are created from now on, and the batches of `fit`, over the devices."""
        mesh = [f"{device.platform}:{device.id}" for device in self._all()]
        several = len(mesh) > 1
        distribution = keras.distribution.DataParallel(devices=mesh, auto_shard_dataset=False) if several else None
        keras.distribution.set_distribution(distribution)
        if several:
            _log.info("Each batch is shared by %d devices of %d processes", len(mesh), self.processes)

    def release(self) -> None:
        """Leaves the variables that are created from now on to the first device."""
        keras.distribution.set_distribution(None)

    def scale(self, loss: keras.Loss) -> np.float32:
        """Returns the factor of all weights with which `loss` of a padded batch is that of its rows without padding."""
        by_count = loss.reduction in ("sum_over_batch_size", "mean")
        return np.float32((self.local_batch_size + self.padding) / self.local_batch_size if by_count else 1)

    def pad(self, rows: np.ndarray) -> np.ndarray:
        """Returns this process' rows of a batch, (B / P, ...), padded with zeros."""
        return pad_rows(rows, self.local_batch_size + self.padding)

    def shard(self, count: int) -> slice:
        """Returns which of `count` items this process works on, for `gather`."""
        size = -(-count // self.processes)
        return slice(self.process * size, (self.process + 1) * size)

    def gather(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Returns the rows of all processes in order, (count, ...), from those of this one's `shard`."""
        if self.processes == 1:
            return rows
        size = -(-count // self.processes)
        return np.concatenate(multihost_utils.process_allgather(pad_rows(rows, size)))[:count]

    def _all(self) -> list[Any]:
        by_process = [[d for d in jax.devices() if d.process_index == p] for p in range(self.processes)]
        return [device for devices in by_process for device in devices[: len(self.local)]]
