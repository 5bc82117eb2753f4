"""Losses: any that takes the probabilities of a softmax trains, and another one is refused before training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from crackexp.utils.errors import ConfigError
from tests.conftest import TINY, Command
from tests.training.conftest import MakeModule

OWN = """
import keras


class OneMinusProbability(keras.losses.Loss):
    target_format = "integer"

    def call(self, y_true, y_pred):
        rows = keras.ops.cast(keras.ops.reshape(y_true, (-1, 1)), "int32")
        return 1 - keras.ops.take_along_axis(y_pred, rows, axis=1)[:, 0]
"""
PROBABILITIES = np.float32([[0.75, 0.25], [0.5, 0.5]])


class Raising(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise TypeError("these are no boxes")


class NotANumber(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.log(-y_pred)[:, 0]


class InNumpy(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.convert_to_tensor(1 - np.asarray(y_pred)[:, 0])


class InWords(keras.losses.CategoricalCrossentropy):
    target_format = "words"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (keras.losses.SparseCategoricalCrossentropy(), -np.log([0.75, 0.5]).mean()),
        (keras.losses.CategoricalCrossentropy(), -np.log([0.75, 0.5]).mean()),
        (keras.losses.KLDivergence(), -np.log([0.75, 0.5]).mean()),
        (keras.losses.BinaryFocalCrossentropy(gamma=2), np.mean([0.25**2 * -np.log(0.75), 0.5**2 * -np.log(0.5)])),
        (keras.losses.MeanSquaredError(), np.mean([0.25**2, 0.5**2])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_loss_gets_the_targets_that_it_takes(make_module: MakeModule, loss: keras.Loss, expected: float) -> None:
    scores = make_module(loss=loss).score(np.array([0, 1]), PROBABILITIES)
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (Raising(), "TypeError: these are no boxes"),
        (NotANumber(), "it gave nan"),
        (InNumpy(), "Tracer"),
        (keras.losses.MeanSquaredError(reduction=None), r"it gave \["),
        (InWords(), "target_format='words'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_loss_that_does_not_fit_is_refused_with_what_it_gave(
    make_module: MakeModule, loss: keras.Loss, words: str
) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)integer.*one_hot.*Received: .*{words}"):
        make_module(loss=loss)


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["frozen", pytest.param("finetune", marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", ["keras.losses.KLDivergence", "own_losses.OneMinusProbability"])
def test_a_loss_is_an_override_away(
    command_here: Command, tmp_path: Path, read_metrics: Callable[[Path], dict[str, float]], target: str, trainer: str
) -> None:
    (tmp_path / "own_losses.py").write_text(OWN)
    words = [*TINY, "epochs=1", "dataset.count=40", "dataset.size=48", "tracking=none", f"trainer={trainer}"]
    done = command_here("train", *words, f"loss._target_={target}")
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = read_metrics(tmp_path)
    assert np.isfinite(metrics["train/loss"])
    if target.startswith("own"):
        assert 0 < metrics["val/loss"] < 1
