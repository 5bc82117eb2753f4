"""Command lines composed and checked in this process, as `crackexp.cli.main` does, without the command behind them."""

from importlib import import_module

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from crackexp.config.checking import check
from crackexp.config.options import conf_dir
from crackexp.config.overrides import explain
from crackexp.config.settings import CommandConfig
from crackexp.training.parts import build_parts
from crackexp.utils.errors import UserError

NEEDS = {
    "evaluate": ["run=abc"],
    "calibrate": ["model=abc", "dataset.path=abc"],
    "predict": ["model=abc", "input=abc"],
    "survey": ["model=abc", "input=abc"],
    "explain": ["model=abc", "input=abc"],
    "app": ["model=abc"],
    "compare": ["runs=[abc]"],
    "export": ["model=abc"],
}
"""What a command wants typed, by the name of its config."""
ROOTS: dict[str, type[CommandConfig]] = {
    name: getattr(import_module(f"crackexp.{name}"), f"{name.title()}Config")
    for name in sorted(file.stem for file in conf_dir().glob("*.yaml"))
}


def outcome(name: str, overrides: list[str]) -> DictConfig | str:
    """Returns the checked config of a command line, or the sentence that refuses it, without running the command.

    Args:
        name: of the config.
        overrides: as typed; `sys.argv` holds them too where the sentence is to show them.
    """
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            return _checked(name, overrides)
        finally:
            HydraConfig.instance().cfg = None


def _checked(name: str, overrides: list[str]) -> DictConfig | str:
    try:
        cfg = compose(name, overrides, return_hydra_config=True)
    except Exception as error:  # of whatever kind, as in crackexp.cli.main
        return explain(error)
    if "hydra" not in cfg or cfg.hydra is None:
        return "Hydra itself is gone."
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
        if OmegaConf.is_dict(cfg.get("paths")):
            cfg.paths.output = "output"
    try:
        checked = check(cfg, ROOTS[name])
        if name == "train":
            build_parts(checked)
        return checked
    except UserError as error:
        return str(error)
