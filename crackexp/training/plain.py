"""Plain data in one file: numbers, texts, lists, tables and NumPy arrays, back to the bit and without pickle."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from crackexp.files import replacing

_ARRAY = "__array__"


def is_plain(value: Any) -> bool:
    """Says whether `save` takes `value` and `load` gives back an equal one; tuples come back as lists."""
    if isinstance(value, dict):
        return _ARRAY not in value and all(isinstance(key, str) and is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(part) for part in value)
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, bool | int | float | str)


def save(file: Path, data: dict[str, Any]) -> None:
    """Writes plain `data` so that `file` holds all of it or what it held before, even where the power fails.

    Args:
        file: an uncompressed ``.npz``: the arrays, and one of text, JSON, that says where each belongs.
        data: plain, see `is_plain`.
    """
    arrays: dict[str, np.ndarray] = {}

    def pack(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: pack(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [pack(part) for part in value]
        if isinstance(value, np.ndarray | np.generic):
            arrays[f"{len(arrays)}"] = np.asarray(value)
            return {_ARRAY: len(arrays) - 1}
        return value

    text = json.dumps(pack(data))
    with replacing(file, lasting=True) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, text=np.array(text), **arrays)


def load(file: Path) -> dict[str, Any]:
    """Reads what `save` wrote.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile: the file is damaged or not one of `save`.
    """
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}

    def unpack(value: Any) -> Any:
        if isinstance(value, dict):
            return arrays[str(value[_ARRAY])] if _ARRAY in value else {k: unpack(part) for k, part in value.items()}
        return [unpack(part) for part in value] if isinstance(value, list) else value

    data: dict[str, Any] = unpack(json.loads(str(arrays["text"])))
    return data
