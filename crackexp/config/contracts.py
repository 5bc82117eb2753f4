"""The contracts of config groups: which classes each group may build.

Hydra would call anything that a ``_target_`` names, at any depth of a config. Here the class is checked before it is
called, and only one that keeps the contract of its group is built, whether the config comes from the command line, a
file, or a run of a shared store.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra.utils
from omegaconf import DictConfig, OmegaConf

from crackexp.config.types import FileName
from crackexp.utils.errors import ConfigError


@dataclass(frozen=True)
class Contract:
    """The contract of a config group.

    Attributes:
        noun: The noun for an object of the group, such as "backbone".
        base: The dotted name of the class from which classes of the group inherit.
        keys: The types of the keys that a config has beside the arguments of the constructor.
        named: Whether the group is a table of nodes by name, where null switches a node off.
        tables: The contracts of the arguments that are such tables themselves, by the names of the arguments.
    """

    noun: str
    base: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    named: bool = False
    tables: Mapping[str, "Contract"] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"a class that inherits {self.base}"

    def kept_by(self, candidate: Any) -> bool:
        """Returns whether an object is a class that keeps the contract."""
        return isinstance(candidate, type) and issubclass(candidate, hydra.utils.get_class(self.base))


CONTRACTS = {
    "dataset": Contract("dataset", "crackexp.data.sources.Dataset", keys={"name": FileName}),
    "split": Contract("split", "crackexp.data.splits.Split"),
    "augmentation": Contract(
        "augmentation",
        "crackexp.data.augmentation.Augmentation",
        tables={"transforms": Contract("transform", "crackexp.data.transforms.Transform", named=True)},
    ),
    "backbone": Contract("backbone", "crackexp.models.base.Backbone"),
    "head": Contract("head", "crackexp.models.base.Head"),
    "loss": Contract("loss", "keras.losses.Loss"),
    "optimizer": Contract("optimizer", "keras.optimizers.Optimizer"),
    "trainer": Contract("trainer", "crackexp.training.trainer.Trainer"),
    "inference": Contract("engine", "crackexp.inference.base.Engine"),
    "callbacks": Contract("callback", "keras.callbacks.Callback", named=True),
    "metrics": Contract("metric", "crackexp.metrics.Metric", named=True),
    "report": Contract("report section", "crackexp.reporting.ReportSection", named=True),
    "policy": Contract("policy", "crackexp.evaluation.policy.Policy"),
    "tracking": Contract("tracking", "crackexp.tracking.logger.Logger"),
}
"""The contract of each group, which for a named group is the contract of each of its entries."""
ARGUMENTS = tuple(
    Contract("argument", f"keras.{name}")
    for name in (
        "optimizers.schedules.LearningRateSchedule",
        "initializers.Initializer",
        "regularizers.Regularizer",
        "constraints.Constraint",
        "losses.Loss",
        "metrics.Metric",
    )
)
"""The contracts of objects with a ``_target_`` that may be among the arguments of any class."""


def require_kept(node: Any, group: str, path: str) -> None:
    """Raises ConfigError where building `node` would call anything that breaks the contract of its group.

    Args:
        node: The node as plain values.
        group: The group of the node, a key of `CONTRACTS`.
        path: The path of the node, such as ``callbacks.stop``.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(f"{path} needs a _target_: the class to build. Received: {path}={node}")
    _require(node, (CONTRACTS[group],), path)


def require_all_kept(cfg: DictConfig) -> None:
    """Raises ConfigError where a class in the checked `cfg` breaks the contract of its group, before any is built."""
    values: Any = OmegaConf.to_container(cfg)
    for group in [group for group in CONTRACTS if group in values]:
        nodes = values[group].items() if CONTRACTS[group].named else [(None, values[group])]
        for name, node in nodes:
            if node is not None:
                require_kept(node, group, f"{group}.{name}" if name else group)


def require_trusted(node: Any) -> None:
    """Raises ConfigError where a config from a store names a class whose module must not be imported.

    To import a module is to run it. Trusted are the classes of crackexp and Keras, and those whose module is in the
    working folder or in a folder of PYTHONPATH, which the user has chosen. Other installed packages are not trusted.
    """
    for path, target in _targets(node, ""):
        package = target.partition(".")[0]
        if package not in ("crackexp", "keras") and not _lies_at_hand(package):
            raise ConfigError(
                f"A class that the stored config names is imported only from the working folder or from one on "
                f"PYTHONPATH. Change to that folder, or set PYTHONPATH=FOLDER. Received: {path}._target_={target}"
            )


def _require(node: Any, contracts: tuple[Contract, ...], path: str) -> None:
    """Checks a node, which must keep one of `contracts`, and the nodes within it."""
    if isinstance(node, list):
        for number, value in enumerate(node):
            _require(value, contracts, f"{path}.{number}")
    if not isinstance(node, Mapping):
        return
    inside = contracts
    tables: Mapping[str, Contract] = {}
    if "_target_" in node:
        kept = _kept(node["_target_"], contracts, path)
        if node.get("_partial_"):
            raise ConfigError(f"Parts are built whole. Leave out _partial_. Received: {path}._partial_=true")
        if node.get("_recursive_") is False:
            return
        inside, tables = (kept, *ARGUMENTS), kept.tables
    for key, value in node.items():
        _require(value, (tables[key],) if key in tables else inside, f"{path}.{key}")


def _kept(target: Any, contracts: tuple[Contract, ...], path: str) -> Contract:
    """Returns the contract that the class named `target` keeps."""
    received = f"Received: {path}._target_={target}"
    if not isinstance(target, str):
        raise ConfigError(f"{path}._target_ must be the dotted name of a class. {received}")
    logger = hydra.utils.log
    logger.disabled, before = True, logger.disabled  # its log message is in the error too
    try:
        candidate = hydra.utils.get_object(target)
    except Exception as error:  # a module of the user may raise anything on import
        raise ConfigError(
            f"`{target}` cannot be imported: {error.__cause__ or error}. "
            f"A class of your own must be importable from the working folder. {received}"
        ) from error
    finally:
        logger.disabled = before
    for contract in contracts:
        if contract.kept_by(candidate):
            return contract
    if len(contracts) == 1:
        raise ConfigError(f"`{target}` is no {contracts[0].noun}: that is {contracts[0]}. {received}")
    raise ConfigError(
        f"`{target}` may not be built inside a {contracts[0].noun}: a class there is a {contracts[0].noun} too, or a "
        f"schedule, initializer, regularizer, constraint, loss or metric of Keras'. {received}"
    )


def _targets(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yields the path of each node with a ``_target_``, and its ``_target_``."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key == "_target_" and isinstance(value, str):
            yield path, value
        else:
            yield from _targets(value, f"{path}.{key}" if path else str(key))


def _lies_at_hand(package: str) -> bool:
    """Returns whether a top-level module is in the working folder or in one of PYTHONPATH. It is not imported."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    files = [spec.origin] if spec.has_location and spec.origin else []
    parents = {Path(place).resolve().parent for place in [*files, *(spec.submodule_search_locations or ())]}
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    chosen = {Path(folder).resolve() for folder in [".", *filter(None, named)]}
    return bool(parents & (chosen | {folder / package for folder in chosen}))
