"""Which cells are repeats of one setting, and which factors tell the settings apart."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

NOT_SET = "not set"


@dataclass(frozen=True)
class Layout:
    """The settings of n cells.

    Attributes:
        factors: swept key to its short name; keys with one level, and seeds, are none.
        levels: a row a setting, a column a factor (its key); numbers, or texts such as "0.7/0.2/0.1".
        names: of the settings, such as "image_size=160, dropout=0.3".
        member: (n,) int, the row in `levels` of each cell.
    """

    factors: Mapping[str, str]
    levels: pd.DataFrame
    names: list[str]
    member: np.ndarray

    @property
    def repeats(self) -> np.ndarray:
        """(settings,) int: how many cells each setting has."""
        return np.bincount(self.member, minlength=len(self.names))


def is_seed(key: str) -> bool:
    """Returns whether a swept key is a seed, such as "seed" or "split.seed": its levels are repeats."""
    return key.rsplit(".", 1)[-1] == "seed"


def level_text(level: Any) -> str:
    """Returns a level as it is shown: [0.7, 0.2, 0.1] as 0.7/0.2/0.1, floats with four digits, the rest as in YAML."""
    if isinstance(level, Mapping):
        return json.dumps(level)
    if isinstance(level, Sequence) and not isinstance(level, str):
        return "/".join(level_text(part) for part in level)
    if isinstance(level, float):
        return f"{level:.4g}"
    return json.dumps(level) if isinstance(level, bool) or level is None else str(level)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Returns each key's last part, or the whole key where two end in the same part."""
    last = {key: key.rsplit(".", 1)[-1] for key in keys}
    counts = Counter(last.values())
    return {key: part if counts[part] == 1 else key for key, part in last.items()}


def in_order(levels: pd.Series) -> list[Any]:
    """Returns the distinct levels: numbers from small to large, ratios too, others as they came first."""
    distinct = list(dict.fromkeys(levels))
    try:
        return sorted(distinct, key=lambda level: [float(part) for part in str(level).split("/")])
    except ValueError:
        return distinct


def read_layout(names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> Layout:
    """Groups n cells by their settings.

    Cells that differ in seeds alone are repeats of one setting. Cells that agree in the seeds too differ in
    something that the settings do not tell: each of them is then a setting of its own, under its own name.

    Args:
        names: of the n cells.
        settings: swept key to level, of each cell.
    """
    keys = list(dict.fromkeys(key for cell in settings for key in cell))
    plain = pd.DataFrame(
        [{key: _plain(cell.get(key, NOT_SET)) for key in keys} for cell in settings],
        index=range(len(settings)),
        columns=keys,
        dtype=object,
    )
    factors = [key for key in keys if not is_seed(key) and plain[key].nunique() > 1]
    seeds = [key for key in keys if is_seed(key)]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for cell, row in enumerate(plain[factors].itertuples(index=False, name=None)):
        groups.setdefault(row, []).append(cell)

    short = short_names(factors)
    members: list[list[int]] = []
    labels: list[str] = []
    for row, cells in groups.items():
        label = ", ".join(f"{short[key]}={level}" for key, level in zip(factors, row, strict=True))
        drawn = set(plain.loc[cells, seeds].itertuples(index=False, name=None))
        if len(drawn) == len(cells):
            members.append(cells)
            labels.append(label or (names[cells[0]] if len(cells) == 1 else "the setting"))
        else:
            members += [[cell] for cell in cells]
            labels += [names[cell] for cell in cells]
    member = np.empty(len(settings), int)
    for number, cells in enumerate(members):
        member[cells] = number
    levels = plain.loc[[cells[0] for cells in members], factors].reset_index(drop=True)
    return Layout(short, levels.infer_objects(), _distinct(labels), member)


def _plain(level: Any) -> Any:
    number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
    return level if number else level_text(level)


def _distinct(names: list[str]) -> list[str]:
    """Returns the names, with numbers behind those that are not the only one of their kind."""
    counts, seen, result = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        result.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return result
