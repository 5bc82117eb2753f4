"""What a sweep varies, read from Hydra's overrides: keys, levels, names, and how many cells there are."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from crackexp.overrides import task_overrides


def swept(config: DictConfig) -> dict[str, int | None]:
    """Returns the swept keys of a multirun's config with their number of levels, None for an interval.

    Args:
        config: as Hydra hands it to `on_multirun_start`, with the node `hydra`.
    """
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    overrides = _parse([*params, *task_overrides(config.hydra)])
    last = {override.get_key_element(): override for override in overrides}
    return {key.lstrip("+~"): _levels(override) for key, override in last.items() if override.is_sweep_override()}


def cells(config: DictConfig) -> int | None:
    """Returns how many cells the multirun will run, None where its sweeper decides."""
    if trials := config.hydra.sweeper.get("n_trials"):
        return int(trials)
    levels = list(swept(config).values())
    return None if None in levels else math.prod(level for level in levels if level is not None)


def settings(keys: Sequence[str], overrides: Sequence[str]) -> dict[str, Any]:
    """Returns the levels of the swept `keys` in one cell.

    Args:
        keys: swept keys.
        overrides: of the cell, such as ``dropout=0.3``.
    """
    given = {override.get_key_element().lstrip("+~"): override.value() for override in _parse(overrides)}
    return {key: given[key] for key in keys if key in given}


def name(levels: Mapping[str, Any]) -> str:
    """Returns a name such as ``ratio=0.7/0.2/0.1, image_size=160, dropout=0.3``."""
    from crackexp.evaluation.layout import level_text, short_names

    short = short_names(list(levels))
    return ", ".join(f"{short[key]}={level_text(value)}" for key, value in levels.items())


def _parse(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _levels(override: Override) -> int | None:
    return len(list(override.sweep_iterator())) if override.is_discrete_sweep() else None
