"""The identity of a training: a digest over its config, its data, the code and the kind of device."""

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

from crackexp.config.checking import instantiate
from crackexp.config.contracts import CONTRACTS
from crackexp.config.options import packaged_targets
from crackexp.utils.files import file_digest
from crackexp.utils.source_code import PACKAGE, digest_of, find_module

UNRELATED = (
    *("paths", "report", "tracking", "task_name", "tags", "register", "optimized_metric", "profile", "resume"),
    *("sweep", "print_config", "images_gb"),
)
"""The keys of the root config on which no result depends."""
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
    "utils.live_line",
    "utils.progress",
    "utils.quiet",
)
"""The modules that a training imports and on which no number depends: they print, draw, log, or run a sweep."""
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


def training_digest(cfg: DictConfig, fingerprint: str, others: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns 32 hex digits that two trainings share where they must have the same result.

    They cover the resolved config but for the keys that change no number, the content of the datasets instead of their
    folders, the code of crackexp that a training runs, the source of the user's own classes that the config names with
    all that these import, the versions of libraries, the devices, and the engine of embeddings where it is not XLA. A
    run has the digest as its tag ``cell.id``, which is called so since earlier versions called a trial a cell.

    Args:
        cfg: The checked config of a training run.
        fingerprint: The fingerprint of the content of all datasets; see `DataModule`.
        others: The fingerprint of each dataset on which the run is also evaluated, by name.
    """
    import jax

    values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]  # a table at the root
    values = {key: _result_keys(value) for key, value in values.items() if key not in UNRELATED}
    engine = instantiate(cfg.inference).identity
    if engine:
        values["inference"]["identity"] = engine
    else:  # XLA, whose version is that of jaxlib
        del values["inference"]
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

    The code is every module of crackexp that `crackexp.train` or a class that a config may name imports, directly or
    indirectly, but for `NO_NUMBERS`. So results stay valid after an edit of a page, a figure, a comment or a docstring,
    and a new module that a training imports is covered without being listed anywhere.
    """
    targets = sorted(target for group in CONTRACTS for target in packaged_targets(group))
    modules = ["crackexp.train", *(target.rpartition(".")[0] for target in targets)]
    code = digest_of(
        [module for module in modules if module.startswith(f"{PACKAGE.name}.")],
        leave_out=[f"{PACKAGE.name}.{name}" for name in NO_NUMBERS],
    )
    return digest(code, [(name, importlib.metadata.version(name)) for name in LIBRARIES])


def digest(*parts: Any) -> str:
    """Returns 32 hex digits over `parts`, which must be serializable as JSON."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _result_keys(node: Any) -> Any:
    """Returns `node` without the keys that its class declares as `unrelated_to_result`.

    A class that cannot be imported is reported when it is built.
    """
    if not isinstance(node, dict) or "_target_" not in node:
        return node
    try:
        unrelated = getattr(pkgutil.resolve_name(node["_target_"]), "unrelated_to_result", ())
    except Exception:  # a module of the user may raise anything on import
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
    """Returns the module of the class that `text` names, or None where it names none outside of crackexp and Keras."""
    module, dot, _ = text.rpartition(".")
    if not dot or text.partition(".")[0] in (PACKAGE.name, "keras"):
        return None
    if not all(part.isidentifier() for part in text.split(".")):
        return None
    return module if find_module(module) else None
