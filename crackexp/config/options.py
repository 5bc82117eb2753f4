"""The options of config groups: the folder of their files, and the composition of options in lists."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, ListConfig, OmegaConf

from crackexp.config.settings import LISTED
from crackexp.utils.errors import ConfigError

GROUP = "dataset"
"""The config group to which the options in the lists of `settings.LISTED` belong."""


def conf_dir() -> Path:
    """Returns the folder of the packaged configs, which is in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


def group_options(group: str) -> list[str]:
    """Returns the options of a config group in the folders that Hydra searches, sorted.

    Hydra's own `get_group_options` first copies all that it has read, which takes longer than to list a folder.
    """
    sources = [source for source in GlobalHydra.instance().config_loader().get_sources() if source.is_group(group)]
    return sorted({option for source in sources for option in source.list(group, ObjectType.CONFIG)})


def packaged_targets(group: str) -> list[str]:
    """Returns the dotted names of all classes in the packaged options of a config group, at any depth."""
    nodes = [OmegaConf.load(file) for file in sorted((conf_dir() / group).glob("*.yaml"))]
    return sorted({target for node in nodes for target in _targets(OmegaConf.to_container(node))})


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield value
            else:
                yield from _targets(value)


def suggest(word: str, choices: Any) -> str:
    """Returns " Did you mean 'x'?" where a choice is similar to `word`, else the list of choices, or "" without any."""
    names = sorted(str(choice) for choice in choices)
    if not names:
        return ""
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else f" Choose from: {', '.join(names)}."


def typed(key: str) -> str:
    """Returns the override that sets a key: ``key=VALUE``, or ``list=[{OPTION: {key: VALUE}}]`` within a list."""
    for path in LISTED:
        option, _, inner = key.removeprefix(f"{path}.").partition(".")
        if key.startswith(f"{path}.") and inner:
            return f"'{path}=[{{{option}: {{{inner}: VALUE}}}}]'"
    return f"{key}=VALUE"


def compose_listed(cfg: DictConfig) -> DictConfig:
    """Returns `cfg` with each item of the lists in `settings.LISTED` as ``{OPTION: {key: value}}`` with all keys.

    An item is NAME, or ``{NAME: {key: value}}`` with the keys that differ from the option NAME of the group
    ``dataset``. An item with a ``_target_`` is complete already.

    Raises:
        ConfigError: An item has another form, there is no such option, or a key has no value.
    """
    cfg = cfg.copy()
    OmegaConf.set_readonly(cfg, False)
    OmegaConf.set_struct(cfg, False)
    for path in LISTED:
        parent, _, key = path.rpartition(".")
        table = OmegaConf.select(cfg, parent) if parent else cfg
        if not OmegaConf.is_dict(table) or key not in table:
            continue
        items = table[key]
        if not isinstance(items, ListConfig):
            raise _misformed(path, items)
        table[key] = [_composed(path, item) for item in OmegaConf.to_container(items)]  # type: ignore[union-attr]
    return cfg


def _composed(path: str, item: Any) -> dict[str, Any]:
    table = {item: None} if isinstance(item, str) else item
    if not isinstance(table, Mapping) or len(table) != 1:
        raise _misformed(path, item)
    ((option, changes),) = table.items()
    changes = {} if changes is None else changes
    if not isinstance(changes, Mapping):
        raise _misformed(path, item)
    node = OmegaConf.create({} if "_target_" in changes else _option(str(option), path))
    node.merge_with(changes)
    whole: dict[str, Any] = OmegaConf.to_container(node)  # type: ignore[assignment]  # a table at the root
    if missing := [f"{path}.{option}.{key}" for key, value in whole.items() if value == "???"]:
        raise ConfigError("\n".join(f"{key} has no value. Type {typed(key)}. Received: {item}" for key in missing))
    return {str(option): whole}


def _option(name: str, path: str) -> Any:
    """Returns the unresolved config of ``conf/dataset/<name>.yaml``, or of the user's file of that name."""
    within = GlobalHydra.instance().is_initialized()
    with nullcontext() if within else initialize_config_dir(str(conf_dir()), version_base="1.3"):
        options = group_options(GROUP)
        if name not in options:
            raise ConfigError(f"{GROUP} has no option '{name}'.{suggest(name, options)} Received: {name} in {path}")
        return OmegaConf.to_container(compose(f"{GROUP}/{name}")[GROUP])


def _misformed(path: str, value: Any) -> ConfigError:
    return ConfigError(
        f"{path} is a list of datasets, each NAME or {{NAME: {{key: value}}}}. "
        f"Type {path}=[synthetic] or '{path}=[{{synthetic: {{count: 3000}}}}]'. Received: {path}={value}"
    )
