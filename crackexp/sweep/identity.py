"""What makes two trainings the same: a digest over config, data, code and the kind of machine."""

import hashlib
import importlib.metadata
import json
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from crackexp.config.contracts import CONTRACTS
from crackexp.config.options import packaged_targets
from crackexp.utils.files import file_digest
from crackexp.utils.source_code import PACKAGE, digest_of, find_module

UNRELATED = (
    *("paths", "report", "tracking", "task_name", "tags", "register", "optimized_metric", "profile", "resume"),
    "sweep",
)
"""Keys of the root config that no result depends on."""
NO_NUMBERS = (
    "cli",
    "config.commands",
    "config.contracts",
    "config.help",
    "config.mistakes",
    "config.overrides",
    "evaluation.figures",
    "evaluation.report",
    "reporting",
    "sweep",
    "tracking",
    "utils.progress",
    "utils.quiet",
)
"""What a training imports of crackexp and no number depends on: it prints, draws, logs, or frames a sweep."""
LIBRARIES = (
    "faiss-cpu",
    "grain",
    "jax",
    "jaxlib",
    "keras",
    "numpy",
    "opencv-python-headless",
    "scikit-learn",
    "split-folders",
)


def cell_id(cfg: DictConfig, fingerprint: str, others: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns 32 hex digits that two trainings share where one's result is the other's.

    They cover the resolved config but for keys that change no number, the content of the datasets instead of their
    places, the code of crackexp that a training runs, the source of the user's own classes that the config names with
    what these import, versions of libraries, and the devices.

    Args:
        cfg: checked config of a training run.
        fingerprint: over the content of all datasets, see `DataModule`.
        others: name to fingerprint of each dataset that the run is also judged on.
    """
    import jax

    values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]  # a table at the root
    values = {key: _result_keys(value) for key, value in values.items() if key not in UNRELATED}
    values["dataset"] = fingerprint
    values["evaluation"]["also"] = dict(others)
    values["mix"] = [node["weight"] for item in values["mix"] for node in item.values()]
    text = json.dumps(values, sort_keys=True)
    for folder in (cfg.paths.output, cfg.paths.cache, cfg.paths.root):
        text = text.replace(json.dumps(str(folder))[1:-1], "")
    devices = [device.device_kind for device in jax.devices()]
    texts = {value for value in _leaves(values) if isinstance(value, str)}
    files = sorted(file for file in map(Path, texts) if file.is_file() and not file.is_relative_to(cfg.paths.output))
    own = digest_of(module for text in texts if (module := _own_module(text)))
    return digest(text, code_digest(), devices, [file_digest(file) for file in files], own)


@cache
def code_digest() -> str:
    """Returns 32 hex digits over the code that a training runs and the versions of the libraries it computes with.

    The code is all of crackexp that `crackexp.train`, or a class that a config may name, imports, directly or by way
    of others, but for `NO_NUMBERS`. So an edit of a page or of a figure, of a comment or a docstring leaves results
    as they are, and a new module that a training imports counts without being listed anywhere.
    """
    targets = sorted(target for group in CONTRACTS for target in packaged_targets(group))
    modules = ["crackexp.train", *(target.rpartition(".")[0] for target in targets)]
    code = digest_of(
        [module for module in modules if module.startswith(f"{PACKAGE.name}.")],
        leave_out=[f"{PACKAGE.name}.{name}" for name in NO_NUMBERS],
    )
    return digest(code, [(name, importlib.metadata.version(name)) for name in LIBRARIES])


def digest(*parts: Any) -> str:
    """Returns 32 hex digits over JSON-able `parts`."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _result_keys(node: Any) -> Any:
    """Returns `node` without the keys that its class declares as `unrelated_to_result`.

    A class that cannot be imported is told of when it is built.
    """
    if not isinstance(node, dict) or "_target_" not in node:
        return node
    try:
        unrelated = getattr(pkgutil.resolve_name(node["_target_"]), "unrelated_to_result", ())
    except Exception:  # whatever the module raises when it is imported
        unrelated = ()
    return {key: value for key, value in node.items() if key not in unrelated}


def _leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _leaves(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _leaves(value)
    else:
        yield node


def _own_module(text: str) -> str | None:
    """Returns the module of the class outside crackexp and Keras that `text` names, where it names one."""
    module, dot, _ = text.rpartition(".")
    if not dot or text.partition(".")[0] in (PACKAGE.name, "keras"):
        return None
    if not all(part.isidentifier() for part in text.split(".")):
        return None
    return module if find_module(module) else None
