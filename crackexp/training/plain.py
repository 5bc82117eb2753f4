"""Plain data in one file: numbers, texts, lists, tables and NumPy arrays, back to the bit and without pickle."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from crackexp.errors import DamagedFileError
from crackexp.utils.arrays import load_arrays, save_arrays

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
    save_arrays(file, {"text": np.array(text), **arrays}, lasting=True)


def load(file: Path) -> dict[str, Any]:
    """Reads what `save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: the file is damaged or was not written by `save`.
    """
    arrays = load_arrays(file)

    def unpack(value: Any) -> Any:
        if isinstance(value, dict):
            return arrays[str(value[_ARRAY])] if _ARRAY in value else {k: unpack(part) for k, part in value.items()}
        return [unpack(part) for part in value] if isinstance(value, list) else value

    try:
        data: dict[str, Any] = unpack(json.loads(str(arrays["text"])))
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"{file} is damaged ({error})") from error
    return data
