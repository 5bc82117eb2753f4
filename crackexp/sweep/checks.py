"""Checks a sweep before the first of its cells starts: what it varies, and what all of its cells share."""

from collections.abc import Sequence

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from crackexp.config.checking import check
from crackexp.config.options import suggest
from crackexp.config.overrides import shown
from crackexp.sweep import grid
from crackexp.training.config import TrainConfig
from crackexp.training.resume import require_alone
from crackexp.utils.errors import ConfigError

SHARED = ("paths", "metrics", "report", "tracking", "sweep", "register", "resume", "task_name")
"""Keys and groups at the top of the config that belong to the sweep as a whole, and not to its cells."""


def check_sweep(config: DictConfig) -> None:
    """Refuses a sweep that varies what cannot be varied, or whose cells all have the same mistake.

    Args:
        config: of the multirun, with the node `hydra`, whose plugins are checked already.

    Raises:
        ConfigError: says what to type instead; of several mistakes in one line each.
        HydraException: a cell cannot be composed.
    """
    if not str(config.hydra.sweep.dir).strip():
        raise ConfigError("A sweep needs a folder of its own. Type hydra.sweep.dir=FOLDER. Received: hydra.sweep.dir=")
    for override in grid.overrides(config).values():
        key, typed = override.key_or_group, shown(str(override.input_line))
        levels = grid.levels(override)
        if levels is None:
            continue
        if key.partition(".")[0] in SHARED:
            raise ConfigError(
                f"All cells of a sweep share {key}. Type {key}=VALUE, with one value, or start a sweep for each. "
                f"Received: {typed}"
            )
        if not levels:
            raise ConfigError(f"There is nothing to choose {key} from. Type {key}=A,B. Received: {typed}")
        if isinstance(levels, grid.Interval) and "BasicSweeper" in config.hydra.sweeper._target_:
            raise ConfigError(f"An interval takes a search. Type hydra/sweeper=optuna, or {key}=A,B. Received: {typed}")
        _check_options(key, levels, typed)
    _check_shared(config)


def _check_options(group: str, levels: Sequence[object], typed: str) -> None:
    """Raises ConfigError where one of the `levels` of a config group is none of its options."""
    options = GlobalHydra.instance().config_loader().get_group_options(group)
    names = [str(name) for level in levels for name in (level if isinstance(level, list) else [level])]
    if unknown := [name for name in names if options and name not in options]:
        raise ConfigError(f"{group} has no option '{unknown[0]}'.{suggest(unknown[0], options)} Received: {typed}")


def _check_shared(config: DictConfig) -> None:
    """Checks the first and the last cell, which differ in every swept key.

    A mistake that both have lies in what all cells share. A mistake in one level of a swept key is left to the cells
    that have it: they fail, and the others go on.
    """
    first, last = (_mistakes(config, overrides) for overrides in grid.ends(config))
    if shared := [mistake for mistake in first if mistake in last]:
        raise ConfigError("\n".join(shared))


def _mistakes(config: DictConfig, overrides: list[str]) -> list[str]:
    cell = GlobalHydra.instance().config_loader().load_sweep_config(config, overrides)
    HydraConfig.instance().set_config(cell)
    try:
        with open_dict(cell):
            del cell["hydra"]
            cell.paths.output = "."  # a job knows it once it runs
        require_alone(checked := check(cell, TrainConfig))
        from crackexp.training.parts import build_parts  # it imports Keras, which takes seconds

        build_parts(checked)
    except ConfigError as error:
        return str(error).splitlines()
    finally:
        HydraConfig.instance().set_config(config)
    return []
