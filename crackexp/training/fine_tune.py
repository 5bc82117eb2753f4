"""The trainer that reaches the backbone: the head first, then layers of the backbone, through pixels."""

from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from pydantic import Field

from crackexp.config.types import Epochs, LearningRate, Text
from crackexp.data.augmentation import View
from crackexp.data.index import ImageIndex
from crackexp.inference.compilation import compile_once
from crackexp.inference.engine import Inference, computing
from crackexp.models.classifier import unfreeze
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.embedding_trainer import EmbeddingTrainer
from crackexp.training.fit_loop import EpochProgress, FitLoop, Log
from crackexp.training.history import TrainingHistory
from crackexp.utils.errors import ConfigError


class FineTuneTrainer(EmbeddingTrainer):
    """Fits the head on embeddings, then the network from a named layer on with a new optimizer.

    The two phases make one history. Until the second phase begins, predictions come from embeddings.

    Args:
        head_epochs: The largest number of epochs of the first phase; 0 leaves it out.
        epochs: The largest number of epochs of the second phase.
        learning_rate: The learning rate of the second phase.
        unfreeze_from: The first layer that is trained in the second phase; null for all layers.
        freeze_batch_norm: Whether batch norm stays in inference mode, with its moving statistics as they are.
        kwargs: What trainers on embeddings take, see `EmbeddingTrainer`.

    Example:
        >>> trainer = FineTuneTrainer(
        ...     head_epochs=5, epochs=3, learning_rate=1e-5, unfreeze_from="block_16_expand", freeze_batch_norm=True,
        ...     batch_size=32, seed=0, embed_batch_size=None, embeddings_gb=20.0, cache="cache",
        ... )
        >>> trainer.unfreeze_from
        'block_16_expand'
    """

    def __init__(
        self,
        *,
        head_epochs: Annotated[int, Field(ge=0, le=100_000)],
        epochs: Epochs,
        learning_rate: LearningRate,
        unfreeze_from: Text | None,
        freeze_batch_norm: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.head_epochs = head_epochs
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.unfreeze_from = unfreeze_from
        self.freeze_batch_norm = freeze_batch_norm
        self._fine_tuned: Inference | None = None

    @property
    def fits_head_first(self) -> bool:
        """Whether there is a first phase."""
        return self.head_epochs > 0

    def unfreeze(self) -> None:
        devices = self.devices
        if devices.padding and not self.freeze_batch_norm:
            raise ConfigError(
                "Batch norm would see the rows that fill a batch up for its devices. Type a multiple of "
                f"{len(devices.local) * devices.processes} for batch_size, or "
                f"trainer.freeze_batch_norm=true. Received: batch_size={self.batch_size}"
            )
        unfreeze(self.module.classifier, self.unfreeze_from, self.freeze_batch_norm)

    def fit(
        self, callbacks: Sequence[keras.callbacks.Callback], log: Log, checkpointer: Checkpointer
    ) -> TrainingHistory:
        self.head.adapt(max(self.head_epochs, 1))
        loop = self.begin(log, checkpointer)
        callbacks = self.with_validation(callbacks)
        if self.head_epochs and not loop.has_passed("head"):
            self.head.fit(loop, callbacks, self.head_epochs, self.sample_weights())
        self.head.views.release()  # its images would take memory from the training
        self._fit_pixels(loop, callbacks)
        self.devices.release()
        return loop.history

    def predict(self, index: ImageIndex, title: str, view: View | None = None) -> np.ndarray:
        predict = self.head.predict if self._fine_tuned is None else super().predict
        return predict(index, title, view)

    def inference(self) -> Inference:
        return self._fine_tuned or super().inference()

    def _fit_pixels(self, loop: FitLoop, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Fits the unfrozen layers as the phase "pixels", whose epochs are numbered on from the first phase."""
        module, steps = self.module, self.datamodule.steps_per_epoch
        left = loop.start_phase("pixels", self.epochs)
        network = compile_once(computing(module.classifier))
        self._fine_tuned = Inference(network, devices=self.devices.local)
        optimizer = module.optimizer(learning_rate=self.learning_rate)
        network.compile(optimizer=optimizer, loss=module.loss, weighted_metrics=["accuracy"])
        with EpochProgress(steps * self.batch_size) as shown:
            network.fit(
                self.train_batches(left, loop.skipped),
                initial_epoch=left.start,
                epochs=left.stop,
                steps_per_epoch=steps,
                shuffle=False,
                callbacks=[*loop.callbacks(callbacks, steps), shown],
                verbose=0,
            )
        if network is not module.classifier:
            module.classifier.set_weights(network.get_weights())
