"""A trainer."""

from collections.abc import Sequence

import keras

from crackexp.training.checkpoint import Checkpointer
from crackexp.training.fit_loop import Log
from crackexp.training.history import TrainingHistory
from crackexp.training.trainer import Trainer


class PixelTrainer(Trainer):
    """Trains the whole network through pixels.

    Args:
        epochs: The number of epochs.
        batch_size: The number of images of a training step.
        seed: The seed of the run.
        cache: The folder of compiled programs.
    """

    def __init__(self, epochs: int, batch_size: int, seed: int, cache: str) -> None:
        super().__init__(batch_size, seed, cache)
        self.epochs = epochs

    def fit(
        self, callbacks: Sequence[keras.callbacks.Callback], log: Log, checkpointer: Checkpointer
    ) -> TrainingHistory:
        loop, data, module = self.begin(log, checkpointer), self.datamodule, self.module
        epochs = loop.start_phase("pixels", self.epochs)
        module.classifier.compile(module.optimizer(), module.loss, weighted_metrics=["accuracy"])
        module.classifier.fit(
            self.train_batches(epochs),
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            steps_per_epoch=data.steps_per_epoch,
            callbacks=loop.callbacks(self.with_validation(callbacks)),
            shuffle=False,
            verbose=0,
        )
        return loop.history
