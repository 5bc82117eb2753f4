"""Pytrees of numbers, texts, lists, dicts and NumPy arrays in one file, restored bit for bit and without pickle."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from crackexp.utils.arrays import load_arrays, save_arrays
from crackexp.utils.errors import DamagedFileError

_ARRAY = "__array__"


def is_pytree(value: Any) -> bool:
    """Returns whether `save_pytree` can save `value` so that `load_pytree` returns an equal one.

    Tuples are loaded as lists.

    Example:
        >>> is_pytree({"epoch": 3, "weights": [np.zeros(2)]}), is_pytree({"model": object()})
        (True, False)
    """
    if isinstance(value, dict):
        return _ARRAY not in value and all(isinstance(key, str) and is_pytree(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(is_pytree(item) for item in value)
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, bool | int | float | str)


def save_pytree(file: Path, data: dict[str, Any]) -> None:
    """Writes a pytree to a file, which then holds either all of it or its previous content, even if the power fails.

    Args:
        file: The file, an uncompressed ``.npz`` with the arrays and a JSON text that says where each belongs.
        data: The pytree; see `is_pytree`.
    """
    arrays: dict[str, np.ndarray] = {}

    def pack(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: pack(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [pack(item) for item in value]
        if isinstance(value, np.ndarray | np.generic):
            arrays[f"{len(arrays)}"] = np.asarray(value)
            return {_ARRAY: len(arrays) - 1}
        return value

    text = json.dumps(pack(data))
    save_arrays(file, {"text": np.array(text), **arrays}, lasting=True)


def load_pytree(file: Path) -> dict[str, Any]:
    """Reads the pytree that `save_pytree` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFileError: The file is damaged or was not written by `save_pytree`.
    """
    arrays = load_arrays(file)

    def unpack(value: Any) -> Any:
        if isinstance(value, dict):
            return arrays[str(value[_ARRAY])] if _ARRAY in value else {k: unpack(item) for k, item in value.items()}
        return [unpack(item) for item in value] if isinstance(value, list) else value

    try:
        data: dict[str, Any] = unpack(json.loads(str(arrays["text"])))
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"{file} is damaged ({error})") from error
    return data
