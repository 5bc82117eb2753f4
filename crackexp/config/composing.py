"""The config of a command, composed in Python as a command line composes it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from crackexp.config.options import conf_dir, suggest
from crackexp.config.overrides import explain
from crackexp.utils.errors import ConfigError


def compose(command: str = "train", overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> DictConfig:
    """Composes the config of a command, as its command line would.

    Args:
        command: The name of a command, such as "train" or "predict".
        overrides: The words of its command line, such as ``["+experiment=mobilenet", "dropout=0.1"]``.
        config_dir: A folder with config files of your own, as with ``--config-dir``; None for none.

    Returns:
        The config, which can be changed. Its folders are absolute: relative ones are those of the working folder, and
        ``paths.output`` is a new folder of this config, which is not made yet.

    Raises:
        ConfigError: There is no such command, or an override has a mistake.

    Example:

    >>> config = compose("train", ["backbone=small_cnn", "trainer=scratch", "epochs=2"])
    >>> config.backbone.widths, config.trainer.epochs
    ([32, 64, 128, 256], 2)
    """
    commands = sorted(file.stem for file in conf_dir().glob("*.yaml"))
    if command not in commands:
        raise ConfigError(f"There is no such command.{suggest(command, commands)} Received: {command}")
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ConfigError(f"There is no such folder. Received: config_dir={config_dir}")
    own = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    with _as_typed(command, overrides), initialize_config_dir(str(conf_dir()), version_base="1.3", job_name=command):
        try:
            cfg = hydra_compose(command, [*overrides, *own], return_hydra_config=True)
            return _with_places(cfg)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error)) from error


def _with_places(cfg: DictConfig) -> DictConfig:
    """Returns a config without the node ``hydra``, whose folders are resolved."""
    state = HydraConfig.instance()
    before = state.cfg
    try:
        with open_dict(cfg), read_write(cfg.hydra):
            cfg.hydra.runtime.cwd = str(Path.cwd())
            state.set_config(cfg)
        with open_dict(cfg), read_write(cfg.hydra):  # `set_config` makes it read-only
            cfg.hydra.runtime.output_dir = str(Path(cfg.hydra.run.dir).absolute())
            state.set_config(cfg)
        with open_dict(cfg), read_write(cfg):
            cfg.paths = OmegaConf.to_container(cfg.paths, resolve=True)
            del cfg["hydra"]
    finally:
        state.cfg = before
    OmegaConf.set_struct(cfg, True)
    return cfg


@contextmanager
def _as_typed(command: str, overrides: Sequence[str]) -> Iterator[None]:
    """Lets explanations of mistakes quote these words, as they quote a command line."""
    before = sys.argv
    sys.argv = [command, *overrides]
    try:
        yield
    finally:
        sys.argv = before
