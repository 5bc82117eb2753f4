"""Writes the pages of the reference: the keys of each command and config group, and the API.

The keys come from where ``--help`` and the check of a config have them: the schemas of `crackexp.config`, which are
read from the constructors of the classes, and the files in ``conf/``.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_class

from crackexp.config.contracts import CONTRACTS
from crackexp.config.options import conf_dir
from crackexp.config.overrides import PLUS_GROUPS
from crackexp.config.renamed import RENAMED
from crackexp.config.schema import schema_of
from crackexp.config.settings import SETTINGS, CommandConfig
from crackexp.config.types import Strict, type_text

API = {
    "Python": [f"crackexp.{name}" for name in ("compose", "load_model", "Model", "model.Explanation", "RunResult")],
    "Data": ["crackexp.data.sources.Dataset", "crackexp.data.splits.Split", "crackexp.data.transforms.Transform"],
    "Models": ["crackexp.models.Backbone", "crackexp.models.Head"],
    "Training": ["crackexp.training.trainer.Trainer"],
    "Tracking": ["crackexp.tracking.logger.Logger"],
    "Metrics": [f"crackexp.metrics.{name}" for name in ("Metric", "MeanMetric", "Predictions", "Bootstrap")],
    "Reports": [f"crackexp.reporting.{name}" for name in ("ReportSection", "Report", "Section", "Table", "Figure")],
}
"""The public classes and functions by the heading under which the reference shows them."""
HEAD = "| key | what it is |\n|---|---|"


def write(folder: Path) -> None:
    """Writes all pages of the reference.

    Args:
        folder: The folder of the pages. Pages of earlier builds that are no longer made are removed from it.
    """
    commands = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted(conf_dir().glob("*.yaml"))}
    groups = sorted({*SETTINGS, *CONTRACTS, *PLUS_GROUPS})
    pages = {f"commands/{name}": _command(name, config) for name, config in commands.items()}
    pages |= {f"groups/{name}": _group(name) for name in groups}
    pages["commands"] = _index("Commands", "commands", {name: _about(config) for name, config in commands.items()})
    pages["groups"] = _index("Config groups", "groups", {name: _options(name) for name in groups})
    pages |= {f"api/{title.lower()}": _classes(title, names) for title, names in API.items()}
    pages["api"] = _index("API", "api", {title.lower(): ", ".join(map(_code, names)) for title, names in API.items()})
    for name, text in pages.items():
        file = folder / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or file.read_text("utf-8") != text:  # Sphinx renders a page again when its file is newer
            file.write_text(text, encoding="utf-8")
    for file in folder.rglob("*.md"):
        if file.relative_to(folder).with_suffix("").as_posix() not in pages:
            file.unlink()


def _command(name: str, config: Mapping[str, Any]) -> str:
    """Returns the page of a command."""
    command: type[CommandConfig] = getattr(import_module(f"crackexp.{name}"), f"{name.title()}Config")
    chosen = {group: option for item in config["defaults"] if isinstance(item, dict) for group, option in item.items()}
    groups = {group: f"`{group}={chosen[group]}`" if group in chosen else "" for group in command.groups}
    if "trainer" in groups:
        groups |= dict.fromkeys(PLUS_GROUPS, "")
    rows = [f"| [{group}](../groups/{group}.md) | {_options(group)} | {told} |" for group, told in groups.items()]
    keys = list(_rows(command, config, ""))
    keys += [
        _row(f"{group}.{key}", f"A key of the group [{group}](../groups/{group}.md).", f"default {_code(value)}")
        for group in command.groups
        for key, value in config.get(group, {}).items()
    ]
    return _joined(
        f"# {name}",
        _escape(_about(config)),
        *_examples(config["hydra"]["help"]["footer"]),
        "## Groups",
        "`GROUP=OPTION` chooses an option.",
        "\n".join(["| group | options | default |\n|---|---|---|", *rows]),
        "## Keys",
        "`KEY=VALUE` changes a value." if keys else "It has no keys beside those of its groups.",
        "\n".join([HEAD, *keys]) if keys else "",
    )


def _examples(footer: str) -> list[str]:
    """Returns the command lines below a ``--help`` as a block of code, and then its other lines."""
    lines = footer.strip().splitlines()
    commands = [line.strip() for line in lines if line.startswith("  ")]
    prose = [line for line in lines if not line.startswith("  ") and line != "Examples:"]
    return ["\n".join(["```bash", *commands, "```"]), _escape(" ".join(prose))]


def _group(name: str) -> str:
    """Returns the page of a config group, with a section for each option."""
    parts = [f"# {name}"]
    for file in _files(name):
        source = file.read_text("utf-8")
        parts.append(f"## {file.stem}")
        if name in PLUS_GROUPS:
            parts += [f"`+{name}={file.stem}` adds this file:", f"```yaml\n{source}```"]
            continue
        node, included = _option(name, file.stem)
        comment = re.match(r"(#.*\n)*", source).group()  # type: ignore[union-attr]  # matches the empty text too
        parts.append(_built(node["_target_"]) if "_target_" in node else "")
        parts.append(_escape(" ".join(line.lstrip("# ") for line in comment.splitlines())))
        parts.append(f"It includes {', '.join(f'[{item}](#{item})' for item in included)}." if included else "")
        rows = list(_rows(SETTINGS[name], node, f"{name}.") if name in SETTINGS else _node_rows(node, name))
        parts.append("\n".join([HEAD, *rows]) if rows else "" if included else "It has no keys.")
    if any("| `+" in part for part in parts):
        parts.insert(1, "A key with a plus is not in the file of its option. Type it with the plus.")
    return _joined(*parts)


def _option(group: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """Returns the keys of an option, and the options whose keys it includes where they are shown beside it."""
    node = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text("utf-8")) or {}
    included = [item for item in node.pop("defaults", []) if item != "_self_"]
    if group in CONTRACTS and CONTRACTS[group].named:
        return node, included
    for item in included:
        node = _option(group, item)[0] | node
    return node, []


def _rows(schema: type[Strict], values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yields a row for each key of a schema, also of the tables in it."""
    properties = schema.model_json_schema(by_alias=True)["properties"]
    for name, field in schema.model_fields.items():
        key = field.alias or name
        if key.startswith("_"):
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, Strict):
            yield from _rows(field.annotation, values[key], f"{prefix}{key}.")
            continue
        value = values.get(key, field.default)
        tables = (
            isinstance(value, Mapping) and bool(value) and all(isinstance(node, Mapping) for node in value.values())
        )
        missing = value == "???" or (field.is_required() and key not in values)
        facts = f"{type_text(properties[key], _code)}; {'required' if missing else f'default {_code(value)}'}"
        plus = "" if key in values else "+"  # the option leaves the key out, so that Hydra adds it
        yield _row(f"{plus}{prefix}{key}", _escape(field.description or ""), "" if tables else facts)
        if tables:
            yield from _node_rows(value, f"{prefix}{key}")


def _node_rows(node: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yields a row for each key of a node, or of each of the nodes in a table of them."""
    if "_target_" in node:
        yield from _rows(schema_of(node["_target_"]), node, f"{path}.")
        return
    for name, inner in node.items():
        yield _row(f"{path}.{name}", _built(inner["_target_"]) if inner else "", "" if inner else "default `null`")
        if inner:
            yield from _node_rows(inner, f"{path}.{name}")


def _row(key: str, about: str, facts: str) -> str:
    told = "<br>".join(filter(None, [about, facts])).replace("|", "\\|")
    return f"| `{key}` | {told} |"


def _built(target: str) -> str:
    """Returns the name of a class and the first sentence of its docstring."""
    first = (inspect.getdoc(get_class(target)) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")
    return f"`{target}`: {_escape(first)}"


def _classes(title: str, names: list[str]) -> str:
    """Returns a page of the API."""
    directives = "\n\n".join(f".. auto{_kind(name)}:: {name}" for name in names)
    return _joined(f"# {title}", f"```{{eval-rst}}\n{directives}\n```")


def _kind(name: str) -> str:
    """Returns "class" or "function"."""
    module, _, attribute = name.rpartition(".")
    return "class" if isinstance(getattr(import_module(module), attribute), type) else "function"


def _index(title: str, folder: str, about: Mapping[str, str]) -> str:
    rows = [f"| [{name}]({folder}/{name}.md) | {text} |" for name, text in about.items()]
    tree = "\n".join(["```{toctree}", ":hidden:", *(f"{folder}/{name}" for name in about), "```"])
    return _joined(f"# {title}", "\n".join(["| | |\n|---|---|", *rows]), tree)


def _about(config: Mapping[str, Any]) -> str:
    """Returns what a command does, as its ``--help`` begins, without the name of the command."""
    text = " ".join(config["hydra"]["help"]["header"].split()).partition(": ")[2]
    return text[0].upper() + text[1:]


def _files(group: str) -> list[Path]:
    """Returns the files of the options of a group, without those that only an old command line names."""
    files = sorted((conf_dir() / group).glob("*.yaml"))
    return [file for file in files if (yaml.safe_load(file.read_text("utf-8")) or {}).get("_target_") not in RENAMED]


def _options(group: str) -> str:
    return ", ".join(f"`{file.stem}`" for file in _files(group))


def _code(value: Any) -> str:
    """Returns a value as YAML in one line, as code."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def _escape(text: str) -> str:
    """Returns a text in which Markdown finds no markup but code, and in which options such as --help are code."""
    text = re.sub(r"(?<![\S`])--[a-z-]+", r"`\g<0>`", text)
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<>\[\]{}|])", r"\\\1", part) for part in parts)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
