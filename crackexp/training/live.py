"""The trainer that reaches the backbone: the head first, then layers of the backbone, through pixels."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from crackexp.budget import TimeBudget
from crackexp.data.index import ImageIndex
from crackexp.errors import ConfigError
from crackexp.models.classifier import unfreeze
from crackexp.training.course import Log
from crackexp.training.inference import Inference, computing
from crackexp.training.module import CrackModule
from crackexp.training.programs import compile_once
from crackexp.training.state import TrainingStates
from crackexp.training.trainer import FrozenTrainer, progress


class LiveTrainer(FrozenTrainer):
    """Fits the head on embeddings, then the network from a named layer on with a new optimizer.

    Args:
        head_epochs: of the first phase; 0 leaves it out.
        epochs: of the second phase.
        learning_rate: of the second phase.
        unfreeze_from: the first layer that is trained; None trains all.
        freeze_batch_norm: keeps batch norm in inference mode, its moving statistics as they are.
        **kwargs: as of `FrozenTrainer`.
    """

    def __init__(
        self,
        head_epochs: int,
        epochs: int,
        learning_rate: float,
        unfreeze_from: str | None,
        freeze_batch_norm: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(epochs=epochs, **kwargs)
        self.head_epochs = head_epochs
        self.learning_rate = learning_rate
        self.unfreeze_from = unfreeze_from
        self.freeze_batch_norm = freeze_batch_norm
        self.whole: Inference | None = None

    def setup(self, budget: TimeBudget) -> None:
        """See `FrozenTrainer.setup`."""
        super().setup(budget)
        if self.devices.filling and not self.freeze_batch_norm:
            raise ConfigError(
                "Batch norm would see the rows that fill a batch up for its devices. Type a multiple of "
                f"{len(self.devices.local) * self.devices.processes} for batch_size, or "
                f"trainer.freeze_batch_norm=true. Received: batch_size={self.batch_size}"
            )

    def freeze(self, module: CrackModule) -> None:
        """Leaves the layers before the named one as they are."""
        unfreeze(module.classifier, self.unfreeze_from, self.freeze_batch_norm)

    def fit(self, callbacks: Sequence[keras.callbacks.Callback], log: Log, states: TrainingStates) -> None:
        """Trains the prepared module in place, in two phases that make one curve; see `FrozenTrainer.fit`."""
        self.begin(log, states)
        if self.head_epochs and not self.course.is_over("head"):
            self.fit_head(callbacks, self.head_epochs)
        self.fit_pixels(callbacks)
        self.devices.end()

    def fit_pixels(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Fits the unfrozen layers; epochs are numbered on from the first phase."""
        module, data = self.module, self.datamodule
        left = self.course.enter("pixels", self.epochs)
        network = compile_once(computing(module.classifier))
        self.whole = Inference(network, devices=self.devices.local)
        optimizer = module.optimizer(learning_rate=self.learning_rate)
        network.compile(optimizer=optimizer, loss=module.loss, weighted_metrics=["accuracy"])
        share = self.devices
        scaled = share.scale(module.loss) * self.sample_weights()
        batches = (
            (share.fill(images), share.fill(module.targets(labels)), share.fill(weights))
            for images, labels, weights in data.train_batches(
                max(len(left), 1), left.start, scaled, self.course.skipped, share.rows
            )
        )
        network.fit(
            batches,
            initial_epoch=left.start,
            epochs=left.stop,
            steps_per_epoch=data.steps_per_epoch,
            shuffle=False,
            callbacks=self.surround(callbacks, data.steps_per_epoch),
            verbose=progress(),
        )
        if network is not module.classifier:
            module.classifier.set_weights(network.get_weights())

    @property
    def network(self) -> keras.Model:
        """See `FrozenTrainer.network`."""
        return super().network if self.whole is None else self.whole.model

    def predict(self, index: ImageIndex, title: str) -> np.ndarray:
        """Returns the probabilities of the images of `index`, (n, c) float32."""
        if self.whole is None:
            return super().predict(index, title)
        rows = np.arange(len(index))[self.devices.part(len(index))]
        batches = self.datamodule.images(index.subset(rows), self.whole.batch_size)
        outputs = self.whole.predict(batches, len(rows), f"Predicting {title}")
        return self.devices.gather(outputs, len(index))
