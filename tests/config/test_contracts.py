"""What a `_target_` names is looked at before it is called: in every group, at any depth, also out of a store."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from omegaconf import DictConfig, OmegaConf

from crackexp.config.checking import check, instantiate
from crackexp.config.contracts import CONTRACTS, require_all_kept, require_trusted
from crackexp.training.config import TrainConfig
from crackexp.utils.errors import ConfigError
from tests.conftest import TINY, Command

Compose = Callable[..., DictConfig]

MINE = """
import pathlib
import keras
from crackexp.data.augmentation import Augmentation
from crackexp.data.transforms import Transform

def touch(*args, **kwargs):
    pathlib.Path("called").touch()

class Touch:
    def __init__(self, *args, **kwargs):
        touch()

class Keeps(Transform):
    def __init__(self, inner=None):
        self.inner = inner

    def __call__(self, image, rng):
        return image

class Plain(Augmentation):
    def __init__(self, views=None):
        super().__init__({}, views)

class Stops(keras.callbacks.Callback):
    def __init__(self, schedule=None, inner=None):
        super().__init__()
        self.schedule, self.inner = schedule, inner
"""
HOSTILE = (
    *("mine.touch", "mine.Touch", "os.system", "subprocess.Popen", "builtins.eval", "pathlib.Path.unlink"),
    *("crackexp.utils.files.write_text", "crackexp.cli.main.os.system", "keras.saving.load_model"),
)
KEYS = {
    "callbacks": "+callbacks.mine",
    "augmentation.transforms": "+augmentation.transforms.mine",
    "mix": "mix",
    "evaluation.also": "evaluation.also",
}
"""How a part is given where it is no group of its own."""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the user's own, in the working folder; returns the file that its traps write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "mine.py").write_text(MINE)
    yield tmp_path / "called"
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("target", HOSTILE)
@pytest.mark.parametrize("group", [*CONTRACTS, *KEYS])
def test_a_target_of_another_kind_is_refused_before_it_is_called(mine: Path, group: str, target: str) -> None:
    node = {"_target_": target, "_args_": ["touch called"], "path": "called", "text": "x"}
    nodes = {
        "callbacks": {"callbacks": {"mine": node}},
        "augmentation.transforms": {
            "augmentation": {"_target_": "crackexp.data.augmentation.Augmentation", "transforms": {"mine": node}}
        },
    }
    cfg = OmegaConf.create(nodes.get(group, {group: node}))
    built = {"callbacks": "callbacks.mine", "augmentation.transforms": "augmentation"}.get(group, group)
    place = f"{group}.mine" if group in ("mix", "evaluation.also") else None
    with pytest.raises(ConfigError, match=rf"`{target}` (is no|may not be built)|cannot be imported") as refusal:
        instantiate(cfg[group] if place else OmegaConf.select(cfg, built), place)
    assert f"_target_={target}" in str(refusal.value)
    assert not mine.exists()


@pytest.mark.parametrize("group", [*CONTRACTS, *KEYS])
def test_a_command_refuses_it_without_a_trace(command_here: Command, mine: Path, patches: Path, group: str) -> None:
    node = "{_target_: mine.Touch, name: mine}"
    node = f"[{{mine: {node}}}]" if group in ("mix", "evaluation.also") else node
    given = f"{KEYS[group]}={node}" if group in KEYS else f"++{group}._target_=mine.Touch"
    dataset = ["dataset=folder", f"dataset.path={patches}"]
    done = command_here("train", *dataset, *TINY, given)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "mine.Touch" in done.stderr
    assert "Traceback" not in done.stderr
    assert not mine.exists()
    assert not (mine.parent / "mlruns").exists()


def test_other_commands_and_sweeps_refuse_it_too(command_here: Command, mine: Path) -> None:
    logged = mine.parent / "logged"
    logged.mkdir()
    (logged / "MLmodel").touch()
    for name, words in {
        "train": ["-m", "dropout=0.1,0.2", "++tracking._target_=mine.Touch"],
        "audit": ["dataset._target_=mine.Touch"],
        "evaluate": [f"run={logged}", "dataset._target_=mine.Touch"],
        "calibrate": [f"model={logged}", "dataset.path=abc", "dataset._target_=mine.Touch"],
        "adapt": [f"model={logged}", "dataset.path=abc", "dataset._target_=mine.Touch"],
        "compare": ["abc", "tracking._target_=mine.Touch"],
    }.items():
        done = command_here(name, *words)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "`mine.Touch` is no " in done.stderr
    assert not mine.exists()


@pytest.mark.parametrize(
    ("place", "node"),
    [
        ("callbacks.x", {"_target_": "mine.Stops", "inner": {"_target_": "mine.Touch"}}),
        (
            "callbacks.x",
            {"_target_": "mine.Stops", "inner": [{"a": {"_target_": "os.system", "command": "touch called"}}]},
        ),
        ("callbacks.x", {"_target_": "mine.Stops", "_args_": [{"_target_": "mine.touch"}]}),
        ("callbacks.x", {"_target_": "keras.callbacks.LambdaCallback", "on_train_begin": {"_target_": "mine.touch"}}),
        ("callbacks.x", {"_target_": "mine.Stops", "_partial_": True}),
        ("callbacks.x", {"_target_": "mine.Stops", "inner": {"_target_": None}}),
        ("callbacks.x", {"_target_": ["mine.Stops"]}),
        ("callbacks.x", {"_target_": "mine"}),
        ("callbacks.x", {"_target_": "mine.Nothing"}),
        ("callbacks.x", {"_target_": ""}),
        ("callbacks.x", {"inner": 1}),
        ("callbacks.x", None),
        (
            "augmentation",
            {"_target_": "crackexp.data.augmentation.Augmentation", "transforms": {"a": {"_target_": "mine.Stops"}}},
        ),
        ("optimizer", {"_target_": "keras.optimizers.SGD", "learning_rate": {"_target_": "mine.touch"}}),
        ("optimizer", {"_target_": "keras.optimizers.SGD.from_config", "config": {}}),
        ("loss", {"_target_": "keras.optimizers.SGD"}),
    ],
)
def test_nothing_hides_inside_a_part(mine: Path, place: str, node: Any) -> None:
    with pytest.raises(ConfigError, match=rf"Received: {place}"):
        instantiate(OmegaConf.create(node) if node is not None else None, place)
    assert not mine.exists()


@pytest.mark.parametrize(
    ("place", "node"),
    [
        ("callbacks.x", {"_target_": "keras.callbacks.TerminateOnNaN"}),
        ("callbacks.x", {"_target_": "mine.Stops", "inner": {"_target_": "mine.Stops"}}),
        ("callbacks.x", {"_target_": "mine.Stops", "_recursive_": False, "inner": {"_target_": "mine.touch"}}),
        (
            "callbacks.x",
            {
                "_target_": "crackexp.training.callbacks.EpochSchedule",
                "schedule": {
                    "_target_": "keras.optimizers.schedules.CosineDecay",
                    "initial_learning_rate": 1.0,
                    "decay_steps": 1,
                },
            },
        ),
        (
            "optimizer",
            {
                "_target_": "keras.optimizers.SGD",
                "learning_rate": {
                    "_target_": "keras.optimizers.schedules.ExponentialDecay",
                    "initial_learning_rate": 0.1,
                    "decay_steps": 5,
                    "decay_rate": 0.5,
                },
            },
        ),
        (
            "augmentation",
            {"_target_": "crackexp.data.augmentation.Augmentation", "transforms": {"a": {"_target_": "mine.Keeps"}}},
        ),
        ("loss", {"_target_": "keras.losses.CategoricalCrossentropy"}),
    ],
)
def test_parts_of_the_right_kind_are_built(mine: Path, place: str, node: Any) -> None:
    assert instantiate(OmegaConf.create(node), place) is not None
    assert not mine.exists()


def test_a_part_built_with_a_partial_of_our_own_keeps_working() -> None:
    make = instantiate(OmegaConf.create({"_target_": "keras.optimizers.SGD"}), "optimizer", _partial_=True)
    assert make(learning_rate=0.5).learning_rate == 0.5


def test_an_augmentation_of_ones_own_needs_no_table_of_transforms(mine: Path, compose_config: Compose) -> None:
    words = ("augmentation=none", "augmentation._target_=mine.Plain", "~augmentation.transforms")
    cfg = check(compose_config(*words, "augmentation.views=3"), TrainConfig)
    assert instantiate(cfg.augmentation).views == 3


def test_every_part_of_the_default_config_keeps_its_contract(compose_config: Compose) -> None:
    cfg = check(compose_config("callbacks=cosine"), TrainConfig)
    require_all_kept(cfg)
    cfg = DictConfig(OmegaConf.to_container(cfg))
    cfg.callbacks.mine = {"_target_": "os.getcwd"}
    with pytest.raises(ConfigError, match=r"`os.getcwd` is no callback.*callbacks.mine"):
        require_all_kept(cfg)


def test_a_resumed_run_calls_and_imports_nothing_else(
    command_here: Command, mine: Path, tmp_path: Path, patches: Path, compose_config: Compose
) -> None:
    cfg = check(compose_config("dataset=folder", f"dataset.path={patches}", *TINY), TrainConfig)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (tmp_path / "mlruns").mkdir()
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("crackexp", f"{tmp_path}/mlruns/artifacts"))
    for target, words in (("mine.Touch", "`mine.Touch` is no dataset"), ("antigravity.X", "PYTHONPATH=FOLDER")):
        stored = OmegaConf.merge(cfg, {"dataset": {"_target_": target}})
        with mlflow.start_run() as run:
            mlflow.log_text(OmegaConf.to_yaml(stored), "config/config.yaml")
        mlflow.MlflowClient().set_terminated(run.info.run_id, "FAILED")
        done = command_here("train", f"resume={run.info.run_id}")
        assert done.returncode == 2, done.stdout + done.stderr
        assert words in done.stderr
    assert not mine.exists()
    assert "antigravity" not in sys.modules


def test_a_stored_config_imports_only_what_lies_at_hand(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored(target: str) -> dict[str, Any]:
        return {"mix": [{"x": {"_target_": "crackexp.data.sources.ImageFolder", "inner": [{"_target_": target}]}}]}

    require_trusted(stored("keras.losses.Loss"))
    require_trusted(stored("mine.Keeps"))
    assert "mine" not in sys.modules
    for target in (
        "antigravity.X",
        "os.system",
        "sys.exit",
        "numpy.ndarray",
        "tests.conftest.TINY",
        "nothing.at.all",
        "x",
    ):
        with pytest.raises(ConfigError, match=rf"PYTHONPATH=FOLDER. Received: mix.0.x.inner.0._target_={target}"):
            require_trusted(stored(target))
    parts = tmp_path / "elsewhere"
    (parts / "package").mkdir(parents=True)
    monkeypatch.syspath_prepend(parts)
    with pytest.raises(ConfigError, match="PYTHONPATH"):
        require_trusted(stored("package.Part"))
    monkeypatch.setenv("PYTHONPATH", str(parts))
    require_trusted(stored("package.Part"))
    (parts / "package" / "__init__.py").touch()
    require_trusted(stored("package.Part"))
