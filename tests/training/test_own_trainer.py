"""A trainer of the user's own is a class and a config file beside crackexp, with keys of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from crackexp.config.checking import check, instantiate
from crackexp.training.config import TrainConfig
from tests.conftest import TINY, Command

OWN = '''
from crackexp.training.frozen import FrozenTrainer
from crackexp.training.trainer import Trainer


class PixelTrainer(Trainer):
    """Trains the whole network with Keras' own loop."""

    unrelated_to_result = ("note",)

    def __init__(self, rounds, batch_size, seed, cache, note=""):
        super().__init__(batch_size, seed, cache)
        self.rounds = rounds

    def fit(self, callbacks, log, checkpointer):
        loop, data, module = self.begin(log, checkpointer), self.datamodule, self.module
        epochs = loop.start_phase("pixels", self.rounds)
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


class BriefTrainer(FrozenTrainer):
    """Takes fewer arguments than `FrozenTrainer`."""

    def __init__(self, batch_size, seed, cache):
        super().__init__(
            epochs=1, batch_size=batch_size, seed=seed, precision="float32", class_weight=None, devices=1,
            embed_batch_size=None, embeddings_gb=1.0, cache=cache,
        )
'''
SHARED = "batch_size: ${batch_size}\nseed: ${seed}\ncache: ${paths.cache}\n"
WORDS = [*TINY, "dataset.count=40", "dataset.size=48", "tracking=none"]


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A module of trainers, and the folder of their configs."""
    (tmp_path / "own_trainers.py").write_text(OWN)
    folder = tmp_path / "own" / "trainer"
    folder.mkdir(parents=True)
    (folder / "pixels.yaml").write_text(f"_target_: own_trainers.PixelTrainer\nrounds: 2\nnote: ''\n{SHARED}")
    (folder / "brief.yaml").write_text(f"_target_: own_trainers.BriefTrainer\n{SHARED}")
    return str(tmp_path / "own")


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["pixels", "brief"])
def test_a_trainer_of_ones_own_is_one_class_and_one_file(
    command_here: Command,
    own: str,
    tmp_path: Path,
    read_metrics: Callable[[Path], dict[str, float]],
    trainer: str,
) -> None:
    done = command_here("train", "--config-dir", own, *WORDS, f"trainer={trainer}")
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = read_metrics(tmp_path)
    assert {"train/loss", "val/loss", "val/loss_before", "test/accuracy"} <= metrics.keys()
    assert np.isfinite(metrics["train/loss"])
    assert metrics["val/loss"] != metrics["val/loss_before"], "nothing was trained"


@pytest.mark.slow
def test_its_key_that_changes_no_result_makes_no_other_run(command_here: Command, own: str, tmp_path: Path) -> None:
    words = ["--config-dir", own, *[word for word in WORDS if word != "tracking=none"], "trainer=pixels"]
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
