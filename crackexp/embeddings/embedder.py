"""The embedder: runs a frozen backbone over images once, and keeps the result in the store."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from crackexp.data.images.decode import PIXELS_VERSION
from crackexp.data.index import ImageIndex
from crackexp.embeddings.store import EmbeddingStore, EmbeddingTable, partition_of
from crackexp.inference.base import Engine
from crackexp.inference.xla import Xla
from crackexp.models.classifier import embedding_model
from crackexp.models.weights import weights_digest
from crackexp.utils.errors import DataError
from crackexp.utils.progress import progress
from crackexp.utils.source_code import source_digest

SHARD_ROWS = 8192
# Smaller partitions of a table are joined until so many images, or batches, can be computed in one go: reading overlaps
# computing within one go only.
MIN_ROWS, MIN_BATCHES = 512, 8
Advance = Callable[[int], None]
Images = Callable[[ImageIndex, int], Iterator[Any]]
_log = logging.getLogger(__name__)


class _MissingImages:
    """The images of a table that were missing when it was opened, each once, by partition."""

    def __init__(self, index: ImageIndex, missing: np.ndarray, view_key: str, images: Images, advance: Advance) -> None:
        self.index = index
        self.view_key = view_key
        self.images = images
        self.advance = advance
        _, first = np.unique(index.digests[missing], return_index=True)
        rows = np.sort(missing[first])
        partitions = partition_of(index.digests[rows])
        self.partitions = {int(number): rows[partitions == number] for number in np.unique(partitions)}


class Embedder:
    """Runs a frozen backbone over images, and stores what it computes.

    Args:
        backbone: A network of (B, S, S, 3) uint8 images to (B, h, w, d) feature maps.
        image_size: The side S of the images in pixels.
        batch_size: The size B of a batch, which is fixed, so that an image's embedding has the same bits whatever
            stands beside it; None for the fastest.
        cache: The folder that holds ``embeddings/``.
        budget: How many bytes all stored embeddings may take.
        devices: The devices to compute on, see `Inference`.
        source: The digest of the source of the user's own part that built the backbone, see `source_digest`; None if
            crackexp built it.
        engine: The engine that computes the network; None for XLA.

    Attributes:
        width: The length d of an embedding.
        computed: How many images were embedded so far.
        seconds: How long that took.
        saved: How many seconds were saved by reading instead of computing.
    """

    def __init__(
        self,
        backbone: keras.Model,
        image_size: int,
        batch_size: int | None,
        cache: Path,
        budget: float,
        devices: Sequence[Any] | None = None,
        source: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        model = embedding_model(backbone)
        self.inference = (engine or Xla()).inference(model, batch_size, devices)
        self.batch_size = self.inference.batch_size
        self.width = int(model.output_shape[-1])
        self.computed = 0
        self.seconds = 0.0
        self.saved = 0.0
        about = {"backbone": backbone.name, "image_size": image_size, "device": jax.default_backend()}
        self.store = EmbeddingStore(cache, self._key(model, image_size, source), about, budget)
        self._counted: set[tuple[str, int]] = set()

    def embed(self, index: ImageIndex, view_key: str, images: Images, title: str) -> EmbeddingTable:
        """Returns the embeddings of `index`, computing those that are not stored yet.

        Processes that need the same table share the work: each computes the partitions that no other has locked, and
        reads the others once they are there.

        Args:
            index: n images.
            view_key: A name of what `images` does to them.
            images: Yields the images of an index in batches of the given size, (B, S, S, 3) uint8, the last padded;
                they are NumPy arrays, or JAX arrays on the devices.
            title: The title of the progress bar.

        Raises:
            DataError: Stored embeddings were removed meanwhile.
        """
        table = self.store.open(view_key, index.digests)
        counted = (view_key, hash(index.digests.tobytes()))
        if counted not in self._counted:
            self._counted.add(counted)
            self.saved += table.seconds
        if not len(table.missing):
            return table
        count, seconds = self.computed, self.seconds
        unique = len(np.unique(index.digests[table.missing]))
        with progress(title, unique) as advance:
            work = _MissingImages(index, table.missing, view_key, images, advance)
            self._compute_locked(work, self._compute_free(work), title)
        if count := self.computed - count:
            copies = len(table.missing) - unique
            note = f"; {copies} identical to one of them" if copies else ""
            _log.info("%s: %d images, %.0f a second%s", title, count, count / (self.seconds - seconds), note)
        self.store.evict()
        table = self.store.open(view_key, index.digests)
        if len(table.missing):
            raise DataError(
                f"Stored embeddings were removed while they were in use. Start the run again. "
                f"Received: {len(table.missing)} of {len(table)} missing in {self.store.folder / view_key}"
            )
        return table

    def _compute_free(self, work: _MissingImages) -> list[int]:
        """Computes the partitions that no other process has locked, in whole batches across partitions.

        Returns:
            The partitions that others have locked.
        """
        locked = []
        rows = np.empty(0, np.int64)
        with ExitStack() as locks:
            for partition in work.partitions:
                if not locks.enter_context(self.store.lock_partition(work.view_key, partition, wait=False)):
                    locked.append(partition)
                    continue
                rows = np.concatenate([rows, self._still_missing(work, partition)])
                whole = len(rows) // self.batch_size * self.batch_size
                if whole >= max(MIN_ROWS, MIN_BATCHES * self.batch_size):
                    self._compute(work, rows[:whole])
                    rows = rows[whole:]
            self._compute(work, rows)
        return locked

    def _compute_locked(self, work: _MissingImages, partitions: list[int], title: str) -> None:
        """Waits for the processes that have locked `partitions`, and computes what these left when they were killed."""
        if partitions:
            _log.info("%s: waiting for what another process is embedding", title)
        for partition in partitions:
            with self.store.lock_partition(work.view_key, partition, wait=True):
                self._compute(work, self._still_missing(work, partition))

    def _still_missing(self, work: _MissingImages, partition: int) -> np.ndarray:
        """Returns the images of a partition that no process has stored in the meantime."""
        rows = work.partitions[partition]
        missing = rows[self.store.open(work.view_key, work.index.digests[rows]).missing]
        work.advance(len(rows) - len(missing))
        return missing

    def _compute(self, work: _MissingImages, rows: np.ndarray) -> None:
        """Embeds images of the index and stores the result."""
        for start in range(0, len(rows), SHARD_ROWS):
            shard = work.index.subset(rows[start : start + SHARD_ROWS])
            embedded = np.empty((len(shard), self.width), np.float32)
            started = time.perf_counter()
            for number, batch in enumerate(self.inference.stream(work.images(shard, self.batch_size))):
                first = number * self.batch_size
                embedded[first : first + self.batch_size] = batch[: len(shard) - first]
                work.advance(min(self.batch_size, len(shard) - first))
            seconds = time.perf_counter() - started
            self.store.write(work.view_key, shard.digests, embedded, seconds)
            self.computed += len(shard)
            self.seconds += seconds

    def _key(self, model: keras.Model, image_size: int, source: str | None) -> str:
        """Returns 16 hex digits over all that an embedding depends on besides the image and its view."""
        parts = [
            weights_digest(model),
            [_arguments(layer) for layer in model.layers],
            image_size,
            PIXELS_VERSION,
            self.batch_size,
            jax.default_backend(),
            jax.config.values["jax_default_matmul_precision"],
            *self.inference.identity,
        ]
        computing_parts = [part for layer in model.layers for part in (layer, getattr(layer, "function", None))]
        digests = (source, *map(source_digest, filter(None, computing_parts)))
        parts += [digest for digest in digests if digest]
        return hashlib.blake2b(json.dumps(parts, default=str).encode(), digest_size=8).hexdigest()


def _arguments(layer: keras.layers.Layer) -> dict[str, Any]:
    """Returns all that a layer computes with, preprocessing and precision among it, without its name and its seed."""
    config = layer.get_config()
    return {"class": type(layer).__name__} | {k: v for k, v in config.items() if k not in ("name", "seed")}
