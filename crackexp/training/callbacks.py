"""Keras callbacks: validation, averaged weights, TensorBoard without TensorFlow, a NaN guard, a schedule."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from crackexp.config.types import Text
from crackexp.training.module import CrackModule
from crackexp.utils.errors import ConfigError, UserError


class Validate(keras.callbacks.Callback):
    """Puts val_loss and val_accuracy into the logs of each epoch; it stands before the callbacks that read them.

    They are computed from one prediction of every image: Keras' own averages over padded batches are off.

    Args:
        module: The module, which scores the predictions.
        labels: (n,) int, the labels of the validation images.
        predict: Returns their probabilities, (n, c).
    """

    def __init__(self, module: CrackModule, labels: np.ndarray, predict: Callable[[], np.ndarray]) -> None:
        super().__init__()
        self.module = module
        self.labels = labels
        self.predict = predict

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        scores = self.module.score(self.labels, self.predict())
        assert logs is not None
        logs.update({f"val_{name}": value for name, value in scores.items()})


class AveragedWeights(keras.callbacks.Callback):
    """Puts an optimizer's running mean of the weights into the model between epochs, if it keeps one (`use_ema`).

    So it is the mean that is validated, saved and restored. `keras.callbacks.SwapEMAWeights` loses the mean if a
    callback ends the training early; without either, restoring the best epoch brings back weights that are no mean.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.last_step: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.last_step:
            for weight, value in zip(self.model.trainable_variables, self.last_step, strict=True):
                weight.assign(value)
            self.last_step = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if optimizer.use_ema:
            self.last_step = [np.asarray(weight.value) for weight in self.model.trainable_variables]
            optimizer.finalize_variable_values(self.model.trainable_variables)


class TensorBoard(keras.callbacks.Callback):
    """Writes the metrics of each epoch as TensorBoard event files, without TensorFlow.

    Args:
        log_dir: The folder of the event files.

    Example:
        >>> board = TensorBoard("logs/run1")
        >>> board.log_dir
        'logs/run1'
    """

    def __init__(self, log_dir: Text) -> None:
        super().__init__()
        self.log_dir = log_dir
        self._writer: Any = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        from tensorboard.summary import Writer

        self._writer = self._writer or Writer(self.log_dir)
        for name, value in epoch_metrics(logs or {}).items():
            self._writer.add_scalar(name, value, epoch + 1)
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None


class NanGuard(keras.callbacks.Callback):
    """Stops a run at the end of the epoch in which a metric is no finite number any more.

    Raises:
        UserError: Training diverged; the message names the epoch and the metric.

    Example:
        >>> NanGuard().on_epoch_end(0, {"loss": 0.7})
        >>> NanGuard().on_epoch_end(0, {"loss": float("nan")})
        Traceback (most recent call last):
        crackexp.utils.errors.UserError: Training diverged in epoch 1: loss is not a number. ...
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            if not math.isfinite(float(value)):
                raise UserError(
                    f"Training diverged in epoch {epoch + 1}: {name} is not a number. "
                    f"Type a smaller optimizer.learning_rate, or trainer.precision=float32. "
                    f"Received: {name}={value}"
                )


class EpochSchedule(keras.callbacks.Callback):
    """Sets the learning rate of each epoch to a share of the rate that the phase begins with.

    A second phase, which has a rate and epochs of its own, goes through the whole schedule anew.

    Args:
        schedule: A Keras schedule that maps how much of the phase is over, in [0, 1), to the share of its rate.

    Raises:
        ConfigError: The schedule is none of Keras'.

    Example:
        >>> half = keras.optimizers.schedules.CosineDecay(initial_learning_rate=1.0, decay_steps=1.0)
        >>> callback = EpochSchedule(half)
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule) -> None:
        super().__init__()
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise ConfigError(
                "EpochSchedule takes a schedule of Keras'. Type callbacks=cosine, or give schedule a _target_ such "
                f"as keras.optimizers.schedules.CosineDecay. Received: schedule={schedule}"
            )
        self.schedule = schedule

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.rate = float(self.model.optimizer.learning_rate)
        self.first: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.first is None:
            self.first = epoch
        over = (epoch - self.first) / (self.params["epochs"] - self.first)
        self.model.optimizer.learning_rate = self.rate * float(self.schedule(over))


def epoch_metrics(logs: dict[str, Any]) -> dict[str, float]:
    """Returns Keras' logs under the names of the tracking store: loss is train/loss, val_loss is val/loss."""
    names = {name: name.replace("val_", "val/", 1) if name.startswith("val_") else f"train/{name}" for name in logs}
    return {names[name]: float(value) for name, value in logs.items()}
