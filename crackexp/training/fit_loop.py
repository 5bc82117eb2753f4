"""The loop over the phases and epochs of a training: it logs, keeps checkpoints, and goes on from one."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import keras

from crackexp.reporting.formatting import seconds_text
from crackexp.training.callbacks import epoch_metrics
from crackexp.training.checkpoint import Checkpoint, Checkpointer, callback_state, values_of
from crackexp.training.history import TrainingHistory
from crackexp.utils.progress import progress
from crackexp.utils.signals import heed
from crackexp.utils.timer import Timer

Log = Callable[[dict[str, float], int], None]
SAVE_SECONDS = 300.0
"""How many seconds of a long epoch are lost at most."""


class FitLoop:
    """Follows one training from its beginning, or from the checkpoint that it goes on from.

    A trainer calls `start_phase` and passes the callbacks that `callbacks` returns to Keras' `fit`, which then logs the
    metrics of each epoch, keeps checkpoints and goes on from one.

    Args:
        log: Receives metrics and their step. Metrics that a checkpoint holds are logged again.
        checkpointer: Keeps the checkpoints of the run.
        timer: Counts the seconds of the process, and goes on with those of the checkpoint.

    Attributes:
        history: The metrics of all epochs.
        skipped: How many batches of the next epoch are done already.
    """

    def __init__(self, log: Log, checkpointer: Checkpointer, timer: Timer) -> None:
        self.log = log
        self.checkpointer = checkpointer
        self.timer = timer
        self.history = TrainingHistory()
        self.phase = ""
        self.skipped = 0
        self.restored = checkpointer.restored
        self.identity = self.restored.identity if self.restored else checkpointer.identity
        if self.restored:
            self.history = self.restored.history
            timer.carry(self.restored.seconds)
            for step, metrics in self.history.logged:
                log(metrics, step)

    def log_before(self, metrics: Mapping[str, float]) -> None:
        """Records and logs the metrics before training, at step 0."""
        self.history.before.update(metrics)
        self.history.logged.append((0, dict(metrics)))
        self._log_last()

    def has_passed(self, phase: str) -> bool:
        """Returns whether the training goes on from a later phase than `phase`."""
        return self.restored is not None and self.restored.phase != phase

    def start_phase(self, phase: str, epochs: int) -> range:
        """Starts a phase of at most `epochs` epochs, or goes on with it.

        Returns:
            The numbers of the epochs that are left; none if the last is done or a callback has ended the phase.
        """
        self.phase = phase
        self.skipped = self.restored.batch if self.restored else 0
        if self.restored is None:
            self.history.phases.append(self.history.epochs)
        end = self.history.phases[-1] + epochs
        return range(end if self.restored and self.restored.stopped else self.history.epochs, end)

    def callbacks(
        self, callbacks: Sequence[keras.callbacks.Callback], steps_per_epoch: int | None = None
    ) -> list[keras.callbacks.Callback]:
        """Returns the callbacks of a phase, with those before and after them that keep and restore checkpoints.

        Args:
            callbacks: The callbacks whose state checkpoints hold.
            steps_per_epoch: The number of batches of an epoch, if it may begin at any of them; None if checkpoints are
                kept between epochs only.
        """
        restored, self.restored = self.restored, None
        remaining = [RemainingBatches(steps_per_epoch - self.skipped)] if steps_per_epoch and self.skipped else []
        seconds = SAVE_SECONDS if steps_per_epoch else math.inf
        return [*remaining, *callbacks, SaveCheckpoints(self, callbacks, restored, seconds)]

    def end_epoch(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], logs: Mapping[str, Any]
    ) -> None:
        """Records an epoch, keeps a checkpoint, then logs the metrics.

        In this order nothing is logged that no checkpoint holds: a run that goes on logs what is missing.
        """
        self.history.append(dict(logs))
        rate = float(model.optimizer.learning_rate)
        self.skipped = 0
        metrics = epoch_metrics(dict(logs)) | {"train/learning_rate": rate}
        self.history.logged.append((self.history.epochs, metrics))
        self.save(model, callbacks, 0, bool(model.stop_training))
        self._log_last()

    def save(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], batch: int, stopped: bool = False
    ) -> None:
        """Keeps a checkpoint after `batch` batches of an epoch, 0 at the end of one."""
        checkpoint = Checkpoint(
            dataset=self.checkpointer.dataset,
            identity=self.identity,
            phase=self.phase,
            batch=batch,
            stopped=stopped,
            history=self.history,
            seconds=self.timer.summary(),
            variables=values_of(model.variables),
            optimizer=values_of(model.optimizer.variables),
            metrics=values_of(model.metrics_variables),
            callbacks=[callback_state(callback) for callback in callbacks],
        )
        self.checkpointer.save(checkpoint)

    def _log_last(self) -> None:
        step, metrics = self.history.logged[-1]
        self.log(metrics, step)


class RemainingBatches(keras.callbacks.Callback):
    """Ends the first epoch of a `fit` after the batches that remain of it; it stands before all other callbacks.

    Args:
        batches: How many batches remain.
    """

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.left -= 1
        if self.left == 0:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.left == 0:
            self.model.stop_training = False


class SaveCheckpoints(keras.callbacks.Callback):
    """Keeps a checkpoint at the end of each epoch and now and then within it; it stands after all other callbacks.

    At the beginning, when the other callbacks have reset themselves, it restores the checkpoint to go on from.

    Args:
        loop: The loop of the training.
        callbacks: The callbacks whose state is kept.
        restored: The checkpoint to go on from, or None.
        seconds: The time between two checkpoints within an epoch.
    """

    def __init__(
        self,
        loop: FitLoop,
        callbacks: Sequence[keras.callbacks.Callback],
        restored: Checkpoint | None,
        seconds: float,
    ) -> None:
        super().__init__()
        self.loop = loop
        self.callbacks = callbacks
        self.restored = restored
        self.seconds = seconds
        self.saved_at = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.restored:
            self.restored.restore(self.model, self.callbacks)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.restored and self.restored.batch:  # Keras has reset the metrics, and callbacks may have begun an epoch
            self.restored.restore(self.model, self.callbacks)
        self.restored = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        heed()
        if batch and time.monotonic() - self.saved_at > self.seconds:
            self.loop.save(self.model, self.callbacks, self.loop.skipped + batch)
            self.saved_at = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.loop.end_epoch(self.model, self.callbacks, logs or {})
        self.saved_at = time.monotonic()
        heed()


class EpochProgress(keras.callbacks.Callback):
    """Shows the progress of each epoch, counted in images, and prints a line of metrics at its end.

    It takes the place of Keras' own bar (``verbose=0``), and stands after all other callbacks. It is used as a context
    manager, so that nothing is left on the terminal where `fit` raises.

    Args:
        images: The number of training images of an epoch.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images
        self._shown = ExitStack()

    def __enter__(self) -> "EpochProgress":
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begun = time.monotonic()
        self._name = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._advance = self._shown.enter_context(progress(self._name, self.images))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._advance(self.images / (self.params["steps"] or self.images))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._shown.close()
        metrics = ", ".join(f"{name} {float(value):.4f}" for name, value in (logs or {}).items())
        print(f"{self._name:<12}{metrics}, {seconds_text(time.monotonic() - self._begun)}", flush=True)
