"""The text of ``--help``: the groups of a command with their options, and its keys with their descriptions."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from crackexp.config.contracts import CONTRACTS
from crackexp.config.mistakes import description
from crackexp.config.options import group_options, suggest
from crackexp.config.overrides import PLUS_GROUPS
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS, CommandConfig
from crackexp.config.types import Strict, key_type
from crackexp.utils.errors import ConfigError

COLUMN = 48
"""The column at which descriptions begin, where keys are short enough."""
NARROWEST = 100
"""The width in characters below which descriptions are not wrapped."""


def help_text(cfg: DictConfig, command: type[CommandConfig]) -> str:
    """Returns what ``--help`` prints of a command.

    Args:
        cfg: The config that Hydra composed.
        command: The class that declares the keys and groups of the command.
    """
    about = HydraConfig.get().help
    groups = "\n".join(f"{group}: {', '.join(options)}" for group, options in _groups(command).items())
    plain: Any = OmegaConf.to_container(cfg)
    keys = "\n".join(_lines(plain, command))
    return (
        f"{about.header.rstrip()}\n\n"
        f"Groups (choose with group=option; --help GROUP explains one)\n{groups}\n\n"
        f"Config (override with key=value)\n{keys}\n\n"
        f"{about.footer.rstrip()}"
    )


def group_text(group: str, command: type[CommandConfig]) -> str:
    """Returns what ``--help GROUP`` prints: each option of a group, with its class and its keys.

    Args:
        group: The name of the group, such as ``optimizer``.
        command: The class that declares the groups of the command.

    Raises:
        ConfigError: The command has no such group.
    """
    groups = {name.lstrip("+"): options for name, options in _groups(command).items()}
    if group not in groups:
        raise ConfigError(f"There is no config group '{group}' here.{suggest(group, groups)} Received: --help {group}")
    plus = "+" if group in PLUS_GROUPS else ""
    chosen = HydraConfig.get().runtime.choices.get(group)
    parts = [f"{group}: {CONTRACTS[group]}" if group in CONTRACTS else group]
    parts[0] += f". Chosen: {chosen}" if chosen else ""
    for option in groups[group]:
        comment, text = _file(group, option)
        if plus:  # such an option changes keys of other groups, and is no config by itself
            lines = textwrap.indent(text, "  ").splitlines()
        else:
            composed: Any = OmegaConf.to_container(compose(f"{group}/{option}"))
            node = composed.get(group, {})
            lines = [*_lines(node, _schema(None, group, node), "  "), *_further(group, node)]
        parts.append("\n".join([f"{plus}{group}={option}", *textwrap.indent(comment, "  ").splitlines(), *lines]))
    return "\n\n".join(parts)


def _groups(command: type[CommandConfig]) -> dict[str, list[str]]:
    """Returns the options of each group, by the words that choose it: ``+`` before those that are added."""
    added = [f"+{group}" for group in PLUS_GROUPS] if "trainer" in command.groups else []
    return {group: group_options(group.lstrip("+")) for group in [*command.groups, *added]}


def _file(group: str, option: str) -> tuple[str, str]:
    """Returns the comment at the top of the file of an option, and the text below it."""
    for element in GlobalHydra.instance().config_loader().get_search_path().get_path():
        file = Path(element.path.removeprefix("file://"), group, f"{option}.yaml")
        if file.is_file():
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("# @")]
            end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
            return "\n".join(lines[:end]), "\n".join(lines[end:])
    return "", ""


def _further(group: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Yields the arguments of the class of an option that the option leaves out."""
    target = node.get("_target_")
    schema = schema_of(target) if target else None
    left_out = {
        field.alias or name: field
        for name, field in (schema.model_fields.items() if schema else ())
        if (field.alias or name) not in node and not (field.alias or name).startswith("_")
    }
    if left_out:
        yield f"  Further arguments (type +{group}.NAME=VALUE)"
        yield from _lines({name: field.get_default() for name, field in left_out.items()}, schema, "  ")


def _lines(table: Mapping[str, Any], schema: type[Strict] | None, indent: str = "") -> Iterator[str]:
    for key, value in table.items():
        about = _about(schema, key) if schema and key != "_target_" else ""
        inner = value if isinstance(value, Mapping) and value else None
        text = f"{key}:" if inner else OmegaConf.to_yaml(OmegaConf.create({key: value})).rstrip()
        first, *rest = textwrap.indent(text, indent).splitlines()
        yield from _beside(first, about) if about else [first]
        yield from rest
        if inner:
            yield from _lines(inner, _schema(schema, key, inner), f"{indent}  ")


def _about(schema: type[Strict], key: str) -> str:
    kind = key_type(schema, key)
    return " ".join(filter(None, [description(schema, key), f"({kind})" if kind else ""]))


def _beside(text: str, about: str) -> Iterator[str]:
    """Yields lines with `text` on the left and its description on the right, wrapped on a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = textwrap.wrap(about, width - COLUMN - 3) if width >= NARROWEST else [about]
    yield f"{text:<{COLUMN}} # {lines[0]}"
    for line in lines[1:]:
        yield f"{'':<{COLUMN}} # {line}"


def _schema(above: type[Strict] | None, key: str, table: Mapping[str, Any]) -> type[Strict] | None:
    """Returns the schema of the table `key`, which is that of its class, of its field in `above`, or of its group."""
    if isinstance(table.get("_target_"), str):
        return schema_of(table["_target_"])
    field = above.model_fields.get(key) if above else None
    if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Strict):
        return field.annotation
    return SETTINGS.get(key)
