"""Training embeddings as a Keras dataset."""

from collections.abc import Callable

import keras
import numpy as np

from crackexp.embeddings.store import EmbeddingTable

BLOCK_BYTES = 64e6
"""How many bytes of embeddings go to the device at once."""


class EmbeddingDataset(keras.utils.PyDataset):
    """The training embeddings in shuffled batches, many of them to a block; an incomplete last batch is left out.

    An item is a block of K batches, as `ScannedModel` trains on them. Of each batch it holds the rows of this process,
    padded for its devices; padding has no weight.

    Args:
        tables: Returns the embeddings of all n images as an epoch shows them.
        order: Returns the order of the images in an epoch, (n,) int64.
        targets: (n,) or (n, c), what the loss takes.
        weights: (n,) float32, the weights of the images.
        batch_size: The size B of a batch; no larger than n.
        rows: The rows of each batch that this process trains on.
        padding: How many rows without weight follow them.
        first_epoch: The epoch that is shown first.
    """

    def __init__(
        self,
        tables: Callable[[int], EmbeddingTable],
        order: Callable[[int], np.ndarray],
        targets: np.ndarray,
        weights: np.ndarray,
        batch_size: int,
        rows: range,
        padding: int = 0,
        first_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.tables = tables
        self.order = order
        self.targets = targets
        self.weights = weights
        self.batch_size = batch_size
        self.rows = rows
        self.padding = padding
        self.steps_per_epoch = len(targets) // batch_size
        self.epoch = first_epoch
        self._show(first_epoch)
        width = self._table[:1].shape[1]
        most = max(int(BLOCK_BYTES / (4 * width * batch_size)), 1)
        self.batches_per_block = -(-self.steps_per_epoch // -(-self.steps_per_epoch // most))

    def show(self, epoch: int) -> None:
        """Turns to the order and the embeddings of `epoch`."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._show(epoch)

    def __len__(self) -> int:
        return -(-self.steps_per_epoch // self.batches_per_block)

    def __getitem__(self, block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns embeddings (K * b, d), targets and weights (K * b,) of a block, in the order of `block_rows`."""
        batches = self._batches[block * self.batches_per_block : (block + 1) * self.batches_per_block]
        local = batches[:, self.rows]
        padding = ((0, self.batches_per_block - len(local)), (0, self.padding))
        rows = block_rows(np.pad(local, padding, mode="edge"))
        weights = block_rows(np.pad(self.weights[local], padding))
        return self._table[rows], self.targets[rows], weights

    def _show(self, epoch: int) -> None:
        self._table = self.tables(epoch)
        complete = self.order(epoch)[: self.steps_per_epoch * self.batch_size]
        self._batches = complete.reshape(-1, self.batch_size)


def block_rows(batches: np.ndarray) -> np.ndarray:
    """Returns rows of K batches, (K, B), in the order in which a `ScannedModel` takes them, (K * B,).

    Row b of every batch comes before row b + 1 of any, so that devices which share a block out share each batch.

    Example:
        >>> block_rows(np.arange(6).reshape(3, 2)).tolist()
        [0, 2, 4, 1, 3, 5]
    """
    return batches.T.ravel()
