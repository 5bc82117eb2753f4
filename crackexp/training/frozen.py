"""The trainer of a frozen backbone: embeds every image and view once, and fits the head on the embeddings."""

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal

import keras
import numpy as np
from pydantic import Field

from crackexp.config.types import BatchSize, Epochs, Gigabytes, Precision, Seed, Text
from crackexp.data.augmentation import View
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.inference.engine import Inference
from crackexp.models.classifier import POOL, unfreeze
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.embedded_head import EmbeddedHead
from crackexp.training.fit_loop import Log
from crackexp.training.history import TrainingHistory
from crackexp.training.module import CrackModule
from crackexp.training.trainer import Trainer
from crackexp.utils.timer import Timer


class FrozenTrainer(Trainer):
    """Fits the head of a module whose backbone stays as it is.

    Each image and view is embedded once, and the embeddings are stored for later runs. Predictions come from the
    embeddings too.

    Args:
        epochs: The largest number of epochs; a callback may end the training earlier.
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
        >>> trainer = FrozenTrainer(
        ...     epochs=5, batch_size=32, seed=0, precision="float32", class_weight=None, devices=1,
        ...     embed_batch_size=None, embeddings_gb=20.0, cache="cache",
        ... )
        >>> trainer.epochs
        5
    """

    unrelated_to_result: ClassVar[tuple[str, ...]] = ("embeddings_gb",)
    needs_pretrained: ClassVar[bool] = True

    head: EmbeddedHead

    def __init__(
        self,
        epochs: Epochs,
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
        self.epochs = epochs
        self.embed_batch_size = embed_batch_size
        self.embeddings_gb = embeddings_gb

    def setup(self, build: Callable[[], CrackModule], datamodule: DataModule, timer: Timer) -> CrackModule:
        module = super().setup(build, datamodule, timer)
        unfreeze(module.classifier, POOL)
        self.head = EmbeddedHead(
            module, datamodule, self.devices, timer, self.cache, self.embed_batch_size, self.embeddings_gb
        )
        return module

    def fit(
        self, callbacks: Sequence[keras.callbacks.Callback], log: Log, checkpointer: Checkpointer
    ) -> TrainingHistory:
        self.head.adapt(self.epochs)
        loop = self.begin(log, checkpointer)
        self.head.fit(loop, self.with_validation(callbacks), self.epochs, self.sample_weights())
        self.devices.release()
        return loop.history

    def predict(self, index: ImageIndex, title: str, view: View | None = None) -> np.ndarray:
        return self.head.predict(index, title, view)

    def inference(self) -> Inference:
        return self.head.inference()

    def timings(self) -> dict[str, float]:
        return self.head.timings()
