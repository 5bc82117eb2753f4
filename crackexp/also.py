"""The configs of other datasets to judge on: ``evaluation.also=[sdnet2018, {folder: {path: PATCHES, name: site}}]``."""

import contextlib
import copy
import re
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf, open_dict

ALSO = "evaluation.also"
FORM = f"Type '{ALSO}=[NAME, {{NAME: {{path: FOLDER}}}}]', with options of the group dataset."
NAME = re.compile(r"[\w.-]+")


def with_others(cfg: DictConfig, problems: list[str]) -> DictConfig:
    """Returns `cfg` with each item of ``evaluation.also`` as a table {NAME: node}, composed as ``dataset=OPTION`` is.

    An item is an option of the group `dataset`, or a table of one with the keys that differ: {OPTION: {KEY: VALUE}}.
    NAME is the `name` of the dataset; a node with a _target_ is taken as it is. What is not in order is left out.

    Args:
        cfg: with the group `evaluation`.
        problems: receives a sentence for each item that is not in order.
    """
    items = OmegaConf.select(cfg, ALSO)
    if not items:
        return cfg
    if not OmegaConf.is_list(items):
        problems.append(f"{ALSO} must be a list. {FORM} Received: {ALSO}={items}")
        items = []
    nodes: dict[str, Any] = {}
    for item in items:
        option, changes = _parted(item)
        if option is None:
            problems.append(f"An item of {ALSO} names one dataset. {FORM} Received: {ALSO}=[{item}]")
            continue
        node = changes if "_target_" in changes else _composed(option, changes, problems)
        if node is None:
            continue
        name = str(node.get("name", option))
        if name in nodes or not NAME.fullmatch(name):
            problems.append(
                f"Each dataset of {ALSO} needs a name of its own, of letters, digits, dots and dashes. Type "
                f"'{ALSO}=[{{{option}:{{name:ANOTHER}}}}]'. Received: name={name}"
            )
        nodes[name] = node
    whole = copy.deepcopy(cfg)
    OmegaConf.set_readonly(whole, False)
    with open_dict(whole):
        whole.evaluation.also = [{name: node} for name, node in nodes.items()]
    return whole


def _parted(item: Any) -> tuple[str | None, DictConfig]:
    """Returns the option that an item names, None where it names none, and the keys that differ."""
    if isinstance(item, str):
        return item, OmegaConf.create({})
    if isinstance(item, DictConfig) and len(item) == 1:
        ((option, changes),) = item.items_ex(resolve=False)
        if changes is None:
            return str(option), OmegaConf.create({})
        if isinstance(changes, DictConfig):
            return str(option), changes
    return None, OmegaConf.create({})


def _composed(option: str, changes: DictConfig, problems: list[str]) -> DictConfig | None:
    """Returns the node of ``dataset=option`` with some keys changed, those without a value left out."""
    from crackexp.config import conf_dir, suggest

    running = GlobalHydra.instance().is_initialized()  # it knows the folders of --config-dir too
    try:
        with contextlib.nullcontext() if running else hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            found = hydra.compose(overrides=[f"+dataset={option}"])
    except MissingConfigException as error:
        hint = suggest(option, error.options or [])
        problems.append(f"{ALSO}: dataset has no option '{option}'.{hint} Received: {ALSO}=[{option}]")
        return None
    node = OmegaConf.create(OmegaConf.to_container(found.dataset))
    merged = OmegaConf.merge(node, changes)
    assert isinstance(merged, DictConfig)
    for key in [key for key in merged if OmegaConf.is_missing(merged, key)]:
        del merged[key]
    return merged
