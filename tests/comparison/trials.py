"""Trials of a sweep with predictions drawn from known chances of an error."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crackexp.comparison.comparison import Trial
from crackexp.comparison.design import level_text
from crackexp.data.index import ImageIndex
from crackexp.evaluation.tables import predictions_table

NAMES = ["Negative", "Positive"]


def grid(**levels: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns the configurations of a full grid; a double underscore stands for a dot."""
    keys = [key.replace("__", ".") for key in levels]
    return [dict(zip(keys, row, strict=True)) for row in itertools.product(*levels.values())]


def trial(
    wrong: np.ndarray,
    configuration: Mapping[str, Any] | None = None,
    name: str = "",
    digests: Sequence[str] | None = None,
    names: Sequence[str] = NAMES,
    seconds: float = 60.0,
    parameters: int = 1000,
) -> Trial:
    """Returns a trial that is wrong on these images, (n,) bool; half the images are of each class."""
    n = len(wrong)
    labels = np.arange(n) % 2
    rng = np.random.default_rng(n)
    sure = rng.uniform(0.6, 0.999, n)
    right = np.where(wrong, 1 - sure, sure)
    probabilities = np.where(np.eye(2, dtype=bool)[labels], right[:, None], 1 - right[:, None])
    digests = np.array([f"d{number:05}" for number in range(n)] if digests is None else digests)
    files = np.array([f"{k}.jpg" for k in range(n)])
    index = ImageIndex(Path(), files, labels, digests, tuple(names), (names[1],))
    table = predictions_table(index, probabilities)
    text = ", ".join(f"{key.rsplit('.')[-1]}={level_text(level)}" for key, level in (configuration or {}).items())
    name = name or text or "run"
    return Trial(f"id-{name}", name, configuration or {}, {}, table, seconds, parameters)


def errors(n: int, count: int, first: int = 0) -> np.ndarray:
    """Returns (n,) bool, True for `count` images from `first` on."""
    wrong = np.zeros(n, bool)
    wrong[first : first + count] = True
    return wrong


def drawn_trials(
    configurations: Sequence[Mapping[str, Any]], chance: Mapping[int, float] | float, n: int = 400, seed: int = 0
) -> list[Trial]:
    """Returns trials that err on each of n images with a chance of their own, or all with one."""
    rng = np.random.default_rng(seed)
    chances = [chance[number] if isinstance(chance, Mapping) else chance for number in range(len(configurations))]
    return [trial(rng.random(n) < p, levels) for p, levels in zip(chances, configurations, strict=True)]
