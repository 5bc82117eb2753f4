"""What a sweep varies, read from Hydra's overrides: keys, levels, names, and how many cells there are."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig

from crackexp.config.overrides import task_overrides


class Interval(tuple[Any, Any]):
    """The ends of an interval that a search draws its levels from."""


def overrides(config: DictConfig) -> dict[str, Override]:
    """Returns the overrides of a multirun by their keys, those of its sweeper's config among them.

    Args:
        config: as Hydra hands it to `on_multirun_start`, with the node `hydra`.
    """
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    parsed = _parse([*params, *task_overrides(config.hydra)])
    return {override.get_key_element(): override for override in parsed}


def levels(override: Override) -> Sequence[Any] | None:
    """Returns the values that a swept override stands for, None where it has a single value."""
    if override.is_discrete_sweep():
        return list(override.sweep_iterator())
    value = override.value()
    return Interval((value.start, value.end)) if isinstance(value, IntervalSweep) else None


def swept(config: DictConfig) -> dict[str, int | None]:
    """Returns the swept keys of a multirun's config with their number of levels, None for an interval."""
    found = {key.lstrip("+~"): levels(override) for key, override in overrides(config).items()}
    return {
        key: None if isinstance(values, Interval) else len(values)
        for key, values in found.items()
        if values is not None
    }


def cells(config: DictConfig) -> int | None:
    """Returns how many cells the multirun will run, None where its sweeper decides."""
    if trials := config.hydra.sweeper.get("n_trials"):
        return int(trials)
    counts = list(swept(config).values())
    return None if None in counts else math.prod(count for count in counts if count is not None)


def ends(config: DictConfig) -> list[list[str]]:
    """Returns the overrides of two cells: that of all first levels, and that of all last ones.

    The two differ in every key that the sweep varies, and agree in everything else.
    """
    found = overrides(config).items()
    return [[_at(end, key, override) for key, override in found] for end in (0, -1)]


def settings(keys: Sequence[str], typed: Sequence[str]) -> dict[str, Any]:
    """Returns the levels of the swept `keys` in one cell.

    Args:
        keys: swept keys.
        typed: overrides of the cell, such as ``dropout=0.3``.
    """
    given = {override.get_key_element().lstrip("+~"): override.value() for override in _parse(typed)}
    return {key: given[key] for key in keys if key in given}


def name(values: Mapping[str, Any]) -> str:
    """Returns a name such as ``ratio=0.7/0.2/0.1, image_size=160, dropout=0.3``."""
    from crackexp.comparison.design import level_text, short_names

    short = short_names(list(values))
    return ", ".join(f"{short[key]}={level_text(value)}" for key, value in values.items())


def _parse(texts: Sequence[str]) -> list[Override]:
    hydra = GlobalHydra.instance()  # it knows the options that glob() stands for
    loader = hydra.config_loader() if hydra.is_initialized() else None
    return OverridesParser.create(loader).parse_overrides(list(texts))


def _at(end: int, key: str, override: Override) -> str:
    """Returns an override of a cell, at the first level (`end` 0) or the last one (-1) if it is swept."""
    if override.is_discrete_sweep():
        return f"{key}={list(override.sweep_string_iterator())[end]}"
    found = levels(override)
    return str(override.input_line) if found is None else f"{key}={found[end]}"
