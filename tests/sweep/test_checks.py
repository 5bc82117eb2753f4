"""What is wrong with a sweep as a whole is refused once, before the first trial starts and anything is written."""

from pathlib import Path

import pytest

from tests.conftest import Command

OPTUNA = "hydra/sweeper=optuna"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("dropout=0.1,0.2 epochs=0", ["epochs: must be greater than 0", "Received: epochs=0 (override epochs=0)"]),
        ("epochs=0 -m dropout=0.1,0.2", ["epochs: must be greater than 0"]),
        ("+sweep=seeds split.ratio=[0.5,0.2,0.2]", ["split.ratio: must sum to 1"]),
        ("backbone=glob(mobile*) epochs=0", ["epochs: must be greater than 0"]),
        (f"{OPTUNA} dropout=interval(0,0.5) epochs=0", ["epochs: must be greater than 0"]),
        ("dropout=2", ["dropout: must be less than 1"]),
        ("seed=0,1 task_name=..", ["task_name: must be a name"]),
        ("resume=abc", ["is no sweep", "Received: -m"]),
        ("resume=abc,abd", ["All trials of a sweep share resume", "Received: resume=abc,abd"]),
        ("paths.root=a,b", ["All trials of a sweep share paths.root"]),
        ("tracking=local,none", ["All trials of a sweep share tracking"]),
        ("sweep.level=0.9,0.95", ["All trials of a sweep share sweep.level"]),
        ("backbone=mobilenet_v2,nope,resnet50", ["backbone has no option 'nope'", "mobilenet_v2,nope,resnet50"]),
        ("callbacks=[minimal],[nope]", ["callbacks has no option 'nope'. Did you mean 'none'?"]),
        ("backbone=glob(z*)", ["nothing to choose backbone from", "Received: backbone=glob(z*)"]),
        ("epochs=range(0,0)", ["nothing to choose epochs from"]),
        ("seed=interval(0,1)", ["hydra/sweeper=optuna", "Received: seed=interval(0,1)"]),
        ("seed=0,1 hydra.sweep.dir=", ["hydra.sweep.dir=FOLDER"]),
        ("seed=0,1 hydra.sweeper.max_batch_size=0", ["max_batch_size", "(override hydra.sweeper.max_batch_size=0)"]),
        (f"{OPTUNA} hydra.sweeper.n_trials=0 dropout=0.1,0.2", ["hydra.sweeper.n_trials: must be greater than 0"]),
        ("hydra/launcher=joblib hydra.launcher.n_jobs=0 seed=0,1", ["hydra.launcher.n_jobs"]),
    ],
)
def test_a_sweep_that_cannot_succeed_is_refused_before_it_starts(
    command_here: Command, tmp_path: Path, typed: str, words: list[str]
) -> None:
    arguments = typed.split() if "-m" in typed.split() else ["-m", *typed.split()]
    done = command_here("train", *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_one_level_alone_is_left_to_its_trials(command_here: Command, tmp_path: Path) -> None:
    done = command_here("train", "-m", "dropout=2,3", "tracking=none")
    assert done.returncode == 1
    assert done.stdout.count("FAILED") == 2
    assert len(list(tmp_path.glob("multirun/train/*/*/*/cell.json"))) == 2
