"""The text of ``--help``: the groups of a command with their options, and its keys with their descriptions."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from crackexp.config.mistakes import description
from crackexp.config.overrides import PLUS_GROUPS
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS, CommandConfig
from crackexp.config.types import Strict

COLUMN = 48
"""The column at which descriptions begin, where keys are short enough."""


def help_text(cfg: DictConfig, command: type[CommandConfig]) -> str:
    """Returns what ``--help`` prints of a command.

    Args:
        cfg: The config that Hydra composed.
        command: The class that declares the keys and groups of the command.
    """
    about = HydraConfig.get().help
    groups = f"Groups (choose with group=option)\n{groups_text(command)}"
    keys = f"Config (override with key=value)\n{keys_text(cfg, command)}"
    return "\n\n".join([about.header.rstrip(), groups, keys, about.footer.rstrip()])


def groups_text(command: type[CommandConfig]) -> str:
    """Returns a line with the name and the options of each group of a command."""
    loader = GlobalHydra.instance().config_loader()
    added = [f"+{group}" for group in PLUS_GROUPS] if "trainer" in command.groups else []
    options = {group: loader.get_group_options(group.lstrip("+")) for group in [*command.groups, *added]}
    return "\n".join(f"{group}: {', '.join(sorted(names))}" for group, names in options.items())


def keys_text(cfg: DictConfig, command: type[CommandConfig]) -> str:
    """Returns the composed config as YAML, with the description of each key as a comment."""
    plain: Any = OmegaConf.to_container(cfg)
    return "\n".join(_lines(plain, command))


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
    """Returns the schema of the table `key`, which is that of its class, of its field in `above`, or of its group."""
    if isinstance(table.get("_target_"), str):
        return schema_of(table["_target_"])
    field = above.model_fields.get(key) if above else None
    if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Strict):
        return field.annotation
    return SETTINGS.get(key)
