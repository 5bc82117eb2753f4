"""The trainer that reaches the backbone: the head first, then layers of the backbone, through pixels."""

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal

import keras
import numpy as np
from pydantic import Field

from crackexp.config.types import BatchSize, Epochs, Gigabytes, LearningRate, Precision, Seed, Text
from crackexp.data.augmentation import View
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.inference.compilation import compile_once
from crackexp.inference.engine import Inference, computing
from crackexp.models.classifier import unfreeze
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.embedded_head import EmbeddedHead
from crackexp.training.fit_loop import FitLoop, Log, verbosity
from crackexp.training.history import TrainingHistory
from crackexp.training.module import CrackModule
from crackexp.training.trainer import Trainer
from crackexp.utils.errors import ConfigError
from crackexp.utils.timer import Timer


class FineTuneTrainer(Trainer):
    """Fits the head on embeddings, then the network from a named layer on with a new optimizer.

    The two phases make one history. Until the second phase begins, predictions come from embeddings.

    Args:
        head_epochs: The largest number of epochs of the first phase; 0 leaves it out.
        epochs: The largest number of epochs of the second phase.
        learning_rate: The learning rate of the second phase.
        unfreeze_from: The first layer that is trained in the second phase; null for all layers.
        freeze_batch_norm: Whether batch norm stays in inference mode, with its moving statistics as they are.
        batch_size: The number of images of a training step.
        seed: The seed of the run.
        precision: The precision of the arithmetic; all but float32 are for GPUs.
        class_weight: Whether rare classes weigh more: "balanced" weighs each class by its inverse frequency.
        devices: The number of devices of each process that share each batch, or "auto" for all.
        embed_batch_size: The number of images of a pass of the backbone on one device; null for the fastest.
        embeddings_gb: The gigabytes that stored embeddings of all runs may take; those not used for longest go first.
        cache: The folder of compiled programs and embeddings.

    Attributes:
        head: The head on embeddings; from `setup` on.

    Example:
        >>> trainer = FineTuneTrainer(
        ...     head_epochs=5, epochs=3, learning_rate=1e-5, unfreeze_from="block_16_expand", freeze_batch_norm=True,
        ...     batch_size=32, seed=0, precision="float32", class_weight=None, devices=1, embed_batch_size=None,
        ...     embeddings_gb=20.0, cache="cache",
        ... )
        >>> trainer.unfreeze_from
        'block_16_expand'
    """

    unrelated_to_result: ClassVar[tuple[str, ...]] = ("embeddings_gb",)

    head: EmbeddedHead

    def __init__(
        self,
        head_epochs: Annotated[int, Field(ge=0, le=100_000)],
        epochs: Epochs,
        learning_rate: LearningRate,
        unfreeze_from: Text | None,
        freeze_batch_norm: bool,
        batch_size: BatchSize,
        seed: Seed,
        precision: Precision,
        class_weight: Literal["balanced"] | None,
        devices: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"],
        embed_batch_size: BatchSize | None,
        embeddings_gb: Gigabytes,
        cache: Text,
    ) -> None:
        super().__init__(batch_size, seed, cache, precision, class_weight, devices)
        self.head_epochs = head_epochs
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.unfreeze_from = unfreeze_from
        self.freeze_batch_norm = freeze_batch_norm
        self.embed_batch_size = embed_batch_size
        self.embeddings_gb = embeddings_gb
        self._fine_tuned: Inference | None = None

    @property
    def fits_head_first(self) -> bool:
        """Whether there is a first phase."""
        return self.head_epochs > 0

    def setup(self, build: Callable[[], CrackModule], datamodule: DataModule, timer: Timer) -> CrackModule:
        module = super().setup(build, datamodule, timer)
        devices = self.devices
        if devices.padding and not self.freeze_batch_norm:
            raise ConfigError(
                "Batch norm would see the rows that fill a batch up for its devices. Type a multiple of "
                f"{len(devices.local) * devices.processes} for batch_size, or "
                f"trainer.freeze_batch_norm=true. Received: batch_size={self.batch_size}"
            )
        unfreeze(module.classifier, self.unfreeze_from, self.freeze_batch_norm)
        self.head = EmbeddedHead(
            module, datamodule, devices, timer, self.cache, self.embed_batch_size, self.embeddings_gb
        )
        return module

    def fit(
        self, callbacks: Sequence[keras.callbacks.Callback], log: Log, checkpointer: Checkpointer
    ) -> TrainingHistory:
        self.head.adapt(max(self.head_epochs, 1))
        loop = self.begin(log, checkpointer)
        callbacks = self.with_validation(callbacks)
        if self.head_epochs and not loop.has_passed("head"):
            self.head.fit(loop, callbacks, self.head_epochs, self.sample_weights())
        self._fit_pixels(loop, callbacks)
        self.devices.release()
        return loop.history

    def predict(self, index: ImageIndex, title: str, view: View | None = None) -> np.ndarray:
        predict = self.head.predict if self._fine_tuned is None else super().predict
        return predict(index, title, view)

    def inference(self) -> Inference:
        return self._fine_tuned or self.head.inference()

    def timings(self) -> dict[str, float]:
        return self.head.timings()

    def _fit_pixels(self, loop: FitLoop, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Fits the unfrozen layers as the phase "pixels", whose epochs are numbered on from the first phase."""
        module, steps = self.module, self.datamodule.steps_per_epoch
        left = loop.start_phase("pixels", self.epochs)
        network = compile_once(computing(module.classifier))
        self._fine_tuned = Inference(network, devices=self.devices.local)
        optimizer = module.optimizer(learning_rate=self.learning_rate)
        network.compile(optimizer=optimizer, loss=module.loss, weighted_metrics=["accuracy"])
        network.fit(
            self.train_batches(left, loop.skipped),
            initial_epoch=left.start,
            epochs=left.stop,
            steps_per_epoch=steps,
            shuffle=False,
            callbacks=loop.callbacks(callbacks, steps),
            verbose=verbosity(),
        )
        if network is not module.classifier:
            module.classifier.set_weights(network.get_weights())
