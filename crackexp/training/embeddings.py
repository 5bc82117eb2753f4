"""The embedder: runs a frozen backbone over images once, and keeps the result in the store."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from crackexp.data.decode import PIXELS_VERSION
from crackexp.data.index import ImageIndex
from crackexp.models.classifier import embedding_model
from crackexp.models.cpu_conv import blockwise, for_cpu
from crackexp.models.weights import weights_digest
from crackexp.progress import progress
from crackexp.training.store import BUCKETS, Store, Table, bucket_of

SHARD_ROWS = 8192
WORTHWHILE = 512
"""Images that are computed at once; smaller parts of a table wait for each other."""
Advance = Callable[[int], None]
Images = Callable[[ImageIndex, int], Iterator[np.ndarray]]
_log = logging.getLogger(__name__)


class Embedder:
    """Runs a frozen backbone over images, and keeps what it computes.

    Args:
        backbone: (B, S, S, 3) uint8 images to (B, h, w, d) feature maps.
        image_size: S.
        batch_size: B; one fixed shape, so that an image's embedding has the same bits whatever stands beside it.
        cache: folder that holds ``embeddings/``.
        budget: bytes that all stored embeddings may take.

    Attributes:
        computed: images embedded so far.
        seconds: that they took.
        saved: seconds that reading instead of computing saved.
    """

    def __init__(self, backbone: keras.Model, image_size: int, batch_size: int, cache: Path, budget: float) -> None:
        model = embedding_model(backbone)
        self.batch_size = batch_size
        self.width = int(model.output_shape[-1])
        self.computed = 0
        self.seconds = 0.0
        self.saved = 0.0
        about = {"backbone": backbone.name, "image_size": image_size, "device": jax.default_backend()}
        self.store = Store(cache, self._key(model, image_size), about, budget)
        self._read: set[tuple[str, int]] = set()
        on_cpu = jax.default_backend() == "cpu"
        if on_cpu:
            model = for_cpu(model)
        self._weights = (
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
        )

        def forward(weights: tuple[list[jax.Array], list[jax.Array]], images: jax.Array) -> jax.Array:
            outputs, _ = model.stateless_call(*weights, images, training=False)
            return outputs

        self._forward = jax.jit(blockwise(forward) if on_cpu else forward)

    def embed(self, index: ImageIndex, view_key: str, images: Images, title: str) -> Table:
        """Returns the embeddings of `index`, computing those that are not stored yet.

        Processes that need the same table share the work: each takes the parts that no other has taken, and reads the
        others once they are there.

        Args:
            index: n images.
            view_key: names what `images` does to them.
            images: yields the images of an index in batches of the given size, (B, S, S, 3) uint8, the last padded.
            title: of the progress bar.
        """
        table = self.store.open(view_key, index.digests)
        before, self._read = self._read, self._read | {(view_key, hash(index.digests.tobytes()))}
        if self._read != before:
            self.saved += table.seconds
        if not len(table.missing):
            return table
        count, seconds = self.computed, self.seconds
        with progress(title, len(table.missing)) as advance:
            taken = self._compute(index, view_key, images, advance, wait=False)
            if taken < BUCKETS:
                self._compute(index, view_key, images, advance, wait=True)
        if (count := self.computed - count) and (seconds := self.seconds - seconds):
            _log.info("%s: %d images, %.0f a second", title, count, count / seconds)
        self.store.evict()
        return self.store.open(view_key, index.digests)

    def _compute(self, index: ImageIndex, view_key: str, images: Images, advance: Advance, wait: bool) -> int:
        """Computes what is missing in the parts of a table that are free, or in each after waiting for it.

        Returns:
            How many of the parts were free.
        """
        taken = 0
        buckets = bucket_of(index.digests)
        rest = np.empty(0, np.int64)
        with ExitStack() as held:
            for turn in range(BUCKETS):
                bucket = (os.getpid() + turn) % BUCKETS
                if wait:
                    held.close()
                if not held.enter_context(self.store.claim(view_key, bucket, wait)):
                    continue
                taken += 1
                missing = self.store.open(view_key, index.digests).missing
                _, first = np.unique(index.digests[missing], return_index=True)
                mine = np.sort(missing[first])
                rest = np.concatenate([rest, mine[buckets[mine] == bucket]])
                whole = len(rest) if wait else len(rest) // self.batch_size * self.batch_size
                if wait or whole >= WORTHWHILE:
                    self._write(index.subset(rest[:whole]), view_key, images, advance)
                    rest = rest[whole:]
            self._write(index.subset(rest), view_key, images, advance)
        return taken

    def _write(self, todo: ImageIndex, view_key: str, images: Images, advance: Advance) -> None:
        """Embeds the images of `todo` and stores them."""
        for start in range(0, len(todo), SHARD_ROWS):
            shard = todo.subset(np.arange(start, min(start + SHARD_ROWS, len(todo))))
            rows = np.empty((len(shard), self.width), np.float32)
            started = time.perf_counter()
            for place, batch in self._outputs(images(shard, self.batch_size)):
                rows[place : place + self.batch_size] = batch[: len(shard) - place]
                advance(min(self.batch_size, len(shard) - place))
            seconds = time.perf_counter() - started
            self.store.write(view_key, shard.digests, rows, seconds)
            self.computed += len(shard)
            self.seconds += seconds

    def _outputs(self, batches: Iterator[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (position, embeddings), one batch behind the device, so that it never waits for the host."""
        pending: jax.Array | None = None
        place = 0
        for batch in batches:
            output = self._forward(self._weights, batch)
            if pending is not None:
                yield place, np.asarray(pending)
                place += self.batch_size
            pending = output
        if pending is not None:
            yield place, np.asarray(pending)

    def _key(self, model: keras.Model, image_size: int) -> str:
        """Returns 16 hex digits over all that an embedding depends on besides the image and its view."""
        parts = [
            weights_digest(model),
            [_arguments(layer) for layer in model.layers],
            image_size,
            PIXELS_VERSION,
            self.batch_size,
            jax.default_backend(),
        ]
        return hashlib.blake2b(json.dumps(parts, default=str).encode(), digest_size=8).hexdigest()


def _arguments(layer: keras.layers.Layer) -> dict[str, Any]:
    """Returns what a layer computes by, its preprocessing and precision too; not its name, nor seeds of training."""
    config = layer.get_config()
    return {"class": type(layer).__name__} | {k: v for k, v in config.items() if k not in ("name", "seed")}
