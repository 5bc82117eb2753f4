"""Training embeddings, as `fit` takes them."""

from pathlib import Path

import numpy as np

from crackexp.data.pipeline import image_batches
from crackexp.embeddings.dataset import EmbeddingDataset
from crackexp.embeddings.embedder import Embedder
from crackexp.embeddings.store import EmbeddingTable
from tests.training.conftest import MakeData, MakeModule


def test_epoch_e_sees_view_e_in_the_order_of_epoch_e(
    make_data: MakeData, make_module: MakeModule, tmp_path: Path
) -> None:
    module, data = make_module(), make_data()
    embedder = Embedder(module.backbone, 32, 8, tmp_path, 1e9)

    def tables(epoch: int) -> EmbeddingTable:
        view = data.view(epoch)
        return embedder.embed(data.train, view.key, lambda index, size: data.images(index, size, view), "train")

    dataset = EmbeddingDataset(tables, data.order, data.train.labels, np.ones(36, np.float32), 8, range(8))
    dataset.show(2)
    rows = data.order(2)[8:16]
    plain = next(iter(image_batches(data.train, 32, 36)))
    shown = np.stack([data.view(2)(plain[row], str(data.train.digests[row])) for row in rows])
    assert (shown != plain[rows]).any()
    pooled = module.backbone.predict(shown, verbose=0).mean(axis=(1, 2))
    features, labels, weights = (part.reshape(8, -1, *part.shape[1:])[:, 1] for part in dataset[0])
    np.testing.assert_allclose(features, pooled, atol=1e-5)
    np.testing.assert_array_equal(labels, data.train.labels[rows])
    assert (weights == 1).all()


def test_padding_has_no_weight_and_every_row_of_a_whole_batch_is_seen_once(
    make_data: MakeData, make_module: MakeModule, tmp_path: Path
) -> None:
    data = make_data()
    table = Embedder(make_module().backbone, 32, 8, tmp_path, 1e9).embed(data.train, "plain", data.images, "train")
    weights = np.arange(1, 37, dtype=np.float32)
    halves = [
        EmbeddingDataset(lambda _: table, data.order, data.train.labels, weights, 6, rows, padding=1)
        for rows in (range(0, 3), range(3, 6))
    ]
    seen = [half[0][2].reshape(4, -1) for half in halves]  # rows of a batch, batches
    assert all((shown[3] == 0).all() for shown in seen)
    assert sorted(np.concatenate([shown[:3].ravel() for shown in seen])) == weights.tolist()
