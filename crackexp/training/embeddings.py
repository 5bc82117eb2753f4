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
from crackexp.errors import DataError
from crackexp.models.classifier import embedding_model
from crackexp.models.weights import weights_digest
from crackexp.progress import progress
from crackexp.sources import source_digest
from crackexp.training.inference import Inference, computing
from crackexp.training.store import Store, Table, bucket_of

SHARD_ROWS = 8192
WORTHWHILE = 512
WORTHWHILE_BATCHES = 8
"""Images, and batches, that are computed in one go: smaller parts of a table wait for each other. Reading overlaps
computing within one go only."""
Advance = Callable[[int], None]
Images = Callable[[ImageIndex, int], Iterator[np.ndarray]]
_log = logging.getLogger(__name__)


class _Work:
    """The images of a table that were missing when it was opened, each once, by part."""

    def __init__(self, index: ImageIndex, missing: np.ndarray, view_key: str, images: Images, advance: Advance) -> None:
        self.index = index
        self.view_key = view_key
        self.images = images
        self.advance = advance
        _, first = np.unique(index.digests[missing], return_index=True)
        rows = np.sort(missing[first])
        buckets = bucket_of(index.digests[rows])
        self.parts = {int(part): rows[buckets == part] for part in np.unique(buckets)}


class Embedder:
    """Runs a frozen backbone over images, and keeps what it computes.

    Args:
        backbone: (B, S, S, 3) uint8 images to (B, h, w, d) feature maps.
        image_size: S.
        batch_size: B; one fixed shape, so that an image's embedding has the same bits whatever stands beside it.
        cache: folder that holds ``embeddings/``.
        budget: bytes that all stored embeddings may take.
        devices: see `Inference`.
        source: of the part of the user's own that built the backbone, see `source_digest`; None where crackexp did.

    Attributes:
        computed: images embedded so far.
        seconds: that they took.
        saved: seconds that reading instead of computing saved.
    """

    def __init__(
        self,
        backbone: keras.Model,
        image_size: int,
        batch_size: int,
        cache: Path,
        budget: float,
        devices: Sequence[Any] | None = None,
        source: str | None = None,
    ) -> None:
        model = embedding_model(backbone)
        self.batch_size = batch_size
        self.width = int(model.output_shape[-1])
        self.computed = 0
        self.seconds = 0.0
        self.saved = 0.0
        about = {"backbone": backbone.name, "image_size": image_size, "device": jax.default_backend()}
        self.store = Store(cache, self._key(model, image_size, source), about, budget)
        self._asked: set[tuple[str, int]] = set()
        self.inference = Inference(computing(model), batch_size, devices)

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
        asked = (view_key, hash(index.digests.tobytes()))
        if asked not in self._asked:
            self._asked.add(asked)
            self.saved += table.seconds
        if not len(table.missing):
            return table
        count, seconds = self.computed, self.seconds
        with progress(title, len(np.unique(index.digests[table.missing]))) as advance:
            work = _Work(index, table.missing, view_key, images, advance)
            self._compute_rest(work, self._compute_free(work), title)
        if count := self.computed - count:
            _log.info("%s: %d images, %.0f a second", title, count, count / (self.seconds - seconds))
        self.store.evict()
        table = self.store.open(view_key, index.digests)
        if len(table.missing):
            raise DataError(
                f"Stored embeddings were removed while they were in use. Start the run again. "
                f"Received: {len(table.missing)} of {len(table)} missing in {self.store.folder / view_key}"
            )
        return table

    def _compute_free(self, work: _Work) -> list[int]:
        """Computes the parts of a table that no other process has taken, in whole batches across parts.

        Returns:
            The parts that others have taken.
        """
        taken = []
        rows = np.empty(0, np.int64)
        with ExitStack() as held:
            for part in work.parts:
                if not held.enter_context(self.store.claim(work.view_key, part, wait=False)):
                    taken.append(part)
                    continue
                rows = np.concatenate([rows, self._missing(work, part)])
                whole = len(rows) // self.batch_size * self.batch_size
                if whole >= max(WORTHWHILE, WORTHWHILE_BATCHES * self.batch_size):
                    self._write(work, rows[:whole])
                    rows = rows[whole:]
            self._write(work, rows)
        return taken

    def _compute_rest(self, work: _Work, parts: list[int], title: str) -> None:
        """Waits for the parts that others have taken, and computes what these left when they were stopped."""
        if parts:
            _log.info("%s: waiting for what another process is embedding", title)
        for part in parts:
            with self.store.claim(work.view_key, part, wait=True):
                self._write(work, self._missing(work, part))

    def _missing(self, work: _Work, part: int) -> np.ndarray:
        """Returns the images of a part that no process has stored in the meantime."""
        rows = work.parts[part]
        missing = rows[self.store.open(work.view_key, work.index.digests[rows]).missing]
        work.advance(len(rows) - len(missing))
        return missing

    def _write(self, work: _Work, rows: np.ndarray) -> None:
        """Embeds images of the index and stores the result."""
        for start in range(0, len(rows), SHARD_ROWS):
            shard = work.index.subset(rows[start : start + SHARD_ROWS])
            embedded = np.empty((len(shard), self.width), np.float32)
            started = time.perf_counter()
            for number, batch in enumerate(self.inference.stream(work.images(shard, self.batch_size))):
                place = number * self.batch_size
                embedded[place : place + self.batch_size] = batch[: len(shard) - place]
                work.advance(min(self.batch_size, len(shard) - place))
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
        ]
        computing_parts = [part for layer in model.layers for part in (layer, getattr(layer, "function", None))]
        parts += [found for found in (source, *map(source_digest, filter(None, computing_parts))) if found]
        return hashlib.blake2b(json.dumps(parts, default=str).encode(), digest_size=8).hexdigest()


def _arguments(layer: keras.layers.Layer) -> dict[str, Any]:
    """Returns what a layer computes by, its preprocessing and precision too; not its name, nor seeds of training."""
    config = layer.get_config()
    return {"class": type(layer).__name__} | {k: v for k, v in config.items() if k not in ("name", "seed")}
