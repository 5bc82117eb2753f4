"""What a command prints of its config before it begins: the main values and what was changed, or all of it."""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from crackexp.config.options import conf_dir

MAIN = ("run", "dataset", "backbone", "trainer", "image_size", "epochs", "batch_size", "dropout", "seed")
"""The keys and groups that are always printed, where a command has them."""
WIDTH, LONGEST = 100, 60
"""The number of characters of a line, and of a value."""
UNBROKEN = "\N{NO-BREAK SPACE}"


def show_config(cfg: DictConfig, composed: DictConfig | None, how: str) -> None:
    """Prints a checked config.

    Args:
        cfg: The checked config.
        composed: The config that Hydra composed, whose differences from the defaults of the command are printed; None
            where `cfg` is not that config, such as that of a resumed run.
        how: "full" prints a tree of all values, "changes" the values of `MAIN` and those that differ from the defaults,
            each with its default in brackets, and "none" nothing.
    """
    from crackexp.reporting.terminal import print_config, print_plain  # late: it imports NumPy and rich

    if how == "full":
        print_config(cfg)
    if how != "changes":
        return
    defaults = _differences(composed) if composed is not None and HydraConfig.initialized() else {}
    main = [_assignment(key, _main_value(cfg, key), defaults) for key in MAIN if key in cfg]
    raw = _leaves(OmegaConf.to_container(composed, resolve=False)) if composed is not None else {}
    changed = [_assignment(key, _choices().get(key, raw.get(key)), defaults) for key in defaults if key not in MAIN]
    for title, items in (("Config", main), ("Changed", changed)):
        if items:
            whole = ", ".join(item.replace(" ", UNBROKEN) for item in items)
            lines = textwrap.wrap(whole, WIDTH, break_long_words=False, break_on_hyphens=False)
            print_plain(
                textwrap.indent("\n".join(lines), " " * 12).replace(" " * 12, f"{title:<12}", 1).replace(UNBROKEN, " ")
            )


def _assignment(key: str, value: Any, defaults: Mapping[str, Any]) -> str:
    default = f" (default {_text(defaults[key])})" if key in defaults and defaults[key] is not ... else ""
    return f"{key}={_text(value)}{default}"


def _text(value: Any) -> str:
    """Returns a value as it is typed in an override."""
    from crackexp.reporting.formatting import shortened

    if isinstance(value, list):
        text = f"[{','.join(map(_text, value))}]"
    elif isinstance(value, Mapping):
        text = f"{{{','.join(f'{key}:{_text(inner)}' for key, inner in value.items())}}}"
    else:
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return shortened(text, LONGEST)


def _main_value(cfg: DictConfig, key: str) -> Any:
    """Returns the value of a key, or the option that was chosen for a group, or the name of the part there."""
    node = cfg[key]
    if not OmegaConf.is_dict(node):
        return node
    return _choices().get(key) or node.get("name") or str(node.get("_target_")).rpartition(".")[2]


def _choices() -> dict[str, Any]:
    """Returns the chosen option of each group of the command, such as ``{"dataset": "folder"}``."""
    if not HydraConfig.initialized():
        return {}
    choices: Any = OmegaConf.to_container(HydraConfig.get().runtime.choices)
    return {group: option for group, option in choices.items() if "/" not in group and "@" not in group}


def _differences(composed: DictConfig) -> dict[str, Any]:
    """Returns the keys whose values differ from the defaults of the command, and of the chosen options, with these.

    The default of a key that the defaults do not have is an ellipsis. Interpolations are compared as they are written,
    so that of all keys that take a changed value only the first is returned.
    """
    name = str(HydraConfig.get().job.config_name)
    within = GlobalHydra.instance().is_initialized()
    with nullcontext() if within else initialize_config_dir(str(conf_dir()), version_base="1.3"):
        path = str(GlobalHydra.instance().config_loader().get_search_path())
        before: Any = OmegaConf.to_container(_composed(name, (), path).hydra.runtime.choices)
        chosen = {group: option for group, option in _choices().items() if option != before.get(group)}
        options = tuple(f"{group}={option}" for group, option in chosen.items() if before.get(group))
        base: Any = OmegaConf.to_container(_composed(name, options, path), resolve=False)
    defaults = _leaves({key: value for key, value in base.items() if key != "hydra"})
    actual = _leaves(OmegaConf.to_container(composed, resolve=False))
    changed = {key: defaults.get(key, ...) for key, value in actual.items() if value != defaults.get(key, ...)}
    changed.pop("print_config", None)
    return {group: before.get(group, ...) for group in chosen} | changed


@cache
def _composed(name: str, overrides: tuple[str, ...], path: str) -> DictConfig:
    """Returns a config with the node `hydra`, as Hydra composes it; the trials of a sweep have the same defaults.

    Args:
        name: The name of the root config.
        overrides: The overrides.
        path: The search path of Hydra, in which it finds the configs.
    """
    return compose(name, list(overrides), return_hydra_config=True)


def _leaves(table: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the values of a nested table by their dotted keys."""
    return dict(_walk(table, prefix))


def _walk(table: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _walk(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
