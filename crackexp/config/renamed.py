"""Classes whose dotted name has changed. Configs may use the old name until the next version."""

import logging
from functools import cache
from typing import Any

RENAMED: dict[str, str] = {
    "crackexp.data.split.RatioSplit": "crackexp.data.splits.RatioSplit",
    "crackexp.data.grouped_split.GroupedSplit": "crackexp.data.splits.GroupedSplit",
    "crackexp.data.given_split.GivenSplit": "crackexp.data.splits.GivenSplit",
    "crackexp.models.heads.CellHead": "crackexp.models.heads.MultipleInstanceHead",
    "crackexp.training.trainer.FrozenTrainer": "crackexp.training.frozen.FrozenTrainer",
    "crackexp.training.live.LiveTrainer": "crackexp.training.fine_tune.FineTuneTrainer",
}
"""The new dotted name of each class by its old one."""

_log = logging.getLogger(__name__)


def with_current_names(node: Any) -> Any:
    """Returns a plain config in which every ``_target_`` has its current name, and warns of each old one once."""
    if isinstance(node, dict):
        return {key: _current(value) if key == "_target_" else with_current_names(value) for key, value in node.items()}
    if isinstance(node, list):
        return [with_current_names(value) for value in node]
    return node


def _current(target: Any) -> Any:
    if not isinstance(target, str) or target not in RENAMED:
        return target
    _warn(target)
    return RENAMED[target]


@cache
def _warn(old: str) -> None:
    _log.warning(
        "%s has a new name, and the next version will not know the old one. Type _target_: %s", old, RENAMED[old]
    )
