"""NumPy arrays kept in one ``.npz`` file, which is read back whole or not at all."""

import io
import logging
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from crackexp.errors import DamagedFileError
from crackexp.files import replacing

_RULES, _NAME = "rules", "name"
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
"""What the zip and NumPy readers raise on bytes that were not written by them."""

_log = logging.getLogger(__name__)

Layout = Mapping[str, tuple[str, tuple[str | int, ...]]]
"""The kind of each array, as in `numpy.dtype.kind`, and its shape; equal names in shapes stand for equal lengths."""


def save_arrays(file: Path, arrays: Mapping[str, np.ndarray], lasting: bool = False) -> None:
    """Writes named arrays to `file`, which then holds all of them or what it held before.

    Args:
        file: an uncompressed ``.npz``; its folder is made.
        arrays: none of them holds Python objects.
        lasting: see `replacing`.
    """
    with replacing(file, lasting) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load_arrays(file: Path) -> dict[str, np.ndarray]:
    """Reads what `save_arrays` wrote.

    Each array is read to its last byte before it is looked at, because only then the zip checks its CRC-32.
    `numpy.load` stops where the header of the array says, and a damaged header can say less.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: the file cannot be read, or a checksum is wrong.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            contents = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
        return {
            name: np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            for name, content in contents.items()
        }
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise DamagedFileError(f"{file} is damaged ({error or type(error).__name__})") from error


def save_kept(file: Path, rules: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes what a later run may read instead of computing it again; see `load_kept`."""
    save_arrays(file, {_RULES: np.array(rules), _NAME: np.array(file.name), **arrays})


def load_kept(file: Path, rules: int, layout: Layout, consequence: str) -> dict[str, np.ndarray] | None:
    """Reads what `save_kept` wrote, or returns None where it has to be computed again.

    Args:
        file: may be missing.
        rules: raised by the caller when other values are computed; a file of another number is not used.
        layout: of the arrays; a file of any other layout counts as damaged.
        consequence: what the caller does about a damaged file, for the warning.
    """
    try:
        arrays = load_arrays(file)
        if int(arrays.pop(_RULES, np.array(-1))) != rules:
            return None
        if (name := str(arrays.pop(_NAME, file.name))) != file.name:
            raise DamagedFileError(f"{file} is damaged (it was written as {name})")
        if problem := _misfit(arrays, layout):
            raise DamagedFileError(f"{file} is damaged ({problem})")
    except FileNotFoundError:
        return None
    except (DamagedFileError, TypeError, ValueError) as error:
        _log.warning("%s; %s", error, consequence)
        return None
    return arrays


def _misfit(arrays: Mapping[str, np.ndarray], layout: Layout) -> str | None:
    """Returns how `arrays` differ from `layout`, or None where they do not."""
    if arrays.keys() != layout.keys():
        return f"it holds {', '.join(arrays)} instead of {', '.join(layout)}"
    lengths: dict[str | int, int] = {}
    for name, (kind, shape) in layout.items():
        array = arrays[name]
        expected = tuple(
            lengths.setdefault(side, found) if isinstance(side, str) else side
            for side, found in zip(shape, array.shape, strict=False)
        )
        if array.dtype.kind != kind or array.ndim != len(shape) or array.shape != expected:
            return f"{name} is {array.dtype}{list(array.shape)}"
    return None
