"""The compiled loop over the steps of the head gives what Keras' own loop gives."""

import keras
import numpy as np
import pytest

from crackexp.embeddings.dataset import block_rows
from crackexp.models.heads import build_head
from crackexp.training.scan import ScannedModel

WIDTH, BATCH, STEPS, EPOCHS = 24, 8, 11, 4


class Blocks(keras.utils.PyDataset):
    """`STEPS` batches an epoch in blocks of `size`, the last filled up without weight; or one by one."""

    def __init__(self, size: int | None) -> None:
        super().__init__()
        self.size = size
        rng = np.random.default_rng(0)
        self.features = rng.normal(size=(STEPS * BATCH, WIDTH)).astype(np.float32)
        self.labels = rng.integers(0, 2, STEPS * BATCH).astype(np.int32)
        self.weights = rng.uniform(0.5, 2, STEPS * BATCH).astype(np.float32)

    def __len__(self) -> int:
        return STEPS if self.size is None else -(-STEPS // self.size)

    def __getitem__(self, block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        length = BATCH * (self.size or 1)
        rows = np.arange(block * length, (block + 1) * length)
        weights = np.where(rows < STEPS * BATCH, self.weights[rows % len(self.weights)], 0)
        turn = np.arange(length) if self.size is None else block_rows(np.arange(length).reshape(-1, BATCH))
        rows = rows % (STEPS * BATCH)
        return self.features[rows][turn], self.labels[rows][turn], weights[turn]


def train(size: int | None, optimizer: str) -> tuple[keras.Model, dict[str, list[float]]]:
    head = build_head(WIDTH, 2, dropout=0.3, seed=0)
    model = head if size is None else ScannedModel(head, BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(0.01, STEPS * EPOCHS)
    made = keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": schedule}})
    model.compile(optimizer=made, loss="sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    history = model.fit(Blocks(size), epochs=EPOCHS, shuffle=False, verbose=0).history
    assert int(model.optimizer.iterations) == STEPS * EPOCHS
    return head, history


@pytest.mark.parametrize("size", [1, 4, STEPS])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_blocks_train_as_batches_do_with_dropout_weights_and_a_schedule(size: int, optimizer: str) -> None:
    plain, expected = train(None, optimizer)
    scanned, history = train(size, optimizer)
    for one, other in zip(plain.variables, scanned.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
