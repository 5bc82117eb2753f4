"""What a sweep varies, as Hydra's command line says it."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from crackexp.config.options import conf_dir
from crackexp.sweep import grid


def multirun(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("train", [*overrides, "hydra.mode=MULTIRUN"], return_hydra_config=True)


@pytest.fixture
def config(request: pytest.FixtureRequest) -> DictConfig:
    """The config of a multirun: single values compose, swept ones stay with Hydra's sweeper as on a command line."""
    swept = request.param
    config = multirun(*(word for word in swept if word.startswith("+")))
    config.hydra.overrides.task = list(swept)
    return config


@pytest.mark.parametrize(
    ("config", "keys", "trials"),
    [
        (["dropout=0.1,0.3"], ["dropout"], 2),
        (["+sweep=ratio_size_dropout"], ["image_size", "split.ratio", "dropout"], 27),
        (["+sweep=ratio_size_dropout", "dropout=0.2"], ["image_size", "split.ratio"], 9),
        (["+sweep=seeds", "seed=range(0,10)", "backbone=resnet50,mobilenet_v2"], ["seed", "backbone"], 20),
        (["split.ratio=[0.6,0.2,0.2],[0.7,0.2,0.1]"], ["split.ratio"], 2),
        (["dropout=interval(0,1)"], ["dropout"], None),
        (["dropout=0.1"], [], 1),
    ],
    indirect=["config"],
)
def test_swept_keys_and_trials_are_counted(config: DictConfig, keys: list[str], trials: int | None) -> None:
    assert list(grid.swept(config)) == keys
    assert grid.trial_count(config) == trials


def test_a_trial_is_named_by_what_varies() -> None:
    overrides = [
        "+experiment=mobilenet",
        "split.ratio=[0.7,0.2,0.1]",
        "image_size=160",
        "backbone=resnet50",
        "epochs=3",
    ]
    levels = grid.configuration(["split.ratio", "image_size", "backbone"], overrides)
    assert levels == {"split.ratio": [0.7, 0.2, 0.1], "image_size": 160, "backbone": "resnet50"}
    assert grid.name(levels) == "ratio=0.7/0.2/0.1, image_size=160, backbone=resnet50"
