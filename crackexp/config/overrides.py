"""Explanations of Hydra's errors about a command line, with the override to type instead."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString, Sweep
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crackexp.config.options import conf_dir, suggest
from crackexp.config.signature import signature_of

PLUS_GROUPS = ("experiment", "debug", "sweep")
"""The groups that are not in the defaults of the training config and are added with a plus."""
LONGEST = 300
"""The number of characters of a value or a command line that are shown."""


def task_overrides(hydra: Any) -> list[str]:
    """Returns the overrides of a job as they were typed, without those of Hydra's own config.

    Interpolations in them are not resolved.

    Args:
        hydra: The node `hydra` of a config.
    """
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return list(map(str, overrides))


def hydra_overrides(hydra: Any) -> list[str]:
    """Returns the overrides of Hydra's own config as they were typed; see `task_overrides`."""
    overrides: Any = OmegaConf.to_container(hydra.overrides.hydra, resolve=False)
    return list(map(str, overrides))


def explain(error: Exception) -> str:
    """Returns a sentence about an error of Hydra or OmegaConf, with what to type instead."""
    if isinstance(error, OverrideParseException):
        return _explain_syntax(error.override)
    if isinstance(error, MissingConfigException):
        return _explain_missing(error)
    text = str(error)
    if sweep := re.search(r"Ambiguous value for argument '(.+?)'\n1\. ", text, re.DOTALL):
        return _explain_comma(sweep.group(1))
    if sweep := re.search(r"Sweep parameters '(.+)' requires --multirun", text, re.DOTALL):
        return (
            f"Several values to sweep over need -m. Type -m {shlex.quote(sweep.group(1))}. Received: {sweep.group(1)}"
        )
    if group := re.search(r"Could not override '([^'@]+)[^']*'\.?\s+No match in the defaults", text):
        name = group.group(1)
        if name in PLUS_GROUPS and name in _top_keys():
            return f"{name} is added with a plus. Type +{name}=NAME. Received: {_override(name)}"
        return f"There is no config group '{name}' here.{suggest(name, _top_keys())} Received: {_override(name)}"
    if key := re.search(r"Could not override '([^']+)'", text):
        return _explain_key(key.group(1), error)
    if key := re.search(r"Could not delete from config. '([^']+)' does not exist", text):
        return f"There is no '{key.group(1)}' that could be left out. Received: ~{key.group(1)}"
    if taken := re.search(r"An item is already at '([^']+)'|force-add of config groups .*: '\+\+([^=']+)=", text):
        name = taken.group(1) or taken.group(2)
        return f"{name} is there already. Type {name}=VALUE, without a plus. Received: {_override(name)}"
    if group := re.search(r"config group '([^']+)' does not exist", text):
        name = group.group(1)
        return f"@ follows the name of a config group, and {name} is not one. Received: {_override(name)}"
    if index := re.search(
        r"invalid literal for int\(\) .*: '(.+)'|Index '(.+)' \(str\) is not an int", whole := _message(error)
    ):
        place = index.group(1) or index.group(2)
        word = next((word for word in sys.argv[1:] if f".{place}" in word), whole)
        table = word.partition(f".{place}")[0].lstrip("+~")
        return f"{table} is a list, which has no key '{place}'. Type {table}=[VALUE]. Received: {shown(word)}"
    if (merging := re.search(r"Error merging override [+~]+([^=]*)", text)) and "HydraConfig" in str(error.__cause__):
        there = merging.group(1)
        return f"'{there}' is always there. Type {there}=VALUE, without + or ~. Received: {_override(there)}"
    if (merging := re.search(r"Error merging override [+~]*([^=]*)", text)) and "with ListConfig" in str(
        error.__cause__
    ):
        table = merging.group(1)
        return f"{table} must be a table, not a list. Type {table}.NAME=VALUE. Received: {_override(table)}"
    if wrong := _wrong_choices():
        name, word = wrong
        return f"A config group takes the name of an option. {_choice(name)} Received: {word}"
    named = [word for word in sys.argv[1:] if "=" in word[1:] and word in text]
    return (
        f"The command line cannot be composed: {_message(error)}. Received: {shown(shlex.join(named or sys.argv[1:]))}"
    )


def _message(error: Exception) -> str:
    """Returns the messages of an error and its cause in one line, with the class of an unexpected error."""
    kind = "" if isinstance(error, (HydraException, OmegaConfBaseException, OSError)) else f"{type(error).__name__}: "
    cause = f" {sentence(error.__cause__)}" if error.__cause__ else ""
    return f"{kind}{sentence(error)}{cause}".rstrip(".")


def shown(text: str) -> str:
    """Returns the beginning of a text, with control characters as escape sequences."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def sentence(error: BaseException) -> str:
    """Returns the message of an error in one line, without the lines that OmegaConf and Hydra add for programmers."""
    lines = [line.strip() for line in str(error).splitlines()]
    noise = ("full_key:", "object_type=", "reference_type=", "+", "See https:")
    return " ".join(line for line in lines if line and not line.startswith(noise))[:400].rstrip(".")


def quoted(override: str) -> str | None:
    """Returns an override with quotes with which its value is taken literally, or None where its key is wrong.

    In Hydra's grammar, brackets, commas, equals signs and quotes have a meaning, and ``#`` and letters outside of ASCII
    are not allowed. In quotes, all of them are taken literally. The result is also quoted for a shell.
    """
    key, equals, value = override.partition("=")
    if not equals or not key.lstrip("+~") or not _parses(f"{key}=1"):
        return None
    for candidate in (_quoted_inside(value), _in_quotes(value)):
        if _parses(f"{key}={candidate}"):
            return shlex.quote(f"{key}={candidate}")
    return None


def as_text(key: str, value: str) -> str:
    """Returns the override that sets `key` to exactly the text `value`, quoted for a shell."""
    return shlex.quote(f"{key}={_in_quotes(value)}")


def as_typed(key: str, value: str | Sequence[str]) -> str:
    r"""Returns the override that sets `key` to a text or a list of texts, with quotes only where they are needed.

    Example:

    >>> as_typed("dataset.positive", "crack"), as_typed("dataset.positive", "1")
    ('dataset.positive=crack', '\'dataset.positive="1"\'')
    """
    texts = [value] if isinstance(value, str) else list(value)
    parsed = [text if _parses(f"{key}={text}") and _read(text) == text else _in_quotes(text) for text in texts]
    return shlex.quote(f"{key}={parsed[0]}" if isinstance(value, str) else f"{key}=[{','.join(parsed)}]")


def _explain_syntax(override: str) -> str:
    key, equals, _ = override.partition("=")
    received = f"Received: {shown(override)}"
    if not equals and not override.startswith("~"):
        known = override.lstrip("+").partition(".")[0] in _top_keys()
        return (
            f"'{override}' has no '='. Type {override if known else 'KEY'}=VALUE, and quotes around an argument with "
            f"spaces. {received}"
        )
    if proposal := quoted(override):
        return f"The value of {key.lstrip('+~')} needs quotes of its own. Type {proposal}. {received}"
    return f"'{key}' is no key: keys are names of ASCII letters, digits, - and _, joined by dots. {received}"


def _explain_comma(override: str) -> str:
    key, _, value = override.partition("=")
    as_list = f"{key}=[{value}]"
    ways = [f"{as_text(key, value)} for one text with a comma"]
    if _parses(as_list):
        ways.append(f"{shlex.quote(as_list)} for a list")
    ways.append(f"-m {shlex.quote(override)} to sweep over the values")
    return (
        f"A comma outside brackets and quotes asks for a sweep. Type {', or '.join(ways)}. Received: {shown(override)}"
    )


def _quoted_inside(value: str) -> str:
    """Returns `value` with quotes around the parts that need them, also inside lists and tables."""
    value = value.strip()
    if _parses(f"key={value}") and not _sweeps(value):
        return value
    if value[:1] + value[-1:] == "[]":
        return f"[{','.join(map(_quoted_inside, _items(value[1:-1])))}]"
    if value[:1] + value[-1:] == "{}":
        pairs = [item.partition(":") for item in _items(value[1:-1])]
        return "{" + ",".join(f"{key}:{_quoted_inside(inner)}" for key, _, inner in pairs) + "}"
    return _in_quotes(value)


def _items(text: str) -> list[str]:
    """Returns the parts of `text` between commas, where commas in brackets do not count."""
    items, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return items


def _in_quotes(value: str) -> str:
    return QuotedString(value, Quote.double).with_quotes()


def _parses(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except (HydraException, ValueError):
        return False
    return True


def _read(value: str) -> Any:
    """Returns the value that Hydra parses from a text."""
    return OverridesParser.create().parse_override(f"key={value}").value()


def _sweeps(value: str) -> bool:
    return OverridesParser.create().parse_override(f"key={value}").is_sweep_override()


def _explain_missing(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    options = error.options or [file.stem for file in (conf_dir() / group).glob("*.yaml")]
    if not group:
        return f"{sentence(error)}. Received: {shown(shlex.join(sys.argv[1:]))}"
    if not options:
        hint = suggest(group, _top_keys())
        return f"There is no config group '{group}' here.{hint} Received: {group}={option}"
    plus = "+" if group in PLUS_GROUPS else ""
    hint = f"{suggest(option, options)} Type {plus}{group}=NAME."
    return f"{group} has no option '{option}'.{hint} Received: {plus}{group}={option}"


def _explain_key(key: str, error: Exception) -> str:
    """Returns a sentence that names the part of a dotted key that does not exist."""
    node = _searched(error)
    if node is None:
        return f"'{key}' is no key of the config.{suggest(key, _top_keys())} Received: {_override(key)}"
    parent = node._get_full_key(None)
    inner = key.removeprefix(f"{parent}.") if parent else key
    name = inner.partition(".")[0]
    known = [str(known) for known in node if not str(known).startswith("_") and known != "hydra"]
    plain: Any = OmegaConf.to_container(node)
    target = plain.get("_target_")
    arguments = signature.arguments if isinstance(target, str) and (signature := signature_of(target)) else {}
    if name in arguments:
        return (
            f"The chosen option leaves {parent}.{name} out, which its class takes. "
            f"Type {shlex.quote('+' + _override(key).lstrip('+'))}. Received: {_override(key)}"
        )
    known += sorted(set(arguments) - set(known))
    if not parent and (conf_dir() / name).is_dir():
        return f"{name} is not chosen. {_choice(name)} Received: {_override(key)}"
    hint = suggest(name, known) if parent else suggest(name, _top_keys())
    return f"'{name}' is no key of {parent or 'the config'}.{hint} Received: {_override(key)}"


def _choice(group: str) -> str:
    return f"Type {group}=NAME.{suggest('', [file.stem for file in (conf_dir() / group).glob('*.yaml')])}"


def _searched(error: BaseException | None) -> DictConfig | None:
    """Returns the node in which OmegaConf did not find a key, or None where the error names none."""
    while error is not None:
        node = getattr(error, "parent_node", None)
        if isinstance(node, DictConfig):
            return node
        error = error.__cause__
    return None


def _wrong_choices() -> tuple[str, str] | None:
    """Returns a config group that an override sets to something else than the name of an option, and that override."""
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra"}
    for word in sys.argv[1:]:
        if _parses(word):
            override = OverridesParser.create().parse_override(word)
            value = override.value()
            names = value if isinstance(value, list) else [value]
            if override.key_or_group in groups and not all(isinstance(name, (str, Sweep)) for name in names):
                return override.key_or_group, word
    return None


def _override(key: str) -> str:
    return shown(next((word for word in sys.argv[1:] if re.match(rf"[+~]*{re.escape(key)}(@[^=]*)?(=|$)", word)), key))


def _top_keys() -> list[str]:
    """Returns the top-level keys and groups of this command's config, or of all configs for a user's own command."""
    name, folder = Path(sys.argv[0]).stem, conf_dir()
    files = {file.stem: file for file in folder.glob("*.yaml")}
    known = {str(path.name) for path in folder.iterdir() if path.is_dir() and path.name != "hydra"}
    keys = set(PLUS_GROUPS) if name == "train" or name not in files else set()
    for root in [DictConfig(OmegaConf.load(file)) for file in ([files[name]] if name in files else files.values())]:
        chosen = {str(group) for choice in root.get("defaults", []) if OmegaConf.is_dict(choice) for group in choice}
        keys |= {str(key) for key in root if key not in ("defaults", "hydra")} | (chosen & known)
    return sorted(keys)
