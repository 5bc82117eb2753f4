"""Views of images that are made on the device: images go there once, and each view is drawn on the host."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import loky
import numpy as np

from crackexp.data.augmentation import Augmentation, View
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.inference.measured import measured_once

AugmentOn = Literal["auto", "host", "device"]
MEASURED_BATCHES = 4
"""With fewer batches of images, "auto" is the host: a measurement would take longer than it gains."""
KEPT_SHARE = 0.4
"""The share of the memory of a device that images and all else may take while more images are kept there."""
KEPT_BYTES = 2e9
"""How many bytes of images are kept on a device that does not tell its memory, such as a CPU."""
_log = logging.getLogger(__name__)


class DeviceViews:
    """Makes the views of images on the devices that compute their embeddings.

    The images are decoded and resized once and kept on the devices as far as there is memory; the others are read
    again for each view. Of a view, the host draws what each transform needs, from the same random streams as for a
    view of its own, and the device does the rest. The pixels are within 2 gray levels of those of the host, but not
    equal, so their embeddings are stored by another key.

    Args:
        choice: Where views are made: "host", "device", or "auto" for the host on CPU and for what is measured to be
            faster on other devices. What a device cannot do is done by the host.
        data: The datamodule that reads the images.
        devices: The devices; batch i is made on device i modulo their number, as `Inference` computes it.
        cache: The folder in which is kept what was measured.
    """

    def __init__(self, choice: AugmentOn, data: DataModule, devices: Sequence[Any], cache: Path) -> None:
        self.choice = choice
        self.data = data
        self.devices = list(devices)
        self.cache = cache
        self._kept: dict[bytes, jax.Array] = {}
        self._kept_bytes = 0
        self._programs: dict[Augmentation, Callable[..., jax.Array]] = {}
        self._decided: dict[Augmentation, bool] = {}

    def used_for(self, view: View, index: ImageIndex, batch_size: int) -> bool:
        """Returns whether the views of the images of `index` are made on the devices, and logs the reason once."""
        augmentation = view.augmentation
        if self.choice == "auto" and len(index) < MEASURED_BATCHES * batch_size:
            return False
        if augmentation not in self._decided:
            self._decided[augmentation] = self._decide(view, index, batch_size)
        return self._decided[augmentation]

    def key(self, view: View) -> str:
        """Returns the key of the embeddings of a view that is made on a device."""
        return f"{view.key}-device"

    def batches(self, index: ImageIndex, batch_size: int, view: View) -> Iterator[jax.Array]:
        """Yields the views of the images of `index` in order.

        Args:
            index: The n images.
            batch_size: The number B of images in a batch.
            view: The view.

        Yields:
            ceil(n / B) arrays (B, S, S, 3) uint8 of RGB on the devices, which may still be computing them; what follows
            the n images has no meaning.
        """
        program = self._program(view.augmentation)
        for rows, images in self._plain(index, batch_size):
            drawn = self._draw(view, index.digests[rows], batch_size)
            (device,) = images.devices()
            yield program(images, jax.device_put(drawn, device))

    def release(self) -> None:
        """Frees the memory of the images that are kept on the devices."""
        self._kept.clear()
        self._kept_bytes = 0

    def _plain(self, index: ImageIndex, batch_size: int) -> Iterator[tuple[np.ndarray, jax.Array]]:
        """Yields the rows of each batch of `index`, and its images on the device as they are, read where not kept."""
        batches = [np.arange(len(index))[first : first + batch_size] for first in range(0, len(index), batch_size)]
        keys = [hashlib.blake2b(index.digests[rows].tobytes(), digest_size=16).digest() for rows in batches]
        kept = [self._kept.get(key) for key in keys]
        absent = [rows for rows, images in zip(batches, kept, strict=True) if images is None]
        read = self.data.images(index.subset(np.concatenate(absent)), batch_size) if absent else iter(())
        for number, (rows, key, images) in enumerate(zip(batches, keys, kept, strict=True)):
            if images is None:
                images = jax.device_put(next(read), self._device(number))
                self._keep(key, images)
            yield rows, images
        next(read, None)  # the images that were read last are kept on disk when their stream ends

    def _keep(self, key: bytes, images: jax.Array) -> None:
        """Keeps a batch of images on its device where there is memory."""
        (device,) = images.devices()
        memory = device.memory_stats() or {}
        if "bytes_limit" in memory:
            fits = memory["bytes_in_use"] <= KEPT_SHARE * memory["bytes_limit"]
        else:
            fits = self._kept_bytes + images.nbytes <= KEPT_BYTES
        if fits:
            self._kept[key] = images
            self._kept_bytes += images.nbytes

    def _draw(self, view: View, digests: np.ndarray, batch_size: int) -> Any:
        """Returns what the view of each image draws, as arrays with a row for each; the last row fills up the batch."""
        size = self.data.image_size
        drawn = [view.draw(size, size, digest) for digest in digests.tolist()]
        drawn += drawn[-1:] * (batch_size - len(drawn))
        return jax.tree.map(lambda *rows: np.stack(rows), *drawn)

    def _program(self, augmentation: Augmentation) -> Callable[..., jax.Array]:
        """Returns the compiled augmentation of a batch.

        It is a program of its own, whose result stays on the device: so the network, which takes longer to compile by
        far, is compiled once for plain images and for the views of all augmentations.
        """
        if augmentation not in self._programs:
            self._programs[augmentation] = jax.jit(augmentation.apply)
        return self._programs[augmentation]

    def _device(self, number: int) -> Any:
        return self.devices[number % len(self.devices)]

    def _decide(self, view: View, index: ImageIndex, batch_size: int) -> bool:
        if self.choice == "host" or (self.choice == "auto" and jax.default_backend() == "cpu"):
            return False
        if names := view.augmentation.host_only:
            _log.info("Views are made on the host, since %s cannot be done on the device", ", ".join(names))
            return False
        if self.choice == "device":
            return True
        return self._measured(view, index, batch_size)

    def _measured(self, view: View, index: ImageIndex, batch_size: int) -> bool:
        """Returns whether views are made faster on the device, as it was measured once on this machine."""
        transforms = [[name, transform.describe()] for name, transform in view.augmentation.transforms.items()]
        about = [
            jax.__version__,
            self.devices[0].device_kind,
            loky.cpu_count(),
            self.data.image_size,
            batch_size,
            transforms,
        ]
        name = hashlib.blake2b(json.dumps(about).encode(), digest_size=8).hexdigest()
        sample = index.subset(np.arange(min(len(index), batch_size)))
        rates = measured_once(
            self.cache,
            f"views-{name}",
            lambda kept: {where: float(kept[where]) for where in ("host", "device")},
            lambda: self._measure(view, sample, batch_size),
        )
        faster = rates["device"] > rates["host"]
        _log.info(
            "Views are made on the %s: %.0f images a second on the device, %.0f on the host",
            "device" if faster else "host",
            rates["device"],
            rates["host"],
        )
        return faster

    def _measure(self, view: View, sample: ImageIndex, batch_size: int) -> dict[str, float]:
        """Returns how many views a second the host and the device make of images that were read before."""

        def seconds(batches: Callable[[], Iterator[Any]]) -> float:
            jax.block_until_ready(list(batches()))
            started = time.perf_counter()
            jax.block_until_ready(list(batches()))
            return time.perf_counter() - started

        taken = {
            "host": seconds(lambda: self.data.images(sample, batch_size, view)),
            "device": seconds(lambda: self.batches(sample, batch_size, view)),
        }
        return {where: len(sample) / each for where, each in taken.items()}
