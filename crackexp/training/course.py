"""The course of a training over its phases and epochs: what was measured, what is kept of it, where it goes on."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from crackexp.budget import TimeBudget
from crackexp.signals import heed
from crackexp.training.callbacks import epoch_metrics
from crackexp.training.state import TrainingState, TrainingStates, callback_state, values_of

Log = Callable[[dict[str, float], int], None]
SAVE_SECONDS = 300.0
"""The most that is lost of a long epoch."""


class Course:
    """Follows one training from its beginning, or from the state that it goes on from.

    Args:
        log: receives metrics and their step; metrics that a saved state holds are logged again.
        states: where the state of the run is kept.
        budget: of the process; goes on with the seconds of the saved state.

    Attributes:
        history: metrics of all epochs by name, as Keras names them.
        before: metrics before training.
        phases: the epoch that each phase began at.
        skipped: batches of the next epoch that are done already.
    """

    def __init__(self, log: Log, states: TrainingStates, budget: TimeBudget) -> None:
        self.log = log
        self.states = states
        self.budget = budget
        self.history: dict[str, list[float]] = {}
        self.before: dict[str, float] = {}
        self.phases: list[int] = []
        self.curve: list[list[Any]] = []
        self.phase = ""
        self.skipped = 0
        self.saved = states.saved
        self.identity = self.saved.identity if self.saved else states.identity
        if self.saved:
            self.history, self.before = self.saved.history, self.saved.before
            self.phases, self.curve = self.saved.phases, self.saved.curve
            budget.carry(self.saved.seconds)
            for step, metrics in self.curve:
                log(metrics, step)

    @property
    def epochs(self) -> int:
        """How many epochs are done, over all phases."""
        return len(self.history.get("loss", []))

    def begin(self, before: Mapping[str, float]) -> None:
        """Records and logs metrics before training, at step 0."""
        self.before.update(before)
        self._record(0, dict(before))
        self._log_last()

    def is_over(self, phase: str) -> bool:
        """Says whether the run goes on from a later phase than `phase`."""
        return self.saved is not None and self.saved.phase != phase

    def enter(self, phase: str, epochs: int) -> range:
        """Begins a phase of at most `epochs` epochs, or goes on with it.

        Returns:
            The numbers of the epochs that are left; none where its last was done or a callback ended it.
        """
        self.phase = phase
        self.skipped = self.saved.batch if self.saved else 0
        if self.saved is None:
            self.phases.append(self.epochs)
        end = self.phases[-1] + epochs
        return range(end if self.saved and self.saved.stopped else self.epochs, end)

    def surround(
        self, callbacks: Sequence[keras.callbacks.Callback], steps_per_epoch: int | None = None
    ) -> list[keras.callbacks.Callback]:
        """Returns the callbacks of a phase with those before and after them that keep the state of the run.

        Args:
            callbacks: of the user.
            steps_per_epoch: batches of an epoch that may begin at any of them; None: state is kept between epochs only.
        """
        saved, self.saved = self.saved, None
        rest = [RestOfEpoch(steps_per_epoch - self.skipped)] if steps_per_epoch and self.skipped else []
        return [*rest, *callbacks, KeepState(self, callbacks, saved, SAVE_SECONDS if steps_per_epoch else math.inf)]

    def end_epoch(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], logs: Mapping[str, Any]
    ) -> None:
        """Records an epoch, keeps the state of the run, then logs the metrics.

        In this order nothing is logged that no state holds: a run that goes on logs what is missing.
        """
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        rate = float(model.optimizer.learning_rate)
        self.skipped = 0
        self._record(self.epochs, epoch_metrics(dict(logs)) | {"train/learning_rate": rate})
        self.keep(model, callbacks, 0, bool(model.stop_training))
        self._log_last()

    def keep(
        self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], batch: int, stopped: bool = False
    ) -> None:
        """Keeps the state of the run after `batch` batches of an epoch, 0 at the end of one."""
        state = TrainingState(
            dataset=self.states.dataset,
            identity=self.identity,
            phase=self.phase,
            batch=batch,
            stopped=stopped,
            phases=self.phases,
            before=self.before,
            history=self.history,
            curve=self.curve,
            seconds=self.budget.summary(),
            variables=values_of(model.variables),
            optimizer=values_of(model.optimizer.variables),
            metrics=values_of(model.metrics_variables),
            callbacks=[callback_state(callback) for callback in callbacks],
        )
        self.states.save(state)

    def _record(self, step: int, metrics: dict[str, float]) -> None:
        self.curve.append([step, metrics])

    def _log_last(self) -> None:
        step, metrics = self.curve[-1]
        self.log(metrics, step)


class RestOfEpoch(keras.callbacks.Callback):
    """Ends the first epoch of a fit after the batches that are left of it; stands first.

    Args:
        batches: how many are left.
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


class KeepState(keras.callbacks.Callback):
    """Keeps the state of a `Course` at the end of each epoch and now and then within it; stands last.

    At the beginning, when the other callbacks have reset themselves, it puts back the state that the run goes on from.

    Args:
        course: of the training.
        callbacks: whose state is kept.
        saved: the state to go on from, or None.
        seconds: between two states within an epoch.
    """

    def __init__(
        self,
        course: Course,
        callbacks: Sequence[keras.callbacks.Callback],
        saved: TrainingState | None,
        seconds: float,
    ) -> None:
        super().__init__()
        self.course = course
        self.callbacks = callbacks
        self.saved = saved
        self.seconds = seconds
        self.kept_at = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.saved:
            self.saved.put_back(self.model, self.callbacks)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.saved and self.saved.batch:
            self.saved.put_back(self.model, self.callbacks)
        self.saved = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        heed()
        if batch and time.monotonic() - self.kept_at > self.seconds:
            self.course.keep(self.model, self.callbacks, self.course.skipped + batch)
            self.kept_at = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.course.end_epoch(self.model, self.callbacks, logs or {})
        self.kept_at = time.monotonic()
        heed()
