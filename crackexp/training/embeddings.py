"""Embeddings of images by a frozen backbone: computed once, kept on disk, read by every later run.

A table holds the embeddings of one view by one backbone at one size: folder ``<cache>/embeddings/<model>/<view>``.
A shard is two files, ``<id>.rows.npy`` (n, d) float32 and ``<id>.keys.npy`` (n,) digests; it counts once its keys are
there, which are written last, so a table is never read half-written.
"""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
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

SHARD_ROWS = 8192
_log = logging.getLogger(__name__)


class Table:
    """The embeddings of one view; row i belongs to the i-th of the digests it was asked for."""

    def __init__(self, folder: Path, digests: np.ndarray) -> None:
        self.shards: list[np.ndarray] = []
        place: dict[str, tuple[int, int]] = {}
        for keys_file in sorted(folder.glob("*.keys.npy")):
            rows_file = keys_file.with_name(keys_file.name.replace(".keys.", ".rows."))
            shard = len(self.shards)
            self.shards.append(np.load(rows_file, mmap_mode="r"))
            place |= {str(key): (shard, row) for row, key in enumerate(np.load(keys_file))}
        found = [place.get(str(digest), (-1, -1)) for digest in digests]
        self.places = np.asarray(found, np.int64).reshape(-1, 2)

    @property
    def missing(self) -> np.ndarray:
        """Positions of the digests that the table does not hold, (m,) int64."""
        return np.flatnonzero(self.places[:, 0] < 0)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns the embeddings of `rows`, (len(rows), d) float32."""
        places = self.places[rows]
        result = np.empty((len(places), self.shards[0].shape[1]), np.float32)
        for shard in np.unique(places[:, 0]):
            here = places[:, 0] == shard
            result[here] = self.shards[shard][places[here, 1]]
        return result


class Embedder:
    """Runs a frozen backbone over images, and keeps what it computes.

    Args:
        backbone: (B, S, S, 3) uint8 images to (B, h, w, d) feature maps.
        image_size: S.
        batch_size: B; one fixed shape, so that an image's embedding has the same bits whatever stands beside it.
        cache: folder that holds ``embeddings/``.
    """

    def __init__(self, backbone: keras.Model, image_size: int, batch_size: int, cache: Path) -> None:
        model = embedding_model(backbone)
        self.batch_size = batch_size
        self.width = int(model.output_shape[-1])
        self.computed = 0
        self.seconds = 0.0
        self.folder = cache / "embeddings" / self._key(model, image_size)
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

    def embed(
        self,
        index: ImageIndex,
        view_key: str,
        images: Callable[[ImageIndex, int], Iterator[np.ndarray]],
        title: str,
    ) -> Table:
        """Returns the embeddings of `index`, computing those that are not stored yet.

        Args:
            index: n images.
            view_key: names what `images` does to them.
            images: yields the images of an index in batches of the given size, (B, S, S, 3) uint8, the last padded.
            title: of the progress bar.
        """
        folder = self.folder / view_key
        table = Table(folder, index.digests)
        if not len(table.missing):
            return table
        _, first = np.unique(index.digests[table.missing], return_index=True)
        todo = index.subset(np.sort(table.missing[first]))
        started = time.perf_counter()
        with progress(title, len(todo)) as advance:
            for start in range(0, len(todo), SHARD_ROWS):
                shard = todo.subset(np.arange(start, min(start + SHARD_ROWS, len(todo))))
                rows = np.empty((len(shard), self.width), np.float32)
                for place, batch in self._outputs(images(shard, self.batch_size)):
                    rows[place : place + self.batch_size] = batch[: len(shard) - place]
                    advance(min(self.batch_size, len(shard) - place))
                _write_shard(folder, shard.digests, rows)
        seconds = time.perf_counter() - started
        self.computed += len(todo)
        self.seconds += seconds
        _log.info("%s: %d images, %.0f a second", title, len(todo), len(todo) / seconds)
        return Table(folder, index.digests)

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


def _write_shard(folder: Path, digests: np.ndarray, rows: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    for kind, array in (("rows", rows), ("keys", digests)):
        temporary = folder / f"{name}.{kind}.tmp"
        with temporary.open("wb") as file:
            np.save(file, array)
        temporary.replace(folder / f"{name}.{kind}.npy")
