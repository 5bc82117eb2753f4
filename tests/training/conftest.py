"""A small datamodule and module to train."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import pytest

from crackexp.data.augmentation import Augmentation
from crackexp.data.datamodule import DataModule
from crackexp.data.sources import ImageFolder
from crackexp.data.splits.ratio_split import RatioSplit
from crackexp.data.transforms import RandomFlip
from crackexp.models import Backbone
from crackexp.models.backbone import Application, SmallCNN
from crackexp.models.heads import build_head
from crackexp.training.module import CrackModule
from crackexp.utils.timer import Timer

MakeData = Callable[..., DataModule]
MakeModule = Callable[..., CrackModule]
MOBILENET = Application("mobilenet_v2", 0.35, None)
"""A deep backbone with random weights, for tests that name its layers."""


@pytest.fixture
def make_data(patches: Path, tmp_path: Path) -> MakeData:
    """Makes a datamodule of 60 patches at 32 px: 36 to train, 12 to val, 12 to test."""

    def make(seed: int = 0, views: int | None = None, batch_size: int = 8) -> DataModule:
        dataset = ImageFolder(
            name="patches",
            path=str(patches),
            positive=None,
            limit=None,
            on_bad_file="error",
            cache=str(tmp_path),
        )
        split = RatioSplit(ratio=[0.6, 0.2, 0.2], seed=1337, cache=str(tmp_path))
        flips = Augmentation({"flip": RandomFlip("horizontal_and_vertical")}, views)
        data = DataModule(dataset, split, flips, 32, batch_size, seed)
        data.prepare()
        data.setup()
        return data

    return make


@pytest.fixture
def make_module() -> MakeModule:
    """Makes a module with random weights, of a backbone that is small unless another one is given."""

    def make(
        seed: int = 0,
        loss: keras.Loss | None = None,
        learning_rate: float = 1e-2,
        dropout: float = 0.3,
        network: Backbone | None = None,
    ) -> CrackModule:
        backbone = (network or SmallCNN([8, 16, 32])).build(32, seed)
        return CrackModule(
            backbone,
            build_head(backbone.output_shape[-1], 2, dropout, seed),
            loss or keras.losses.SparseCategoricalCrossentropy(),
            partial(keras.optimizers.Adam, learning_rate=learning_rate),
        )

    return make


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, object]:
    """What every trainer takes."""
    return {
        "batch_size": 8,
        "seed": 0,
        "precision": "float32",
        "class_weight": None,
        "devices": 1,
        "embed_batch_size": 8,
        "embeddings_gb": 1,
        "cache": str(tmp_path),
    }


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def read_metrics() -> Callable[[Path], dict[str, float]]:
    """Reads the metrics of the only run below a folder."""

    def read(folder: Path) -> dict[str, float]:
        (file,) = folder.rglob("result.json")
        metrics: dict[str, float] = json.loads(file.read_text())["metrics"]
        return metrics

    return read
