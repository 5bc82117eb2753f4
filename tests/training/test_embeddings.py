"""The store of embeddings: computed once, never read half-written, the same bits from wherever they come."""

from pathlib import Path

import keras
import numpy as np
import pytest

from crackexp.training.embeddings import Embedder
from crackexp.training.store import _sound
from tests.training.conftest import MakeData, MakeModule

GB = 1e9


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
    assert data.view_key(0) != data.view_key(1)
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
    make_data: MakeData, make_module: MakeModule, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, module = make_data(), make_module()
    embedder = Embedder(module.backbone, 32, 8, tmp_path, GB)
    before = embedder.embed(data.val, "plain", data.images, "val")[:]
    (rows,) = (embedder.store.folder / "plain").glob("*.rows.npy")
    damaged = bytearray(rows.read_bytes())
    damaged[-3] ^= 1
    rows.write_bytes(damaged)
    _sound.clear()

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
