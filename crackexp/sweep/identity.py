"""What makes two trainings the same: a digest over config, data, code and the kind of machine."""

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf

UNRELATED = ("paths", "tracking", "task_name", "tags", "register", "optimized_metric", "profile", "resume", "sweep")
"""Keys of the root config that no result depends on."""
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
    places, the source of crackexp and of classes that the config names, versions of libraries, and the devices.

    Args:
        cfg: checked config of a training run.
        fingerprint: over the content of all datasets, see `DataModule`.
        others: name to fingerprint of each dataset that the run is also judged on.
    """
    import jax

    values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]  # a table at the root
    values = {key: value for key, value in values.items() if key not in UNRELATED}
    values["dataset"] = fingerprint
    values["evaluation"]["also"] = dict(others)
    values["mix"] = [node["weight"] for item in values["mix"] for node in item.values()]
    values["trainer"].pop("embeddings_gb")
    values["split"].pop("check_leaks", None)
    text = json.dumps(values, sort_keys=True)
    for folder in (cfg.paths.output, cfg.paths.cache, cfg.paths.root):
        text = text.replace(json.dumps(str(folder))[1:-1], "")
    devices = [device.device_kind for device in jax.devices()]
    named = {file for value in _leaves(values) for file in _sources(value)}
    files = sorted(file for file in named if not file.is_relative_to(cfg.paths.output))
    return digest(text, code_digest(), devices, [_file_digest(file) for file in files])


@cache
def code_digest() -> str:
    """Returns 32 hex digits over the source of crackexp and the versions of the libraries it computes with."""
    package = Path(__file__).parent.parent
    files = sorted(package.rglob("*.py"))
    sources = [(file.relative_to(package).as_posix(), _file_digest(file)) for file in files]
    return digest(sources, [(name, importlib.metadata.version(name)) for name in LIBRARIES])


def digest(*parts: Any) -> str:
    """Returns 32 hex digits over JSON-able `parts`."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _leaves(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _leaves(value)
    else:
        yield node


def _sources(value: Any) -> Iterator[Path]:
    """Yields the file that `value` names: weights, or the module of a class outside this package and its libraries."""
    if not isinstance(value, str):
        return
    if Path(value).is_file():
        yield Path(value)
    top, dot, _ = value.partition(".")
    module = value.rpartition(".")[0]
    if not dot or top in ("crackexp", "keras") or not all(part.isidentifier() for part in value.split(".")):
        return
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return
    if spec and spec.origin and Path(spec.origin).is_file():
        yield Path(spec.origin)


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
