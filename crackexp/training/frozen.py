"""The trainer of a frozen backbone: embeds every image and view once, and fits the head on the embeddings."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from crackexp.config.types import Epochs
from crackexp.data.augmentation import View
from crackexp.data.index import ImageIndex
from crackexp.models.classifier import POOL, unfreeze
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.embedding_trainer import EmbeddingTrainer
from crackexp.training.fit_loop import Log
from crackexp.training.history import TrainingHistory


class FrozenTrainer(EmbeddingTrainer):
    """Fits the head of a module whose backbone stays as it is.

    Each image and view is embedded once, and the embeddings are stored for later runs. Predictions come from the
    embeddings too.

    Args:
        epochs: The largest number of epochs; a callback may end the training earlier.
        kwargs: What trainers on embeddings take, see `EmbeddingTrainer`.

    Example:
        >>> trainer = FrozenTrainer(
        ...     epochs=5, batch_size=32, seed=0, embed_batch_size=None, embeddings_gb=20.0, cache="cache"
        ... )
        >>> trainer.epochs
        5
    """

    needs_pretrained: ClassVar[bool] = True

    def __init__(self, *, epochs: Epochs, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epochs = epochs

    def unfreeze(self) -> None:
        unfreeze(self.module.classifier, POOL)

    def fit(
        self, callbacks: Sequence[keras.callbacks.Callback], log: Log, checkpointer: Checkpointer
    ) -> TrainingHistory:
        self.head.adapt(self.epochs)
        loop = self.begin(log, checkpointer)
        self.head.fit(loop, self.with_validation(callbacks), self.epochs, self.sample_weights())
        self.head.views.release()
        self.devices.release()
        return loop.history

    def predict(self, index: ImageIndex, title: str, view: View | None = None) -> np.ndarray:
        return self.head.predict(index, title, view)
