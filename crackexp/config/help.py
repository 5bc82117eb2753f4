"""The text of ``--help``: the groups of a command with their options, and its keys with what their schemas say."""

import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from crackexp.config.mistakes import description
from crackexp.config.overrides import PLUS_GROUPS
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS, CommandConfig
from crackexp.config.types import Strict

COLUMN = 48
"""The column that sentences begin at, where their keys leave room."""


def register_help(command: type[CommandConfig]) -> None:
    """Registers the two resolvers that ``conf/hydra/help/crackexp.yaml`` is written with.

    Args:
        command: The keys and groups of the command.
    """
    new = partial(OmegaConf.register_new_resolver, replace=True)
    new("help.groups", lambda: _escaped(groups_text(command)), use_cache=True)  # Hydra is slow at listing options
    new("help.keys", lambda *, _root_: _escaped(keys_text(_root_, command)))


def groups_text(command: type[CommandConfig]) -> str:
    """Returns a line for each group of a command: its name and its options."""
    loader = GlobalHydra.instance().config_loader()
    added = [f"+{group}" for group in PLUS_GROUPS] if "trainer" in command.groups else []
    options = {group: loader.get_group_options(group.lstrip("+")) for group in [*command.groups, *added]}
    return "\n".join(f"{group}: {', '.join(sorted(names))}" for group, names in options.items())


def keys_text(cfg: DictConfig, command: type[CommandConfig]) -> str:
    """Returns the composed config as YAML, with a sentence behind each key that has one."""
    plain: Any = OmegaConf.to_container(cfg)
    return "\n".join(_lines({key: value for key, value in plain.items() if key != "hydra"}, command))


def _lines(table: Mapping[str, Any], schema: type[Strict] | None, indent: str = "") -> Iterator[str]:
    for key, value in table.items():
        about = description(schema, key) if schema and key != "_target_" else ""
        inner = value if isinstance(value, Mapping) and value else None
        text = f"{key}:" if inner else OmegaConf.to_yaml(OmegaConf.create({key: value})).rstrip()
        first, *rest = textwrap.indent(text, indent).splitlines()
        yield f"{first:<{COLUMN}} # {about}" if about else first
        yield from rest
        if inner:
            yield from _lines(inner, _schema(schema, key, inner), f"{indent}  ")


def _schema(above: type[Strict] | None, key: str, table: Mapping[str, Any]) -> type[Strict] | None:
    """Returns the schema of the table `key`: that of its class, of its group, or of the field that it is above."""
    if isinstance(table.get("_target_"), str):
        return schema_of(table["_target_"])
    field = above.model_fields.get(key) if above else None
    if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Strict):
        return field.annotation
    return SETTINGS.get(key)


def _escaped(text: str) -> str:
    """Returns `text` for Hydra's template, in which a dollar sign begins a variable."""
    return text.replace("$", "$$")
