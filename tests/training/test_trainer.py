"""Trainers: what they fit, log and predict, on a small backbone with random weights."""

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from crackexp.data.pipeline import image_batches
from crackexp.models.gradcam import GradCam
from crackexp.training.callbacks import NanGuard
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.fine_tune import FineTuneTrainer
from crackexp.training.frozen import FrozenTrainer
from crackexp.training.history import TrainingHistory
from crackexp.training.trainer import Trainer
from crackexp.utils.errors import UserError
from crackexp.utils.timer import Timer
from tests.training.conftest import MOBILENET, MakeData, MakeModule

Logged = list[tuple[dict[str, float], int]]


def fit(trainer: Trainer, module: Any, data: Any, callbacks: tuple[Any, ...] = ()) -> tuple[TrainingHistory, Logged]:
    """Takes a trainer through its life, up to the end of `fit`."""
    logged: Logged = []
    trainer.setup(lambda: module, data, Timer())
    history = trainer.fit(
        callbacks, lambda metrics, step: logged.append((metrics, step)), Checkpointer("", None, "", "")
    )
    return history, logged


def test_frozen_training_leaves_the_backbone_and_moves_the_head(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    module = make_module()
    backbone = [np.array(weight) for weight in module.backbone.get_weights()]
    head = [np.array(weight) for weight in module.head.get_weights()]
    fit(FrozenTrainer(epochs=1, **arguments), module, make_data())
    for before, after in zip(backbone, module.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert any((a != b).any() for a, b in zip(head, module.head.get_weights(), strict=True))


def test_logged_metrics_are_those_of_scikit_learn_on_the_assembled_classifier(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    module, data = make_module(), make_data()
    trainer = FrozenTrainer(epochs=2, **arguments)
    _, logged = fit(trainer, module, data)
    images = np.concatenate(list(image_batches(data.val, 32, 8)))[: len(data.val)]
    probabilities = module.classifier.predict(images, verbose=0)
    last, step = logged[-1]
    assert step == 2
    assert last["val/loss"] == pytest.approx(log_loss(data.val.labels, probabilities), abs=1e-5)
    assert last["val/accuracy"] == accuracy_score(data.val.labels, probabilities.argmax(1))
    np.testing.assert_allclose(trainer.predict(data.val, "val"), probabilities, atol=1e-5)


def test_step_zero_holds_the_scores_before_training(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    _, logged = fit(FrozenTrainer(epochs=1, **arguments), make_module(), make_data())
    assert [step for _, step in logged] == [0, 1]
    assert logged[0][0].keys() == {"val/loss_before", "val/accuracy_before"}
    assert {"train/loss", "train/accuracy", "val/loss", "val/accuracy"} <= logged[1][0].keys()


def test_one_seed_gives_the_same_bits_and_another_does_not(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    def history(seed: int) -> dict[str, list[float]]:
        trainer = FrozenTrainer(epochs=2, **(arguments | {"seed": seed}))
        return fit(trainer, make_module(seed), make_data(seed))[0].metrics

    first, again, other = history(0), history(0), history(1)
    assert first == again
    assert first != other


def test_views_in_rotation_are_embedded_once(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    trainer = FrozenTrainer(epochs=4, **arguments)
    fit(trainer, make_module(), make_data(views=2))
    assert trainer.timings()["time/embedded_images"] == 2 * 36 + 12


def test_balanced_weights_are_one_on_average_and_rare_classes_weigh_more(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    data = make_data()
    rows = np.flatnonzero((data.train.labels == 0) | (np.arange(36) % 3 == 0))
    data.train, data.weights = data.train.subset(rows), data.weights[rows]
    counts = np.bincount(data.train.labels)
    trainer = FrozenTrainer(epochs=1, **(arguments | {"class_weight": "balanced"}))
    trainer.setup(partial(make_module, network=MOBILENET), data, Timer())
    weights = trainer.sample_weights()
    assert weights.mean() == pytest.approx(1)
    per_class = [weights[data.train.labels == label].sum() for label in (0, 1)]
    assert per_class[0] == pytest.approx(per_class[1])
    assert counts[0] > counts[1]


def test_a_categorical_loss_gets_one_hot_targets(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    smooth = make_module(loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    assert smooth.targets(np.array([1, 0])).tolist() == [[0, 1], [1, 0]]
    _, logged = fit(FrozenTrainer(epochs=1, **arguments), smooth, make_data())
    assert np.isfinite(logged[-1][0]["train/loss"])


def test_a_loss_that_is_no_number_stops_the_run(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    module = make_module(learning_rate=float("nan"))
    with pytest.raises(UserError, match=r"epoch 1: .*learning_rate.*Received"):
        fit(FrozenTrainer(epochs=3, **arguments), module, make_data(), (NanGuard(),))


@pytest.mark.parametrize("last", [pytest.param(5, marks=pytest.mark.slow), 3], ids=["to_the_end", "stopped_early"])
def test_averaged_weights_are_what_is_validated_and_kept(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any], last: int
) -> None:
    """An epoch is one step, so that the weights of all steps are known, and the mean by its recursion."""
    arguments |= {"batch_size": 32}
    kernels: list[np.ndarray] = []

    def train(**averaging: Any) -> tuple[list[float], list[float], np.ndarray]:
        module, data = make_module(dropout=0.0), make_data(batch_size=32)
        module.optimizer = partial(keras.optimizers.AdamW, learning_rate=0.05, **averaging)
        trainer = FrozenTrainer(epochs=5, **arguments)
        kernels.clear()

        class End(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                kernels.append(np.array(module.head.get_weights()[0]))
                self.model.stop_training = epoch + 1 == last

        metrics = fit(trainer, module, data, (End(),))[0].metrics
        assert trainer.validate()["loss"] == metrics["val_loss"][-1]
        return metrics["loss"], metrics["val_loss"], module.head.get_weights()[0]

    losses, val_losses, _ = train()
    mean, *steps = kernels
    for step in steps:
        mean = 0.7 * mean + 0.3 * step
    averaged = train(use_ema=True, ema_momentum=0.7)
    assert averaged[0] == losses, "the training itself goes on from the last step"
    assert averaged[1] != val_losses
    np.testing.assert_allclose(averaged[2], mean, atol=1e-6)


@pytest.mark.slow
def test_fine_tuning_makes_one_curve_and_keeps_batch_norm_still(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any]
) -> None:
    module, data = make_module(network=MOBILENET), make_data()
    statistics = {
        layer.name: (np.array(layer.moving_mean), np.array(layer.moving_variance))
        for layer in module.backbone.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    first = np.array(module.backbone.get_layer("Conv1").kernel)
    last = np.array(module.backbone.get_layer("Conv_1").kernel)
    trainer = FineTuneTrainer(
        head_epochs=2,
        epochs=2,
        learning_rate=1e-3,
        unfreeze_from="block_16_expand",
        freeze_batch_norm=True,
        **arguments,
    )
    history, logged = fit(trainer, module, data)
    assert [step for _, step in logged] == [0, 1, 2, 3, 4]
    assert history.phases == [0, 2]
    assert history.epochs == 4
    for name, (mean, variance) in statistics.items():
        layer = module.backbone.get_layer(name)
        np.testing.assert_array_equal(mean, layer.moving_mean)
        np.testing.assert_array_equal(variance, layer.moving_variance)
    np.testing.assert_array_equal(first, module.backbone.get_layer("Conv1").kernel)
    assert (last != np.array(module.backbone.get_layer("Conv_1").kernel)).any()
    images = np.concatenate(list(image_batches(data.test, 32, 8)))[: len(data.test)]
    np.testing.assert_allclose(
        trainer.predict(data.test, "test"),
        module.classifier.predict(images, verbose=0),
        atol=1e-5,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["head", "pixels"])
def test_what_is_explained_is_the_classifier_as_it_was_trained(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any], kind: str
) -> None:
    module, data = make_module(network=MOBILENET), make_data()
    live = {"head_epochs": 0, "learning_rate": 1e-2, "unfreeze_from": "block_16_expand", "freeze_batch_norm": True}
    trainer = FrozenTrainer(epochs=1, **arguments) if kind == "head" else FineTuneTrainer(epochs=1, **live, **arguments)
    fit(trainer, module, data)
    images = np.concatenate(list(image_batches(data.test, 32, 8)))[:5]
    gradcam = GradCam(module.classifier, data.index.classes.indices)
    _, expected = gradcam.network.predict_on_batch(images)
    maps = trainer.explain(images)
    assert maps.shape == (5, 32, 32)
    assert maps.std() > 0
    np.testing.assert_allclose(maps, gradcam.enlarge(expected, 32, 32), atol=1e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_tensorboard_files_hold_the_metrics(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any], tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from crackexp.training.callbacks import TensorBoard

    trainer = FrozenTrainer(epochs=2, **arguments)
    history, _ = fit(trainer, make_module(), make_data(), (TensorBoard(str(tmp_path / "board")),))
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    losses = [float(event.tensor_proto.float_val[0]) for event in events.Tensors("val/loss")]
    assert losses == pytest.approx(history.metrics["val_loss"])


@pytest.mark.slow
@pytest.mark.parametrize("trained", ["head", "all"])
def test_half_precision_trains_to_probabilities_in_float32(
    make_data: MakeData, make_module: MakeModule, arguments: dict[str, Any], trained: str
) -> None:
    half = arguments | {"precision": "mixed_bfloat16"}
    live = {"head_epochs": 0, "learning_rate": 1e-3, "unfreeze_from": "block_16_expand", "freeze_batch_norm": True}
    trainer = FrozenTrainer(epochs=1, **half) if trained == "head" else FineTuneTrainer(epochs=1, **live, **half)
    try:
        data = make_data()
        module = trainer.setup(partial(make_module, network=MOBILENET), data, Timer())
        trainer.fit([], lambda metrics, step: None, Checkpointer("", None, "", ""))
        assert module.backbone.get_layer("Conv1").compute_dtype == "bfloat16"
        probabilities = trainer.predict(data.test, "test")
    finally:
        keras.config.set_dtype_policy("float32")
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
