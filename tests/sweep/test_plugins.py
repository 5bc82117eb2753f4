"""A launcher or sweeper whose package is missing is refused with what to install."""

import importlib.util

import pytest
from omegaconf import DictConfig, OmegaConf

from crackexp.sweep.plugins import NEEDS, check_plugins
from crackexp.utils.errors import ConfigError


def hydra_node(part: str, target: str) -> DictConfig:
    nodes = {"launcher": {"_target_": "hydra.Basic"}, "sweeper": {"_target_": "hydra.Basic"}}
    nodes[part] = {"_target_": target}
    return OmegaConf.create({**nodes, "runtime": {"choices": {f"hydra/{part}": "chosen"}}})


@pytest.mark.parametrize("start", NEEDS)
def test_installed_packages_pass_and_missing_ones_are_named(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, extra = NEEDS[start]
    part = "sweeper" if "sweeper" in start else "launcher"
    node = hydra_node(part, f"{start}Any")
    check_plugins(node)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"{module.rpartition('.')[2]}.*crackexp\[{extra}\].*hydra/{part}=chosen"):
        check_plugins(node)
    check_plugins(hydra_node("launcher", "hydra_plugins.mine.Launcher"))
