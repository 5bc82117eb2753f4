"""Checks of a sweep before its first trial starts: the keys that it varies, and what all its trials share."""

from collections.abc import Sequence

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from crackexp.config.checking import check, instantiate
from crackexp.config.options import group_options, suggest
from crackexp.config.overrides import shown
from crackexp.models.weight_files import require_weights
from crackexp.sweep import grid
from crackexp.training.config import TrainConfig
from crackexp.training.resume import require_alone
from crackexp.utils.errors import ConfigError, UserError
from crackexp.utils.imports import slow_imports

SHARED = (
    *("paths", "metrics", "report", "tracking", "sweep", "register", "resume", "task_name", "print_config"),
    "images_gb",
)
"""The top-level keys and groups of the config that belong to the sweep as a whole and not to its trials."""


def check_sweep(config: DictConfig) -> None:
    """Refuses a sweep that varies what cannot be varied, or whose trials all have the same mistake.

    Args:
        config: The config of the multirun with the node `hydra`, whose plugins have been checked already.

    Raises:
        ConfigError: The sweep has a mistake. The message says what to type instead, in one line for each mistake.
        HydraException: A trial cannot be composed.
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
                f"All trials of a sweep share {key}. Type {key}=VALUE, with one value, or start a sweep for each. "
                f"Received: {typed}"
            )
        if not levels:
            raise ConfigError(f"There is nothing to choose {key} from. Type {key}=A,B. Received: {typed}")
        if isinstance(levels, grid.Interval) and "BasicSweeper" in config.hydra.sweeper._target_:
            raise ConfigError(f"An interval takes a search. Type hydra/sweeper=optuna, or {key}=A,B. Received: {typed}")
        _check_options(key, levels, typed)
    _check_shared(config)


def _check_options(group: str, levels: Sequence[object], typed: str) -> None:
    """Raises ConfigError where one of the `levels` of a config group is not one of its options."""
    options = group_options(group)
    names = [str(name) for level in levels for name in (level if isinstance(level, list) else [level])]
    if unknown := [name for name in names if options and name not in options]:
        raise ConfigError(f"{group} has no option '{unknown[0]}'.{suggest(unknown[0], options)} Received: {typed}")


def _check_shared(config: DictConfig) -> None:
    """Checks the first and the last trial, which differ in every swept key.

    A mistake that both have must be in what all trials share. A mistake in one level of a swept key is not reported
    here: the trials that have it fail, and the others go on.
    """
    first, last = (_mistakes(config, overrides) for overrides in grid.ends(config))
    if shared := [mistake for mistake in first if mistake in last]:
        raise ConfigError("\n".join(shared))


def _mistakes(config: DictConfig, overrides: list[str]) -> list[str]:
    trial = GlobalHydra.instance().config_loader().load_sweep_config(config, overrides)
    HydraConfig.instance().set_config(trial)
    try:
        with open_dict(trial):
            del trial["hydra"]
            trial.paths.output = "."  # Hydra sets it only once a job runs
        require_alone(checked := check(trial, TrainConfig))
        require_weights(checked.backbone)
        with slow_imports():  # of all that the trials import, so that the garbage collector leaves it out
            import crackexp.training.run
            from crackexp.training.parts import build_parts

            if instantiate(checked.tracking).store:
                import crackexp.tracking.sweeps  # noqa: F401

        build_parts(checked)
    except UserError as error:
        return str(error).splitlines()
    finally:
        HydraConfig.instance().set_config(config)
    return []
