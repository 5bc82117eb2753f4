"""The experimental design of a sweep: which trials repeat a configuration, and in which factors they differ."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

NOT_SET = "not set"


@dataclass(frozen=True)
class ExperimentalDesign:
    """The configurations of n trials.

    A configuration is a choice of one level for each factor. Trials of one configuration differ in their seeds alone.

    Attributes:
        factors: The short name of each factor, by its swept key. A key with one level is no factor, nor is a seed.
        levels: A data frame with a row for each configuration and a column for each factor, named by its key. Levels
            are numbers, or texts such as "0.7/0.2/0.1".
        names: The names of the configurations, such as "image_size=160, dropout=0.3".
        member: The row in `levels` of each trial, (n,) int.
    """

    factors: Mapping[str, str]
    levels: pd.DataFrame
    names: list[str]
    member: np.ndarray

    @property
    def repeats(self) -> np.ndarray:
        """The number of trials of each configuration, (configurations,) int."""
        return np.bincount(self.member, minlength=len(self.names))


def is_seed(key: str) -> bool:
    """Returns whether a swept key is a seed, such as "seed" or "split.seed", so that its levels are repeats."""
    return key.rsplit(".", 1)[-1] == "seed"


def level_text(level: Any) -> str:
    """Returns a level as it is shown.

    A list such as [0.7, 0.2, 0.1] is shown as 0.7/0.2/0.1, a float with four digits, and anything else as in YAML.
    """
    if isinstance(level, Mapping):
        return json.dumps(level)
    if isinstance(level, Sequence) and not isinstance(level, str):
        return "/".join(level_text(part) for part in level)
    if isinstance(level, float):
        return f"{level:.4g}"
    return json.dumps(level) if isinstance(level, bool) or level is None else str(level)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Returns the last part of each key, or the whole key where two keys end in the same part."""
    last = {key: key.rsplit(".", 1)[-1] for key in keys}
    counts = Counter(last.values())
    return {key: part if counts[part] == 1 else key for key, part in last.items()}


def in_order(levels: pd.Series) -> list[Any]:
    """Returns the distinct levels. Numbers and ratios are sorted; others keep the order in which they first occur."""
    distinct = list(dict.fromkeys(levels))
    try:
        return sorted(distinct, key=lambda level: [float(part) for part in str(level).split("/")])
    except ValueError:
        return distinct


def read_design(names: Sequence[str], configurations: Sequence[Mapping[str, Any]]) -> ExperimentalDesign:
    """Groups n trials by their configurations.

    Trials that differ in seeds alone are repeats of one configuration. Trials that agree in the seeds too must differ
    in something that was not swept, so each of them counts as a configuration of its own, under its own name.

    Args:
        names: The names of the n trials.
        configurations: The level of each swept key, for each trial.
    """
    keys = list(dict.fromkeys(key for trial in configurations for key in trial))
    plain = pd.DataFrame(
        [{key: _plain(trial.get(key, NOT_SET)) for key in keys} for trial in configurations],
        index=range(len(configurations)),
        columns=keys,
        dtype=object,
    )
    factors = [key for key in keys if not is_seed(key) and plain[key].nunique() > 1]
    seeds = [key for key in keys if is_seed(key)]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for trial, row in enumerate(plain[factors].itertuples(index=False, name=None)):
        groups.setdefault(row, []).append(trial)

    short = short_names(factors)
    members: list[list[int]] = []
    labels: list[str] = []
    for row, trials in groups.items():
        label = ", ".join(f"{short[key]}={level}" for key, level in zip(factors, row, strict=True))
        drawn = set(plain.loc[trials, seeds].itertuples(index=False, name=None))
        if len(drawn) == len(trials):
            members.append(trials)
            labels.append(label or (names[trials[0]] if len(trials) == 1 else "the configuration"))
        else:
            members += [[trial] for trial in trials]
            labels += [names[trial] for trial in trials]
    member = np.empty(len(configurations), int)
    for number, trials in enumerate(members):
        member[trials] = number
    levels = plain.loc[[trials[0] for trials in members], factors].reset_index(drop=True)
    return ExperimentalDesign(short, levels.infer_objects(), _distinct(labels), member)


def _plain(level: Any) -> Any:
    number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
    return level if number else level_text(level)


def _distinct(names: list[str]) -> list[str]:
    """Returns the names, with a number behind each name that occurs more than once."""
    counts, seen, result = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        result.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return result
