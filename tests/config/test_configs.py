"""Every file under conf/ is composed, checked, instantiated and run for a step."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from crackexp.config.checking import check
from crackexp.config.options import conf_dir
from crackexp.train import train
from crackexp.training.config import TrainConfig
from tests import composing
from tests.conftest import TINY, write_patches

Compose = Callable[..., DictConfig]

ADDED = ("experiment", "debug", "sweep")
OPTIONS = sorted(f"{file.parent.relative_to(conf_dir())}={file.stem}" for file in conf_dir().glob("*/*.yaml"))
SWEEPS = sorted(file.stem for file in conf_dir().glob("sweep/*.yaml") if file.stem != "search")
"""Grids; the search is run by tests/sweep/test_search.py."""
NEEDS = {
    "dataset=folder": ["dataset.path=PATCHES"],
    "dataset=sdnet2018": ["dataset.path=PATCHES"],
    "split=given": ["dataset=folder", "dataset.path=PATCHES"],
    "backbone=small_cnn": ["trainer=scratch"],
    "tracking=server": ["tracking.uri=http://127.0.0.1:5000"],
}
"""What an option wants beside it."""

RUNS = {
    # each run takes a step with every option that it names
    "the recipe": ["+experiment=mobilenet", "dataset=folder", "augmentation=flip_rotate"],
    "robust": ["+experiment=robust", "head=mil", "dataset=folder", "mix=[{synthetic:{count:40,size:48}}]"],
    "fine-tuning": [
        "dataset=synthetic",
        "dataset.count=40",
        "dataset.size=48",
        "augmentation=surface",
        "trainer=finetune",
        "trainer.epochs=1",
        "loss=categorical_crossentropy",
        "optimizer=adamw",
        "callbacks=cosine",
    ],
    "from nothing": [
        "dataset=mendeley",
        "backbone=small_cnn",
        "backbone.widths=[4,8]",
        "augmentation=none",
        "trainer=scratch",
        "loss=categorical_focal_crossentropy",
        "optimizer=sgd",
        "callbacks=plateau",
    ],
    "groups": [
        "dataset=sdnet2018",
        "dataset.surfaces=[decks]",
        "split=grouped",
        "callbacks=minimal",
        "+debug=profile",
        "dataset.limit=40",
    ],
    "a given split": [
        "dataset=folder",
        "split=given",
        "backbone=small_cnn",
        "backbone.widths=[4]",
        "trainer=scratch",
        "inference=auto",
    ],
    "under corruptions": ["evaluation=robust", "inference=openvino"],
    "at other places": ["evaluation=unseen"],
    "one batch": ["+debug=one_batch", "+sweep=seeds"],
    "limit": ["+debug=limit", "dataset.limit=40", "head=cells", "inference=onnxruntime"],
    "overfit": [
        "+debug=overfit",
        "dataset.limit=40",
        "epochs=2",
        "+optimizer.use_ema=true",
        "+optimizer.ema_momentum=0.9",
    ],
    "mobilenet_v3_small": ["backbone=mobilenet_v3_small", "callbacks=early_stopping"],
    "mobilenet_v3_large": ["backbone=mobilenet_v3_large", "callbacks=checkpoint"],
    "efficientnet_b0": ["backbone=efficientnet_b0", "callbacks=tensorboard"],
    "resnet50": ["backbone=resnet50", "callbacks=nan_guard"],
}
SLOW = {"fine-tuning", "groups", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "resnet50"}
ELSEWHERE = {"tracking=server", *(f"sweep={file.stem}" for file in conf_dir().glob("sweep/*.yaml"))}
"""Run against a real server by tests/integration/test_tracking_server.py, and as multiruns by test_sweep_command.py."""
DEFAULTS = {
    "paths=default",
    "split=ratio",
    "backbone=mobilenet_v2",
    "head=pooled",
    "loss=sparse_categorical_crossentropy",
    "optimizer=adam",
    "trainer=frozen",
    "callbacks=default",
    "callbacks=none",
    "evaluation=default",
    "inference=xla",
    "metrics=default",
    "report=default",
    "policy=default",
    "tracking=local",
    "tracking=none",
}
"""Options that the runs above take by default, or that a debug preset takes."""


def typed(option: str) -> list[str]:
    group = option.partition("=")[0]
    return [f"+{option}" if group in ADDED else option, *NEEDS.get(option, [])]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_passes_the_check(compose_config: Compose, patches: Path, option: str) -> None:
    overrides = [text.replace("PATCHES", str(patches)) for text in typed(option)]
    check(compose_config(*overrides), TrainConfig)


@pytest.mark.parametrize("name", composing.ROOTS)
def test_the_config_of_every_command_composes_and_passes_the_check(compose_config: Compose, name: str) -> None:
    check(compose_config(*composing.NEEDS.get(name, []), root=name), composing.ROOTS[name])


@pytest.mark.parametrize("name", SWEEPS)
def test_every_cell_of_every_sweep_composes_and_passes_the_check(compose_config: Compose, name: str) -> None:
    params = OmegaConf.load(conf_dir() / "sweep" / f"{name}.yaml").hydra.sweeper.params
    overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    (cells,) = BasicSweeper.split_arguments(overrides, None)
    assert len(cells) > 1
    for cell in cells:
        # the bundled weights are those of one backbone
        weights = [] if name != "backbones" else ["backbone.weights=null"]
        cfg = compose_config("+experiment=mobilenet", f"+sweep={name}", *cell, *weights)
        check(cfg, TrainConfig)
        assert cfg.sweep.name == name


def test_every_option_is_in_a_run() -> None:
    named = {override.lstrip("+") for overrides in RUNS.values() for override in overrides}
    assert set(OPTIONS) <= named | DEFAULTS | ELSEWHERE


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders in the layouts of the known datasets."""
    root = tmp_path_factory.mktemp("trees")
    write_patches(root / "mendeley", ("Negative", "Positive"), 20)
    write_patches(root / "sdnet2018" / "D", ("UD", "CD"), 20)
    for part, each in (("train", 10), ("val", 3), ("test", 3)):
        write_patches(root / "given" / part, ("Negative", "Positive"), each)
    for surface, name in product("DPW", ("sdnet2018-sample", "sdnet2018-dev")):
        write_patches(root / "sites" / name / surface, (f"U{surface}", f"C{surface}"), 2, size=50)
    write_patches(root / "sites" / "uav-ground-dev", ("Negative", "Positive"), 4, size=52)
    for file in (root / "sites" / "uav-ground-dev").glob("*/*"):
        file.rename(file.with_name(f"photo{int(file.stem) % 2}__{file.name}"))
    return {
        "dataset=mendeley": root / "mendeley",
        "dataset=sdnet2018": root / "sdnet2018",
        "split=given": root / "given",
        "evaluation=unseen": root / "sites",
    }


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in RUNS])
def test_every_option_runs_for_a_step(
    compose_config: Compose,
    patches: Path,
    trees: dict[str, Path],
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CRACKEXP_SITES", str(trees["evaluation=unseen"]))
    overrides = RUNS[name]
    text = " ".join(overrides)
    where = next((trees[key] for key in trees if key in text and key != "evaluation=unseen"), patches)
    dataset = [] if "dataset=" in text else ["dataset=folder"]
    if "dataset=synthetic" not in text:
        dataset.append(f"dataset.path={where}")
    tiny = [key for key in TINY if not key.startswith("backbone.alpha") or "backbone=" not in text]
    if "small_cnn" in text:
        tiny = [key for key in tiny if not key.startswith("backbone.")]
    tracking = ["tracking.log_model=false"] if name == "the recipe" else ["tracking=none"]
    epochs = [] if "epochs=2" in overrides else ["epochs=1"]
    cfg = compose_config(*dataset, *tiny, *tracking, *overrides, *epochs)
    metrics = train(cfg)
    assert 0 <= metrics["test/accuracy"] <= 1
    assert metrics["val/loss"] > 0
    assert (tmp_path / "output" / "result.json").is_file()
    if "profile" in text:
        assert list((tmp_path / "output" / "profile").rglob("*.xplane.pb"))
