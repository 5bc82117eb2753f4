"""Trainers that inherit another one, with keys of their own or fewer, and the former names of trainers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from crackexp.config.checking import check, instantiate
from crackexp.training.config import TrainConfig
from tests.conftest import TINY, Command

PROJECT = Path(__file__).parents[1] / "extension_project"
OWN = '''
from crackexp.training.frozen import FrozenTrainer
from wall.pixels import PixelTrainer


class NotedTrainer(PixelTrainer):
    """Takes a note beside the arguments of `PixelTrainer`."""

    unrelated_to_result = ("note",)

    def __init__(self, note="", **kwargs):
        super().__init__(**kwargs)


class BriefTrainer(FrozenTrainer):
    """Takes fewer arguments than `FrozenTrainer`."""

    def __init__(self, batch_size, seed, cache):
        super().__init__(
            epochs=1, batch_size=batch_size, seed=seed, embed_batch_size=None, embeddings_gb=1.0, cache=cache
        )
'''
SHARED = "batch_size: ${batch_size}\nseed: ${seed}\ncache: ${paths.cache}\n"
WORDS = [*TINY, "dataset.count=40", "dataset.size=48", "tracking=none"]


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A module of trainers beside those of the extension project, and the folder of their configs."""
    shutil.copytree(PROJECT / "wall", tmp_path / "wall")
    (tmp_path / "own_trainers.py").write_text(OWN)
    folder = tmp_path / "own" / "trainer"
    folder.mkdir(parents=True)
    (folder / "noted.yaml").write_text(f"_target_: own_trainers.NotedTrainer\nepochs: 1\nnote: ''\n{SHARED}")
    (folder / "brief.yaml").write_text(f"_target_: own_trainers.BriefTrainer\n{SHARED}")
    return str(tmp_path / "own")


@pytest.mark.slow
def test_a_trainer_may_take_fewer_arguments_than_the_one_that_it_inherits(
    command_here: Command, own: str, tmp_path: Path, read_metrics: Callable[[Path], dict[str, float]]
) -> None:
    done = command_here("train", "--config-dir", own, *WORDS, "trainer=brief")
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = read_metrics(tmp_path)
    assert {"train/loss", "val/loss", "val/loss_before", "test/accuracy"} <= metrics.keys()
    assert np.isfinite(metrics["train/loss"])
    assert metrics["val/loss"] != metrics["val/loss_before"], "nothing was trained"


@pytest.mark.slow
def test_its_key_that_changes_no_result_makes_no_other_run(command_here: Command, own: str, tmp_path: Path) -> None:
    words = ["--config-dir", own, *[word for word in WORDS if word != "tracking=none"], "trainer=noted"]
    done = command_here("train", *words, "-m", "trainer.note=one,two")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [file for file in tmp_path.rglob("result.json") if (file.parent / "config.yaml").exists()]
    assert len(runs) == 1, "the second trial is the first one again"


@pytest.mark.parametrize(
    ("group", "old", "new"),
    [
        ("finetune", "crackexp.training.live.LiveTrainer", "crackexp.training.fine_tune.FineTuneTrainer"),
        ("frozen", "crackexp.training.trainer.FrozenTrainer", "crackexp.training.frozen.FrozenTrainer"),
    ],
)
def test_a_former_name_of_a_trainer_stands_for_the_present_one(
    compose_config: Callable[..., DictConfig], group: str, old: str, new: str
) -> None:
    cfg = check(compose_config(f"trainer={group}", f"trainer._target_={old}"), TrainConfig)
    assert cfg.trainer._target_ == new
    assert type(instantiate(cfg.trainer)).__name__ == new.rpartition(".")[2]
