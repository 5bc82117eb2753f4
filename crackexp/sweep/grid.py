"""The grid of a sweep, read from Hydra's overrides: swept keys, their levels, and the number and names of trials."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig

from crackexp.config.overrides import task_overrides


class Interval(tuple[Any, Any]):
    """The two ends of an interval from which a search draws levels."""


def overrides(config: DictConfig) -> dict[str, Override]:
    """Returns the overrides of a multirun by their keys, including those in the config of its sweeper.

    Args:
        config: The config that Hydra passes to `on_multirun_start`, with the node `hydra`.
    """
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    parsed = _parse([*params, *task_overrides(config.hydra)])
    return {override.get_key_element(): override for override in parsed}


def levels(override: Override) -> Sequence[Any] | None:
    """Returns the values that a swept override stands for, or None for an override with a single value."""
    if override.is_discrete_sweep():
        return list(override.sweep_iterator())
    value = override.value()
    return Interval((value.start, value.end)) if isinstance(value, IntervalSweep) else None


def swept(config: DictConfig) -> dict[str, int | None]:
    """Returns the number of levels of each swept key of a multirun's config, or None for an interval."""
    by_key = {key.lstrip("+~"): levels(override) for key, override in overrides(config).items()}
    return {
        key: None if isinstance(values, Interval) else len(values)
        for key, values in by_key.items()
        if values is not None
    }


def trial_count(config: DictConfig) -> int | None:
    """Returns the number of trials of a multirun, or None where its sweeper decides."""
    if trials := config.hydra.sweeper.get("n_trials"):
        return int(trials)
    counts = list(swept(config).values())
    return None if None in counts else math.prod(count for count in counts if count is not None)


def ends(config: DictConfig) -> list[list[str]]:
    """Returns the overrides of two trials: one with the first level of every swept key, and one with the last.

    The two differ in every key that the sweep varies, and agree in everything else.
    """
    items = overrides(config).items()
    return [[_at(end, key, override) for key, override in items] for end in (0, -1)]


def configuration(keys: Sequence[str], typed: Sequence[str]) -> dict[str, Any]:
    """Returns the levels of the swept `keys` in one trial.

    Args:
        keys: The swept keys.
        typed: The overrides of the trial, such as ``dropout=0.3``.
    """
    values = {override.get_key_element().lstrip("+~"): override.value() for override in _parse(typed)}
    return {key: values[key] for key in keys if key in values}


def name(values: Mapping[str, Any]) -> str:
    """Returns the name of a configuration, such as ``ratio=0.7/0.2/0.1, image_size=160, dropout=0.3``."""
    from crackexp.comparison.design import level_text, short_names

    short = short_names(list(values))
    return ", ".join(f"{short[key]}={level_text(value)}" for key, value in values.items())


def _parse(texts: Sequence[str]) -> list[Override]:
    hydra = GlobalHydra.instance()  # its loader knows the options that glob() stands for
    loader = hydra.config_loader() if hydra.is_initialized() else None
    return OverridesParser.create(loader).parse_overrides(list(texts))


def _at(end: int, key: str, override: Override) -> str:
    """Returns an override of a trial. A swept key gets its first level where `end` is 0, and its last with -1."""
    if override.is_discrete_sweep():
        return f"{key}={list(override.sweep_string_iterator())[end]}"
    interval = levels(override)
    return str(override.input_line) if interval is None else f"{key}={interval[end]}"
