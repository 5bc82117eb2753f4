"""NumPy arrays in one ``.npz`` file, which is read as a whole or not at all, and a cache of computed arrays."""

import io
import logging
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crackexp.utils.errors import DamagedFileError
from crackexp.utils.files import replacing

_VERSION, _NAME = "rules", "name"
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
"""The exceptions that the readers of zip files and of NumPy raise on damaged files."""

_log = logging.getLogger(__name__)

Layout = Mapping[str, tuple[str, tuple[str | int, ...]]]
"""The kind of each array, as in `numpy.dtype.kind`, and its shape. Axes with the same name have the same length."""


def save_arrays(file: Path, arrays: Mapping[str, np.ndarray], lasting: bool = False) -> None:
    """Writes named arrays to a file, which then holds either all of them or its previous content.

    Args:
        file: The file, an uncompressed ``.npz``. Its folder is created.
        arrays: The arrays by their names. They must not hold Python objects.
        lasting: Whether the data are flushed to the disk; see `replacing`.
    """
    with replacing(file, lasting) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load_arrays(file: Path) -> dict[str, np.ndarray]:
    """Reads the arrays that `save_arrays` wrote.

    Each array is read to its last byte before it is parsed, because only then is its CRC-32 checked. `numpy.load`
    stops reading where the header of an array says, and the header may be damaged.

    Raises:
        FileNotFoundError: The file does not exist.
        DamagedFileError: The file cannot be read, or a checksum is wrong.
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


@dataclass(frozen=True)
class ArrayCache:
    """Named arrays that are computed once and read from a file by later runs.

    A file that is damaged, was renamed, or whose arrays have another layout is not used. A warning names it, and the
    arrays are computed again. Damaged files are detected by checksums.

    Args:
        file: The ``.npz`` file. Its folder is created when the file is written.
        version: The version of the computation. The caller raises it when other values are computed. A file of another
            version is not used.
        layout: The kind and the shape of each array.
        consequence: The consequence of a damaged file for the user, which is the end of the warning.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> cache = ArrayCache(folder / "squares.npz", 1, {"squares": ("i", ("n",))}, "squares are computed anew")
        >>> cache.get(lambda: {"squares": np.arange(4) ** 2})["squares"].tolist()
        [0, 1, 4, 9]
        >>> cache.get(lambda: 1 / 0)["squares"].tolist()  # the file is read and nothing is computed
        [0, 1, 4, 9]
    """

    file: Path
    version: int
    layout: Layout
    consequence: str

    def get(self, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Returns the arrays of the file. Where there are none, those that `make` returns are written to it first."""
        arrays = self.read()
        if arrays is None:
            arrays = dict(make())
            self.write(arrays)
        return arrays

    def read(self) -> dict[str, np.ndarray] | None:
        """Returns the arrays of the file, or None where they must be computed."""
        try:
            arrays = load_arrays(self.file)
            if int(arrays.pop(_VERSION, np.array(-1))) != self.version:
                return None
            if (name := str(arrays.pop(_NAME, self.file.name))) != self.file.name:
                raise DamagedFileError(f"{self.file} is damaged (it was written as {name})")
            if problem := _misfit(arrays, self.layout):
                raise DamagedFileError(f"{self.file} is damaged ({problem})")
        except FileNotFoundError:
            return None
        except (DamagedFileError, TypeError, ValueError) as error:
            _log.warning("%s; %s", error, self.consequence)
            return None
        return arrays

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes the arrays to the file and replaces those that it held."""
        save_arrays(self.file, {_VERSION: np.array(self.version), _NAME: np.array(self.file.name), **arrays})


def _misfit(arrays: Mapping[str, np.ndarray], layout: Layout) -> str | None:
    """Returns how `arrays` differ from `layout`, or None where they do not."""
    if arrays.keys() != layout.keys():
        return f"it holds {', '.join(arrays)} instead of {', '.join(layout)}"
    lengths: dict[str | int, int] = {}
    for name, (kind, shape) in layout.items():
        array = arrays[name]
        expected = tuple(
            lengths.setdefault(side, length) if isinstance(side, str) else side
            for side, length in zip(shape, array.shape, strict=False)
        )
        if array.dtype.kind != kind or array.ndim != len(shape) or array.shape != expected:
            return f"{name} is {array.dtype}{list(array.shape)}"
    return None
