"""The check of a composed config, which is resolved once. Every mistake is reported with its key, value and fix."""

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import hydra.utils
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import create_model

from crackexp.config.contracts import CONTRACTS, Contract, require_kept
from crackexp.config.mistakes import Mistake, description, refuse_mistakes, source, validate
from crackexp.config.options import compose_listed, group_options, packaged_targets, suggest, typed
from crackexp.config.overrides import sentence
from crackexp.config.renamed import with_current_names
from crackexp.config.schema import schema_of
from crackexp.config.settings import LISTED, SETTINGS, CommandConfig
from crackexp.config.signature import signature_of
from crackexp.config.types import Strict
from crackexp.utils.errors import ConfigError, UserError, about


def check(cfg: DictConfig, root: type[CommandConfig]) -> DictConfig:
    """Resolves all interpolations of a config and checks the whole config.

    The items of the lists of options in `LISTED` become ``{OPTION: {key: value}}`` with all keys of the option.

    Args:
        cfg: The config that Hydra composed, with the keys and groups of `root`.
        root: The class that declares the keys and groups of the command, such as
            `crackexp.training.config.TrainConfig`.

    Returns:
        The resolved config, which is read-only.

    Raises:
        ConfigError: The config has mistakes. The message lists all of them, one in each line.
    """
    refuse_mistakes(_check_choices(cfg, root, root.groups))
    cfg = compose_listed(cfg)
    values = with_current_names(_resolve(cfg))
    mistakes = [mistake for path in LISTED for mistake in _check_listed(path, values)]
    mistakes += _check_scalars(root, values)
    for group in root.groups:
        if group in values:
            mistakes += _check_group(group, values[group])
    refuse_mistakes(mistakes, _raw(cfg))
    checked = OmegaConf.create(values)
    OmegaConf.set_readonly(checked, True)
    return checked


def check_part(cfg: DictConfig, root: type[CommandConfig], keys: Iterable[str]) -> None:
    """Checks some of the top-level keys and groups of a config, in which others may have no value yet.

    Args:
        cfg: The config that Hydra composed.
        root: The class that declares the keys and groups of the command.
        keys: The keys and groups to check.

    Raises:
        ConfigError: They have mistakes. The message lists all of them, one in each line.
    """
    keys = set(keys)
    refuse_mistakes(_check_choices(cfg, root, sorted(keys & set(root.groups))))
    try:
        values: dict[str, Any] = with_current_names({**_raw(cfg), **{key: _plain(cfg[key]) for key in keys}})
    except OmegaConfBaseException as error:
        raise _unresolved(error) from error
    if isinstance(values.get("paths"), dict):
        values["paths"]["output"] = "."  # Hydra sets it only once a job runs
    mistakes = _check_scalars(root, values, keys)
    for group in sorted(keys & set(root.groups)):
        mistakes += _check_group(group, values[group])
    refuse_mistakes(mistakes, _raw(cfg))


def instantiate(node: Any, place: str | None = None, **kwargs: Any) -> Any:
    """Builds the object that a config node describes. This is the only call of `hydra.utils.instantiate`.

    Args:
        node: The node of a group of `contracts.CONTRACTS`, or an entry of a named group such as ``callbacks``.
        place: The path of the node; None for its path in the config to which it belongs.
        kwargs: Further arguments of the class.

    Raises:
        ConfigError: A ``_target_`` names a class that may not be built there, or the arguments do not fit the class.
        UserError: The constructor has raised it.
    """
    path = place or node._get_full_key(None)
    group = _group(path)
    plain = _plain(node)
    require_kept(plain, group, path)
    try:
        return hydra.utils.instantiate(node, **kwargs)
    except hydra.errors.InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise ConfigError(
            f"{plain['_target_']} cannot be built from its config: {error.__cause__ or error}. Received: {plain}"
        ) from error


def listed(cfg: DictConfig, path: str) -> list[tuple[Any, dict[str, Any]]]:
    """Builds the datasets of a checked list of options.

    Args:
        cfg: The checked config.
        path: The path of the list, such as ``mix``.

    Returns:
        For each item the dataset, and the values of the keys that an item has beside those of its dataset.

    Raises:
        ConfigError: A dataset cannot be built; see `instantiate`.
    """
    beside = LISTED[path].model_fields
    built = []
    for option, node in [pair for item in OmegaConf.select(cfg, path) for pair in item.items()]:
        own = OmegaConf.create({key: value for key, value in node.items() if key not in beside})
        with about(f"{option} in {path}"):
            built.append((instantiate(own, f"{path}.{option}"), {key: node[key] for key in beside}))
    return built


def _check_choices(cfg: DictConfig, root: type[CommandConfig], groups: Iterable[str]) -> list[Mistake]:
    """Returns a mistake for each needed group without a choice, and for each chosen one that `root` does not have."""
    raw = _raw(cfg)
    missing = [group for group in groups if group not in root.optional and not _chosen(group, raw.get(group))]
    foreign = [group for group in [*SETTINGS, *CONTRACTS] if group in raw and group not in root.groups]
    return [
        *(
            Mistake(name, f"{name} is not chosen. Type {name}=NAME.{_options(name)} Received: {source(name, None)}")
            for name in missing
        ),
        *(
            Mistake(name, f"{name} is no group of this command. Received: {source(name, raw[name])}")
            for name in foreign
        ),
    ]


def _chosen(group: str, node: Any) -> bool:
    """Returns whether an option of `group` was chosen, which is more than some keys that the root config sets."""
    targeted = group in CONTRACTS and not CONTRACTS[group].named
    return node is not None and not (targeted and isinstance(node, Mapping) and "_target_" not in node)


def _options(group: str) -> str:
    if not GlobalHydra.instance().is_initialized():
        return ""
    return suggest("", group_options(group))


def _resolve(cfg: DictConfig) -> dict[str, Any]:
    try:
        values = {str(key): value for key, value in _plain(cfg).items()}
    except OmegaConfBaseException as error:
        raise _unresolved(error) from error
    if missing := sorted(_missing(values)):
        raise ConfigError("\n".join(missing))
    return values


def _missing(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yields an error for each key without a value, which is ``???`` or an interpolation that resolves to it."""
    for key, value in table.items():
        if value == "???":
            target = table.get("_target_")
            about = f" {description(schema_of(target), key)}" if isinstance(target, str) else ""
            yield f"{prefix}{key} has no value.{about} Type {prefix}{key}=VALUE."
        elif isinstance(value, Mapping):
            yield from _missing(value, f"{prefix}{key}.")


def _unresolved(error: OmegaConfBaseException) -> ConfigError:
    key, received = re.sub(r"\[(\d+)\]", r".\1", str(error.full_key or "")), ""
    if key and isinstance(error.parent_node, DictConfig | ListConfig):
        received = f" Received: {source(key, error.parent_node._get_node(error.key))}"
    return ConfigError(f"{key or 'The config'} cannot be resolved: {sentence(error)}.{received}")


def _raw(cfg: DictConfig) -> dict[str, Any]:
    raw: Any = OmegaConf.to_container(cfg, resolve=False)
    return {str(key): value for key, value in raw.items()}


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _check_scalars(root: type[CommandConfig], values: Mapping[str, Any], keys: set[str] | None = None) -> list[Mistake]:
    return validate(root, {key: value for key, value in values.items() if key not in root.groups}, "", keys)


def _check_listed(path: str, values: dict[str, Any]) -> list[Mistake]:
    """Checks the composed options of the list at `path`, and fills in the keys that items have beside datasets."""
    parent, _, key = path.rpartition(".")
    items = (values.get(parent) or {}).get(key) if parent else values.get(key)
    extra = LISTED[path]
    names: list[Any] = []
    mistakes: list[Mistake] = []
    for option, node in [pair for item in items or [] for pair in item.items()]:
        prefix = f"{path}.{option}"
        beside = {key: node[key] for key in extra.model_fields if key in node}
        wrong = _check_node(prefix, node, CONTRACTS["dataset"], extra)
        if not wrong:
            node |= extra.model_validate(beside).model_dump()
        name = node.get("name")
        if name in names or not re.fullmatch(r"[\w.-]+", str(name)):
            text = (
                f"Each dataset in {path} has a name of its own, of letters, digits, dots and dashes. "
                f"Type {typed(f'{prefix}.name')}. Received: {source(f'{prefix}.name', name)}"
            )
            wrong.append(Mistake(f"{prefix}.name", text))
        mistakes += wrong
        names.append(name)
    return mistakes


def _check_group(group: str, node: Any) -> list[Mistake]:
    if not isinstance(node, Mapping):
        text = f"{group} must be a table, chosen by {group}=NAME. Received: {source(group, node)}"
        return [Mistake(group, text)]
    if group in SETTINGS:
        return validate(SETTINGS[group], node, group)
    contract = CONTRACTS[group]
    return _check_named(group, node, contract) if contract.named else _check_node(group, node, contract)


def _check_named(path: str, table: Any, contract: Contract) -> list[Mistake]:
    """Checks a table of nodes by name, where null switches a node off."""
    if not isinstance(table, Mapping):
        text = f"{path} must be a table of named parts. Type {path}={{}} for none. Received: {source(path, table)}"
        return [Mistake(path, text)]
    nodes = [(f"{path}.{name}", node) for name, node in table.items() if node is not None]
    return [mistake for place, node in nodes for mistake in _check_node(place, node, contract)]


def _check_node(path: str, node: Any, contract: Contract, beside: type[Strict] | None = None) -> list[Mistake]:
    """Checks the config of a part against the constructor of its class, which is not imported.

    Args:
        path: The path of the node.
        node: The node as plain values.
        contract: The contract of the part.
        beside: The schema of the keys that the node has beside the arguments of the class; None for none.
    """
    group = _group(path)
    if not isinstance(node, Mapping):
        return [Mistake(path, f"{path} must be a table, chosen by {group}=NAME. Received: {source(path, node)}")]
    target = node.get("_target_")
    if not isinstance(target, str):
        return [Mistake(path, f"{path} needs a _target_: the class to build. Received: {source(path, node)}")]
    if not _is_there(target):
        text = (
            f"{path}._target_ names no class that can be imported.{suggest(target, packaged_targets(group))} "
            f"A class of your own must be importable from the working folder. "
            f"Received: {source(f'{path}._target_', target)}"
        )
        return [Mistake(f"{path}._target_", text)]
    schema = schema_of(target, contract.keys)
    mistakes = validate(create_model(schema.__name__, __base__=(beside, schema)) if beside else schema, node, path)
    tables = [(f"{path}.{key}", node[key], parts) for key, parts in contract.tables.items() if key in node]
    return [*mistakes, *(mistake for table in tables for mistake in _check_named(*table))]


def _group(path: str) -> str:
    """Returns the group to which the node at `path` belongs."""
    return "dataset" if path.startswith(tuple(LISTED)) else path.partition(".")[0]


def _is_there(target: str) -> bool:
    """Returns whether a class can be found, or at least a foreign package whose module may create it when it runs."""
    if signature_of(target) is not None:
        return True
    package = target.partition(".")[0]
    if package in ("crackexp", "keras") or "." not in target:
        return False
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
