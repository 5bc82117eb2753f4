"""Completion of the arguments of a command: its groups, their options, its keys, their values, and Hydra's options."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from crackexp.cli.main import MODES, VALUED, overrides
from crackexp.config.options import conf_dir
from crackexp.config.overrides import PLUS_GROUPS
from crackexp.config.schema import schema_of

PLAIN = re.compile(r"[\w@%+=:,./\[\]-]+")
"""What a completed word consists of, since a shell would read other characters as something else."""


def candidates(config_name: str, words: Sequence[str], word: str) -> list[str]:
    """Returns what may stand in place of `word`, sorted; a group or key ends in "=", a table in ".".

    Overrides that cannot be composed are left out, so that a mistake in one does not stop the completion of others.

    Args:
        config_name: The name of the config of the command.
        words: The arguments before `word`.
        word: The argument to complete, which may be empty.

    Example:

    >>> candidates("train", ["dataset=folder"], "optimizer=a")
    ['optimizer=adam', 'optimizer=adamw']
    """
    if words and words[-1] in VALUED:
        return [kind for kind in ("all", "hydra", "job") if words[-1] in ("--cfg", "-c") and kind.startswith(word)]
    if word.startswith("-"):
        return _fitting([*VALUED, *MODES], word)
    folders = [Path(folder).absolute() for option, folder in pairwise(words) if option in ("--config-dir", "-cd")]
    own = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in folders)}]"] if folders else []
    typed = [override for override in overrides(words) if "=" in override or override.startswith("~")]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        for composed in ([*own, *typed], own):
            with suppress(Exception):  # of any kind, as the words are those of a command line that is not finished
                cfg = loader.load_configuration(config_name, composed, RunMode.MULTIRUN)
                choices, plain = list(cfg.hydra.runtime.choices), OmegaConf.to_container(cfg)
                found = _values(plain, choices, loader, composed, word) if "=" in word else _keys(plain, choices, word)
                return _fitting(found, word)
    return []


def _keys(config: Any, groups: Sequence[str], word: str) -> Iterable[str]:
    """Yields the groups and keys of the table that `word` is in; behind one plus, those that the config lacks."""
    mark = word[: len(word) - len(word.lstrip("+"))]
    parent, dot, _ = word.removeprefix(mark).rpartition(".")
    table = _select(config, parent)
    if not isinstance(table, Mapping):
        return
    if not dot and "trainer" in groups:
        yield from (f"+{group}=" for group in PLUS_GROUPS)
    if mark == "+":
        yield from (f"+{parent}.{key}=" for key in _arguments(table) if key not in table)
        return
    if not dot:
        yield from (f"{mark}{group}=" for group in groups if "/" not in group or word.startswith(f"{mark}hydra"))
    for key, value in table.items():
        if not str(key).startswith("_") and (key != "hydra" or word.startswith(f"{mark}h")):
            yield f"{mark}{parent}{dot}{key}{'.' if isinstance(value, Mapping) else '='}"


def _values(config: Any, groups: Sequence[str], loader: ConfigLoader, composed: list[str], word: str) -> Iterable[str]:
    """Yields `word` with the options of its group, or with the values that its key is known to take."""
    key, _, value = word.partition("=")
    name, (before, comma, _) = key.lstrip("+"), value.rpartition(",")
    if name in groups or name in PLUS_GROUPS:
        options = loader.get_group_options(name, config_name=None, overrides=composed)
    else:
        parent, _, last = name.rpartition(".")
        options = [_text(_select(config, name)), *_listed(_arguments(_select(config, parent)).get(last, {}))]
    yield from (f"{key}={before}{comma}{option}" for option in options if option not in before.split(","))


def _arguments(table: Any) -> Mapping[str, Any]:
    """Returns the JSON Schema of each argument of the class that a table builds; none where it builds nothing."""
    target = table.get("_target_") if isinstance(table, Mapping) else None
    properties = schema_of(target).model_json_schema()["properties"] if isinstance(target, str) else {}
    return {name: schema for name, schema in properties.items() if not name.startswith("_")}


def _listed(schema: Mapping[str, Any]) -> Iterable[str]:
    """Yields the values that a JSON Schema lists."""
    yield from map(_text, [*schema.get("enum", []), *([True, False] if schema.get("type") == "boolean" else [])])
    for kind in schema.get("anyOf", []):
        yield from _listed(kind)


def _select(config: Any, key: str) -> Any:
    """Returns the value of a dotted key, with no interpolation resolved; None where there is none."""
    for part in filter(None, key.split(".")):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _text(value: Any) -> str:
    """Returns a value as it is typed, or "" where it has to be typed in quotes or is not set."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return "" if value is None or isinstance(value, Mapping) else str(value)


def _fitting(words: Iterable[str], word: str) -> list[str]:
    return sorted({found for found in words if found.startswith(word) and found != word and PLAIN.fullmatch(found)})
