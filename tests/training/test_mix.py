"""Training with another dataset mixed in: its weight scales what its images teach, for every trainer."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from crackexp.data.augmentation import Augmentation
from crackexp.data.auxiliary import AuxiliaryDataset
from crackexp.data.datamodule import DataModule
from crackexp.data.sources import ImageFolder
from crackexp.models.backbone import SmallCNN
from crackexp.models.heads import build_head
from crackexp.training.fine_tune import FineTuneTrainer
from crackexp.training.frozen import FrozenTrainer
from crackexp.training.module import CrackModule
from crackexp.training.trainer import Trainer
from tests.conftest import write_patches
from tests.training.conftest import MakeData
from tests.training.test_trainer import fit

MAIN, OTHERS = 36, 24


@pytest.fixture
def mixed(make_data: MakeData, tmp_path: Path) -> Callable[[float], DataModule]:
    """Makes the datamodule of 36 training images, all in one batch, with 24 mixed in at a weight, plain views."""
    root = write_patches(tmp_path / "other", ("sound", "crack"), OTHERS // 2, size=40)

    def make(weight: float) -> DataModule:
        folder = ImageFolder(
            name="other", path=root, positive=None, limit=None, on_bad_file="error", cache=str(tmp_path)
        )
        mix = [AuxiliaryDataset(folder, weight)] if weight else []
        data = make_data()
        data = DataModule(data.dataset, data.splitter, Augmentation({}, None), 32, MAIN + OTHERS * len(mix), 0, mix)
        data.prepare()
        data.setup()
        return data

    return make


def head_of(trainer: Trainer, data: DataModule, learning_rate: float) -> np.ndarray:
    """Returns the weights of the head after one step of plain gradient descent, less those before."""
    backbone = SmallCNN([8]).build(32, 0)
    module = CrackModule(
        backbone,
        build_head(8, 2, 0.0, 0),
        keras.losses.SparseCategoricalCrossentropy(),
        partial(keras.optimizers.SGD, learning_rate=learning_rate),
    )
    before = [np.array(weight) for weight in module.head.get_weights()]
    fit(trainer, module, data)
    pairs = zip(module.head.get_weights(), before, strict=True)
    return np.concatenate([(after - start).ravel() for after, start in pairs])


@pytest.mark.parametrize("kind", ["frozen", "balanced", "finetune"])
def test_a_weight_of_almost_nothing_trains_as_without(
    mixed: Callable[[float], DataModule], arguments: dict[str, Any], kind: str
) -> None:
    """The loss is a mean over the batch: 60 images at a rate of 60/36 step as far as 36 at a rate of 1."""

    def step(weight: float, rate: float) -> np.ndarray:
        data = mixed(weight)
        given = arguments | {"batch_size": data.batch_size, "class_weight": "balanced" if kind == "balanced" else None}
        if kind != "finetune":
            return head_of(FrozenTrainer(epochs=1, **given), data, rate)
        trainer = FineTuneTrainer(
            epochs=1, head_epochs=0, learning_rate=rate, unfreeze_from=None, freeze_batch_norm=True, **given
        )
        return head_of(trainer, data, rate)

    without, almost, whole = step(0, 1.0), step(1e-6, (MAIN + OTHERS) / MAIN), step(1, 1.0)
    far = np.abs(without).max()
    assert far > 1e-3
    np.testing.assert_allclose(almost, without, atol=1e-3 * far)
    assert np.abs(whole - without).max() > 0.02 * far
