"""The store of embeddings: computed once, never read half-written, the same bits from wherever they come."""

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import keras
import numpy as np
import pytest

from crackexp.data.index import ImageIndex
from crackexp.embeddings.embedder import Embedder
from crackexp.utils import shards
from crackexp.utils.errors import DataError
from tests.training.conftest import MakeData, MakeModule

GB = 1e9
BATCH = 32
COUNT = 4 * 600


def numbered(count: int) -> ImageIndex:
    """Returns an index of images that are not files but drawn from their digests."""
    digests = np.asarray([hashlib.blake2b(f"{row}".encode(), digest_size=16).hexdigest() for row in range(count)])
    return ImageIndex(Path("/"), digests, np.zeros(count, np.int32), digests, ("a", "b"), "b")


def drawn(index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
    for start_row in range(0, len(index), batch_size):
        batch = np.zeros((batch_size, 4, 4, 3), np.uint8)
        for row, digest in enumerate(index.digests[start_row : start_row + batch_size]):
            pixels = hashlib.blake2b(digest.encode(), digest_size=48).digest()
            batch[row] = np.frombuffer(pixels, np.uint8).reshape(4, 4, 3)
        yield batch


def mean_embedder(cache: Path) -> Embedder:
    image = keras.Input((4, 4, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
    return Embedder(keras.Model(image, keras.layers.MaxPooling2D(2)(x)), 4, BATCH, cache, GB)


def work(root: Path, name: str, kill_after: int, seconds: float) -> None:
    """Embeds the numbered images with `seconds` a batch; dies after so many batches, if any."""
    embedder = mean_embedder(root / "cache")
    batches = 0

    def images(index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
        nonlocal batches
        for batch in drawn(index, batch_size):
            yield batch
            time.sleep(seconds)
            batches += 1
            if batches == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

    (root / f"{name}.ready").touch()
    wait_for(root, f"{name}.start")
    table = embedder.embed(numbered(COUNT), "plain", images, "train")
    np.save(root / f"{name}.npy", table[:])
    (root / f"{name}.computed").write_text(str(embedder.computed))


def wait_for(root: Path, pattern: str) -> None:
    """Waits until a file is there."""
    deadline = time.monotonic() + 120
    while not list(root.glob(pattern)):
        assert time.monotonic() < deadline, pattern
        time.sleep(0.002)


def start(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    return process


def test_what_is_stored_is_not_computed_again(make_data: MakeData, make_module: MakeModule, tmp_path: Path) -> None:
    data, module = make_data(), make_module()
    first = Embedder(module.backbone, 32, 8, tmp_path, GB)
    computed = first.embed(data.val, "plain", data.images, "val")
    assert first.computed == len(data.val)

    second = Embedder(make_module().backbone, 32, 8, tmp_path, GB)
    read = second.embed(data.val, "plain", data.images, "val")
    assert second.computed == 0
    np.testing.assert_array_equal(read[:], computed[:])


def test_an_embedding_has_the_same_bits_whatever_stands_beside_it(
    make_data: MakeData, make_module: MakeModule, tmp_path: Path
) -> None:
    data, module = make_data(), make_module()
    whole = Embedder(module.backbone, 32, 8, tmp_path / "a", GB).embed(data.train, "plain", data.images, "train")
    rows = np.array([3, 17, 30])
    part = Embedder(module.backbone, 32, 8, tmp_path / "b", GB).embed(
        data.train.subset(rows), "plain", data.images, "train"
    )
    np.testing.assert_array_equal(part[:], whole[rows])


def test_other_weights_sizes_and_views_have_tables_of_their_own(
    make_data: MakeData, make_module: MakeModule, tmp_path: Path
) -> None:
    data = make_data()
    embedder = Embedder(make_module(0).backbone, 32, 8, tmp_path, GB)
    other = Embedder(make_module(1).backbone, 32, 8, tmp_path, GB)
    assert embedder.store.folder != other.store.folder
    assert data.view(0).key != data.view(1).key
    embedder.embed(data.val, "plain", data.images, "val")
    other.embed(data.val, "plain", data.images, "val")
    assert other.computed == len(data.val)


def test_another_preprocessing_has_a_table_of_its_own(tmp_path: Path) -> None:
    def folder(scale: float) -> Path:
        image = keras.Input((32, 32, 3), dtype="uint8")
        x = keras.layers.Rescaling(scale, dtype="float32")(image)
        backbone = keras.Model(image, keras.layers.MaxPooling2D(4)(x))
        return Embedder(backbone, 32, 8, tmp_path, GB).store.folder

    assert folder(1 / 255) == folder(1 / 255)
    assert folder(1 / 255) != folder(1 / 127.5)


def test_a_damaged_shard_is_noticed_and_computed_again(
    make_data: MakeData,
    make_module: MakeModule,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, module = make_data(), make_module()
    embedder = Embedder(module.backbone, 32, 8, tmp_path, GB)
    before = embedder.embed(data.val, "plain", data.images, "val")[:]
    (rows,) = (embedder.store.folder / "plain").glob("*.rows.npy")
    damaged = bytearray(rows.read_bytes())
    damaged[-3] ^= 1
    rows.write_bytes(damaged)
    monkeypatch.setattr(shards, "_verified", set())

    again = Embedder(module.backbone, 32, 8, tmp_path, GB)
    after = again.embed(data.val, "plain", data.images, "val")[:]
    assert again.computed == len(data.val)
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(after, before)


def test_a_read_table_tells_what_it_saved(make_data: MakeData, make_module: MakeModule, tmp_path: Path) -> None:
    data, module = make_data(), make_module()
    first = Embedder(module.backbone, 32, 8, tmp_path, GB)
    first.embed(data.val, "plain", data.images, "val")
    assert first.saved == 0
    second = Embedder(module.backbone, 32, 8, tmp_path, GB)
    for _ in range(3):
        second.embed(data.val, "plain", data.images, "val")
    assert second.saved == pytest.approx(first.seconds)


def test_images_of_equal_bytes_share_a_row(make_data: MakeData, make_module: MakeModule, tmp_path: Path) -> None:
    data = make_data()
    twice = data.val.subset(np.arange(2))
    twice.digests[1] = twice.digests[0]
    embedder = Embedder(make_module().backbone, 32, 8, tmp_path, GB)
    table = embedder.embed(twice, "plain", data.images, "val")
    assert embedder.computed == 1
    np.testing.assert_array_equal(table[0:1], table[1:2])


def test_no_pass_of_the_backbone_is_wasted(tmp_path: Path) -> None:
    batches = 0

    def images(index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
        nonlocal batches
        for batch in drawn(index, batch_size):
            batches += 1
            yield batch

    embedder = mean_embedder(tmp_path)
    embedder.embed(numbered(2805), "plain", images, "train")
    assert batches == -(-2805 // BATCH)
    assert embedder.computed == 2805


@pytest.mark.slow
def test_two_processes_compute_each_image_once(tmp_path: Path) -> None:
    processes = [start(work, tmp_path, name, 0, 0.004) for name in ("a", "b")]
    for name in ("a", "b"):
        wait_for(tmp_path, f"{name}.ready")
    for name in ("a", "b"):
        (tmp_path / f"{name}.start").touch()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    computed = {name: int((tmp_path / f"{name}.computed").read_text()) for name in ("a", "b")}
    assert sum(computed.values()) == COUNT
    assert min(computed.values()) > COUNT // 5
    expected = mean_embedder(tmp_path / "alone").embed(numbered(COUNT), "plain", drawn, "train")[:]
    for name in ("a", "b"):
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), expected)


@pytest.mark.slow
def test_what_a_killed_process_left_is_computed_by_the_one_that_waits(tmp_path: Path) -> None:
    killed = start(work, tmp_path, "killed", 30, 0.05)
    other = start(work, tmp_path, "other", 0, 0.0)
    for name in ("killed", "other"):
        wait_for(tmp_path, f"{name}.ready")
    (tmp_path / "killed.start").touch()
    wait_for(tmp_path, "cache/embeddings/*/plain/*.json")
    assert killed.is_alive()
    (tmp_path / "other.start").touch()
    killed.join(120)
    other.join(120)
    assert killed.exitcode == -signal.SIGKILL
    assert other.exitcode == 0
    assert COUNT - 30 * BATCH <= int((tmp_path / "other.computed").read_text()) < COUNT
    expected = mean_embedder(tmp_path / "alone").embed(numbered(COUNT), "plain", drawn, "train")[:]
    np.testing.assert_array_equal(np.load(tmp_path / "other.npy"), expected)


def test_embeddings_that_vanish_are_told_of(tmp_path: Path) -> None:
    embedder = mean_embedder(tmp_path)

    def images(index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
        yield from drawn(index, batch_size)
        for file in embedder.store.folder.glob("plain/*.json"):
            file.unlink()

    with pytest.raises(DataError, match="of 2400 missing"):
        embedder.embed(numbered(COUNT), "plain", images, "train")
