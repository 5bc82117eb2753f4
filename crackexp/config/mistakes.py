"""Messages about mistakes in a config: the key, the problem, what to type instead, and where the value came from."""

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from hydra.core.hydra_config import HydraConfig
from pydantic import ValidationError

from crackexp.config.options import suggest, typed
from crackexp.config.overrides import as_text, hydra_overrides, shown, task_overrides
from crackexp.config.types import Strict
from crackexp.utils.errors import ConfigError
from crackexp.utils.names import visible


class Mistake(NamedTuple):
    """A wrong key or value of a config.

    Attributes:
        key: The path of the key.
        message: The sentences that say what is wrong and what to type instead.
    """

    key: str
    message: str


def validate(
    model: type[Strict], node: Mapping[Any, Any], prefix: str, keys: Collection[str] | None = None
) -> list[Mistake]:
    """Returns the mistakes of a node, one for each wrong key.

    Args:
        model: The schema of the node.
        node: The node as plain values.
        prefix: The path of the node, such as ``dataset``; "" for the top of the config.
        keys: The keys of the node to check; None for all.
    """
    try:
        model.model_validate(_as_text(dict(node)))
    except ValidationError as invalid:
        errors = [dict(error) for error in invalid.errors() if keys is None or error["loc"][0] in keys]
        return _mistakes(errors, model, node, prefix)
    return []


def refuse_mistakes(mistakes: Iterable[Mistake], raw: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Refuses a config for its mistakes, of which those of keys that take their value from one key count as one.

    A value such as ``epochs`` is checked at its own key and at those that interpolate it, such as ``trainer.epochs``.
    Users type the former, so only the mistake there is reported.

    Args:
        mistakes: The mistakes.
        raw: The config as plain values, whose interpolations are not resolved.

    Raises:
        ConfigError: There are mistakes. The message lists them, one in each line.
    """
    origins = dict(_references(raw))
    by_origin: dict[str, Mistake] = {}
    for mistake in mistakes:
        origin = mistake.key
        while origin in origins:
            origin = origins[origin]
        if origin not in by_origin or mistake.key == origin:
            by_origin[origin] = mistake
    if by_origin:
        raise ConfigError("\n".join(mistake.message for mistake in by_origin.values()))


def _references(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields the path of each key whose value is the interpolation of another key, and the path of that key."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _references(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):  # the paths of datasets in lists have no index; see `checking.check`
        for value in node:
            yield from _references(value, path)
    elif isinstance(node, str) and (reference := re.fullmatch(r"\$\{(\w[\w.]*)\}", node)):
        yield path, reference.group(1)


def _as_text(value: Any) -> Any:
    """Returns a copy with texts that pydantic accepts, since the path of a file may hold bytes that are not UTF-8."""
    if isinstance(value, Mapping):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return visible(value) if isinstance(value, str) else value


def source(key: str, value: Any) -> str:
    """Returns ``key=value`` and where the value came from: an override, or the file of the chosen option."""
    text = shown(f"{key}={dict(value) if isinstance(value, Mapping) else value}")
    if not HydraConfig.initialized():
        return text
    if override := _override(key):
        return f"{text} (override {shown(override)})"
    group = key.split(".")[0]
    choice = HydraConfig.get().runtime.choices.get(group)
    file = f"{group}/{choice}.yaml" if choice else f"{HydraConfig.get().job.config_name}.yaml"
    return f"{text} (config {file}, or what it includes)"


def _override(key: str) -> str | None:
    """Returns the last override that set `key`, or the table or list that contains it."""
    if not HydraConfig.initialized():
        return None
    whole = re.sub(r"(\.\d+)+$", "", key)
    overrides = hydra_overrides if key.startswith("hydra.") else task_overrides
    for override in reversed(overrides(HydraConfig.get())):
        name = override.lstrip("+~").partition("=")[0]
        chosen = name in HydraConfig.get().runtime.choices
        if name == whole or (not chosen and whole.startswith(f"{name}.")):
            return override
    return None


def _mistakes(errors: Sequence[dict[str, Any]], model: type[Strict], node: Any, prefix: str) -> list[Mistake]:
    """Returns a mistake for each key. All errors that a union of types has for one value become one mistake."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for error in errors:
        parts = [*([prefix] if prefix else []), *_place(error, node)]
        by_key.setdefault(".".join(map(str, parts)), []).append(error)
    deepest = {key: those for key, those in by_key.items() if not any(other.startswith(f"{key}.") for other in by_key)}
    return [Mistake(key, _sentence(key, those, model, prefix)) for key, those in deepest.items()]


def _place(error: dict[str, Any], node: Any) -> list[Any]:
    """Returns the keys that lead to the wrong value, without the names of types that Pydantic puts between them."""
    place: list[Any] = []
    for part in error["loc"]:
        inside = part in node if isinstance(node, Mapping) else isinstance(node, list) and isinstance(part, int)
        if inside:
            place.append(part)
            node = node[part]
        elif error["type"] == "missing":
            place.append(part)
    return place


def _sentence(key: str, errors: list[dict[str, Any]], model: type[Strict], prefix: str) -> str:
    error, value = errors[0], errors[0]["input"]
    if error["type"] == "extra_forbidden":
        parent, _, leaf = key.rpartition(".")
        known = [field.alias or name for name, field in model.model_fields.items()] if parent == prefix else []
        hint = suggest(leaf, [name for name in known if not name.startswith("_")]) if known else ""
        return f"{key} is no key of {parent or 'the config'}.{hint} Received: {source(key, value)}"
    if error["type"] == "missing":
        received = _override(key) or (source(prefix, value) if prefix else "no value")
        about = description(model, key.removeprefix(f"{prefix}.") if prefix else key)
        meaning = f" {about}" if about else ""
        return f"{key} has no value.{meaning} Type {typed(key)}. Received: {received}"
    hint, whole = "", re.sub(r"(\.\d+)+$", "", key)
    type_this = typed(whole)
    if error["type"] == "literal_error" and isinstance(value, str):
        choices = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        hint = suggest(value, choices)
    if error["type"] == "string_type" and isinstance(value, (bool, int, float)) and type_this == f"{whole}=VALUE":
        text = (_override(key) or f"={value}").partition("=")[2]
        type_this = as_text(key, text) if key == whole else shlex.quote(f'{whole}=["{value}"]')
    about = description(model, key.removeprefix(f"{prefix}.") if prefix else key)
    demands = list(dict.fromkeys(_demand(error) for error in errors))
    demands[1:] = [demand.removeprefix("be ") for demand in demands[1:]]
    meaning = f" {about}" if about else ""
    return f"{key}: must {' or '.join(demands)}.{hint}{meaning} Type {type_this}. Received: {source(key, value)}"


def description(model: type[Strict], key: str) -> str:
    """Returns the first sentence that a schema has for one of its keys, or "" where it has none.

    Example:

    >>> from crackexp.config.settings import Tile
    >>> description(Tile, "overlap")
    "The share of a tile's side that the next one covers too."
    """
    name, _, inner = key.partition(".")
    field = next((field for own, field in model.model_fields.items() if name in (field.alias, own)), None)
    if field is None:
        return ""
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
    tables = [kind for kind in kinds if issubclass(kind, Strict)]
    if inner and tables:
        return description(tables[0], inner)
    first = re.match(r".*?[.!?](?=\s|$)", field.description or "")
    return first.group() if first else ""


def _demand(error: dict[str, Any]) -> str:
    """Returns the requirement that a value does not meet, such as "be greater than 0"."""
    message = re.sub(r"^(Input|String|List|Dictionary|Keys|Value) should ", "", error["msg"]).removeprefix("must ")
    message = re.sub(r"a valid dictionary( or instance of \w+)?", "a table", message)
    return message.replace("a valid boolean", "true or false, a boolean")
