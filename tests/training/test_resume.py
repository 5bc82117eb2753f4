"""A training that breaks off and goes on in new objects ends with the same bits as one that was left alone."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from crackexp.training import fit_loop
from crackexp.training.callbacks import EpochSchedule, TensorBoard
from crackexp.training.checkpoint import Checkpointer, callback_state, values_of
from crackexp.training.fine_tune import FineTuneTrainer
from crackexp.training.fit_loop import RemainingBatches
from crackexp.training.frozen import FrozenTrainer
from crackexp.training.trainer import Trainer
from crackexp.utils.errors import DataError
from crackexp.utils.pytree import load_pytree, save_pytree
from crackexp.utils.timer import Timer
from tests.training.conftest import MOBILENET, MakeData, MakeModule

RUN = "0" * 32


class Interrupted(Exception):
    pass


class Interrupt(keras.callbacks.Callback):
    """Breaks off before a batch of an epoch."""

    def __init__(self, place: tuple[int, int] | None) -> None:
        super().__init__()
        self.place = place

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.now, batch) == self.place:
            raise Interrupted


@dataclass
class Outcome:
    """All that a training leaves."""

    history: dict[str, list[float]]
    phases: list[int]
    before: dict[str, float]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]
    classifier: list[np.ndarray]
    probabilities: np.ndarray
    logged: dict[tuple[str, int], float]


def assert_same_bits(one: Outcome, other: Outcome) -> None:
    assert one.history == other.history
    assert one.phases == other.phases
    assert one.before == other.before
    assert one.logged == other.logged
    for name in ("variables", "optimizer", "classifier"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
    np.testing.assert_array_equal(one.probabilities, other.probabilities, strict=True)


class Training:
    """One and the same training, each time in new objects.

    Args:
        make: makes trainer, module and datamodule.
        callbacks: makes the callbacks.
    """

    def __init__(self, make: Callable[[], tuple[Trainer, Any, Any]], callbacks: Callable[[], list[Any]] = list) -> None:
        self.make = make
        self.callbacks = callbacks

    def run(self, cache: Path, *breaks: tuple[int, int] | int) -> Outcome:
        """Trains to the end, having broken off at each of `breaks`: before (epoch, batch), or when logging a step."""
        logged: dict[tuple[str, int], float] = {}
        for turn, broken in enumerate(breaks):
            with pytest.raises(Interrupted):
                self._once(cache, broken, logged, resume=turn > 0)
        return self._once(cache, None, logged, resume=bool(breaks))

    def _once(self, cache: Path, broken: tuple[int, int] | int | None, logged: Any, resume: bool) -> Outcome:
        def log(metrics: dict[str, float], step: int) -> None:
            if step == broken:
                raise Interrupted
            logged.update({(name, step): value for name, value in metrics.items()})

        trainer, module, data = self.make()
        checkpointer = Checkpointer(str(cache), RUN if resume else None, data.index.fingerprint, "code")
        trainer.setup(lambda: module, data, Timer())
        interrupt = Interrupt(broken if isinstance(broken, tuple) else None)
        with checkpointer.open(RUN):
            history = trainer.fit([interrupt, *self.callbacks()], log, checkpointer)
        model = interrupt.model
        return Outcome(
            history.metrics,
            history.phases,
            history.before,
            values_of(model.variables),
            values_of(model.optimizer.variables),
            [np.array(weight) for weight in module.classifier.get_weights()],
            trainer.predict(data.test, "test"),
            logged,
        )


def watchful() -> list[keras.callbacks.Callback]:
    """Callbacks with much to remember."""
    return [
        keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1, min_delta=0.05, cooldown=1),
    ]


@pytest.fixture
def arguments(arguments: dict[str, Any], cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Embeddings and compiled programs are shared, as by the runs of a user; a block of the head is one batch."""
    monkeypatch.setattr("crackexp.embeddings.dataset.BLOCK_BYTES", 1)
    return arguments | {"cache": str(cache)}


@pytest.fixture
def frozen(make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]) -> Training:
    """Five epochs of a head with dropout on augmented views."""
    return Training(lambda: (FrozenTrainer(epochs=5, **arguments), make_module(dropout=0.5), make_data()), watchful)


@pytest.fixture
def finetune(make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]) -> Training:
    """Three epochs of the head, three of the last layers, with dropout and augmentation."""

    def make() -> tuple[Trainer, Any, Any]:
        trainer = FineTuneTrainer(
            head_epochs=3,
            epochs=3,
            learning_rate=1e-3,
            unfreeze_from="block_16_expand",
            freeze_batch_norm=False,
            **arguments,
        )
        return trainer, make_module(dropout=0.5, network=MOBILENET), make_data()

    return Training(make, watchful)


ONCE, AGAIN = [(3, 2)], [[3], [(1, 0), 3, (4, 3)], [5]]


@pytest.mark.parametrize("breaks", [ONCE, *(pytest.param(breaks, marks=pytest.mark.slow) for breaks in AGAIN)], ids=str)
def test_a_head_goes_on_bit_for_bit(frozen: Training, tmp_path: Path, breaks: list[Any]) -> None:
    whole = frozen.run(tmp_path / "whole")
    assert len(whole.history["loss"]) == 5
    assert len(set(whole.history["learning_rate"])) > 1, "the rate never fell: nothing is shown"
    assert_same_bits(frozen.run(tmp_path / "broken", *breaks), whole)


@pytest.mark.slow
@pytest.mark.parametrize("breaks", [[3, (5, 2)], [(2, 1)], [4, (5, 0)], [6]], ids=str)
def test_fine_tuning_goes_on_bit_for_bit_in_both_phases(finetune: Training, tmp_path: Path, breaks: list[Any]) -> None:
    whole = finetune.run(tmp_path / "whole")
    assert whole.phases == [0, 3]
    assert_same_bits(finetune.run(tmp_path / "broken", *breaks), whole)


@pytest.mark.slow
def test_a_long_epoch_goes_on_from_its_middle_bit_for_bit(
    finetune: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune.run(tmp_path / "whole")
    monkeypatch.setattr(fit_loop, "SAVE_SECONDS", -1.0)
    begun: list[int] = []
    monkeypatch.setattr(RemainingBatches, "on_train_begin", lambda remaining, logs=None: begun.append(remaining.left))
    assert_same_bits(finetune.run(tmp_path / "broken", (3, 2), (3, 2), (4, 3)), whole)
    assert begun == [3, 2, 2], "of the 4 batches of an epoch"


@pytest.mark.slow
def test_a_phase_that_was_stopped_early_stays_so(finetune: Training, tmp_path: Path) -> None:
    finetune.callbacks = lambda: [keras.callbacks.EarlyStopping("val_loss", min_delta=10, restore_best_weights=True)]
    whole = finetune.run(tmp_path / "whole")
    assert whole.phases == [0, 2]
    assert len(whole.history["loss"]) == 4
    assert_same_bits(finetune.run(tmp_path / "broken", 2, 4), whole)


def test_without_a_saved_state_a_run_begins_anew(frozen: Training, tmp_path: Path) -> None:
    assert_same_bits(frozen.run(tmp_path / "broken", (0, 2)), frozen.run(tmp_path / "whole"))


@pytest.mark.parametrize("optimizer", [pytest.param("SGD", marks=pytest.mark.slow), "AdamW"])
def test_averaged_weights_schedules_and_checkpoints_go_on(
    frozen: Training, make_module: MakeModule, tmp_path: Path, optimizer: str
) -> None:
    make = frozen.make

    def averaging() -> Any:
        trainer, module, data = make()
        kind = getattr(keras.optimizers, optimizer)
        module.optimizer = lambda **rest: kind(**{"learning_rate": 0.01, "use_ema": True, **rest})
        return trainer, module, data

    def callbacks() -> list[Any]:
        cosine = keras.optimizers.schedules.CosineDecay(1.0, 1.0)
        best = keras.callbacks.ModelCheckpoint(f"{tmp_path}/best.weights.h5", "val_loss", save_best_only=True,
                                               save_weights_only=True)  # fmt: skip
        return [EpochSchedule(cosine), best]

    def stored() -> list[bytes]:
        arrays: list[bytes] = []
        with h5py.File(tmp_path / "best.weights.h5") as file:
            file.visititems(lambda _, item: arrays.append(item[()].tobytes()) if hasattr(item, "dtype") else None)
        return arrays

    frozen.make, frozen.callbacks = averaging, callbacks
    whole = frozen.run(tmp_path / "whole")
    best = stored()
    assert_same_bits(frozen.run(tmp_path / "broken", (4, 1)), whole)
    assert best
    assert stored() == best


@pytest.mark.slow
def test_a_schedule_begins_anew_with_the_rate_of_each_phase(finetune: Training, tmp_path: Path) -> None:
    finetune.callbacks = lambda: [EpochSchedule(keras.optimizers.schedules.CosineDecay(1.0, 1.0))]
    logged = finetune.run(tmp_path / "broken", 2, (4, 1)).logged
    rates = [logged["train/learning_rate", step] for step in range(1, 7)]
    assert rates == pytest.approx([1e-2, 7.5e-3, 2.5e-3, 1e-3, 7.5e-4, 2.5e-4])


@pytest.mark.slow
def test_a_scaled_loss_goes_on(frozen: Training, arguments: dict[str, Any], tmp_path: Path) -> None:
    arguments["precision"] = "mixed_float16"
    keras.config.set_dtype_policy("mixed_float16")
    try:
        whole = frozen.run(tmp_path / "whole")
        assert_same_bits(frozen.run(tmp_path / "broken", (3, 1)), whole)
    finally:
        keras.config.set_dtype_policy("float32")
    assert len(whole.optimizer) > 8, "the loss was not scaled: nothing is shown"


def test_the_curve_in_tensorboard_has_no_hole(frozen: Training, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    frozen.callbacks = lambda: [TensorBoard(str(tmp_path / "board"))]
    outcome = frozen.run(tmp_path / "broken", (2, 0))
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    points = [(event.step, float(event.tensor_proto.float_val[0])) for event in events.Tensors("val/loss")]
    assert points == [(step, pytest.approx(loss)) for step, loss in enumerate(outcome.history["val_loss"], 1)]


def test_a_run_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    checkpointer = Checkpointer(str(tmp_path), None, "images", "code")
    with checkpointer.open(RUN), pytest.raises(DataError, match="another process"):
        Checkpointer(str(tmp_path), RUN, "images", "code")
    assert Checkpointer(str(tmp_path), RUN, "images", "code").restored is None
    checkpointer.remove()
    assert not checkpointer.folder or not checkpointer.folder.exists()


def test_a_run_without_an_id_keeps_nothing(frozen: Training, tmp_path: Path) -> None:
    trainer, module, data = frozen.make()
    checkpointer = Checkpointer(str(tmp_path / "none"), None, data.index.fingerprint, "code")
    trainer.setup(lambda: module, data, Timer())
    with checkpointer.open(None):
        trainer.fit([], lambda metrics, step: None, checkpointer)
    checkpointer.remove()
    assert not (tmp_path / "none").exists()


def test_other_images_are_refused_and_other_code_is_told(frozen: Training, tmp_path: Path) -> None:
    frozen.run(tmp_path)
    _, _, data = frozen.make()
    with pytest.raises(DataError, match=r"images are not those.*Received: dataset other"):
        Checkpointer(str(tmp_path), RUN, "other", "code")
    assert not Checkpointer(str(tmp_path), RUN, data.index.fingerprint, "code").code_changed
    assert Checkpointer(str(tmp_path), RUN, data.index.fingerprint, "newer code").code_changed


def test_a_damaged_state_is_told(frozen: Training, tmp_path: Path) -> None:
    frozen.run(tmp_path)
    (file,) = tmp_path.glob("states/*/state.npz")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cannot be read.*rm -r .*Received: resume="):
        Checkpointer(str(tmp_path), RUN, "images", "code")


def test_a_state_of_another_version_is_told(frozen: Training, tmp_path: Path) -> None:
    frozen.run(tmp_path)
    (file,) = tmp_path.glob("states/*/state.npz")
    for change in ({"phase": None}, {"batch": -1}, {"later": 1}):
        whole = load_pytree(file)
        save_pytree(file, {key: value for key, value in {**whole, **change}.items() if value is not None})
        with pytest.raises(DataError, match=r"another version.*rm -r .*Received: resume="):
            Checkpointer(str(tmp_path), RUN, "images", "code")
        save_pytree(file, whole)


def test_a_callbacks_arguments_and_helpers_are_no_state() -> None:
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=7)
    stopping.on_train_begin()
    stopping.monitor_op = keras.ops.less
    assert callback_state(stopping) == {
        "class": "EarlyStopping",
        "values": {"wait": 0, "stopped_epoch": 0, "best": None, "best_weights": None, "best_epoch": 0},
    }
