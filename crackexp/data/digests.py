"""Checks and digests image files, and keeps the results, so that only new and changed files are read."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from crackexp.data.images.decode import CheckedFile, check_file
from crackexp.utils.arrays import ArrayCache
from crackexp.utils.progress import progress

_CHUNK = 64
_RULES = 3
"""A version that is raised when what counts as a usable image changes, so that every file is checked again."""
_LAYOUT = {"files": ("U", ("n",)), "stamps": ("i", ("n", 2)), "digests": ("U", ("n",)), "doubts": ("U", ("n",))}


def root_key(root: Path) -> str:
    """Returns 16 hex digits that name a folder on this machine."""
    return hashlib.blake2b(os.fsencode(Path(root).resolve()), digest_size=8).hexdigest()


class DigestCache:
    """Keeps the results of checking the usable files below one folder, by path, size and time of change.

    There is one npz file for each such folder, which is replaced as a whole: processes that save at the same time lose
    at most each other's entries, which are then computed again.

    Args:
        root: The folder that the files are relative to.
        folder: The folder of the npz file.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = Path(root)
        self.path = folder / f"{root_key(root)}.npz"
        self._arrays = ArrayCache(self.path, _RULES, _LAYOUT, "every image is checked again")
        self._known = self._read()
        self._stamps: dict[str, tuple[int, int]] = {}
        self._changed = False

    def get(self, file: str) -> CheckedFile | None:
        """Returns the stored result of a file; None where there is none or the file has changed since."""
        try:
            status = (self._root / file).stat()
        except OSError:
            return None
        stamp = (status.st_size, status.st_mtime_ns)
        self._stamps[file] = stamp
        known = self._known.get(file)
        return known[2] if known is not None and known[:2] == stamp else None

    def put(self, file: str, checked: CheckedFile) -> None:
        """Stores the result of a usable file, for the size and time of change that `get` has seen."""
        if file in self._stamps:
            self._known[file] = (*self._stamps[file], checked)
            self._changed = True

    def save(self) -> None:
        """Writes the file of the cache where something was stored."""
        if not self._changed:
            return
        rows = self._known.values()
        arrays = {
            "files": np.array(list(self._known), dtype=str),
            "stamps": np.array([row[:2] for row in rows], dtype=np.int64).reshape(-1, 2),
            "digests": np.array([row[2].digest for row in rows], dtype=str),
            "doubts": np.array(["\n".join(row[2].doubts) for row in rows], dtype=str),
        }
        self._arrays.write(arrays)
        self._changed = False

    def _read(self) -> dict[str, tuple[int, int, CheckedFile]]:
        table = self._arrays.read()
        if table is None:
            return {}
        rows = zip(*(table[name].tolist() for name in _LAYOUT), strict=True)
        return {
            file: (size, time, CheckedFile(digest, None, tuple(filter(None, doubts.split("\n")))))
            for file, (size, time), digest, doubts in rows
        }


def check_files(root: Path, files: np.ndarray, folder: Path) -> list[CheckedFile]:
    """Checks each file; a file that has not changed since it was checked before is not read again.

    Args:
        root: The folder that the files are relative to.
        files: The POSIX paths of the files, (n,) str.
        folder: The folder of the cache.
    """
    known = DigestCache(root, folder)
    checked = [known.get(file) for file in files.tolist()]
    unknown = [i for i, one in enumerate(checked) if one is None]

    def check(rows: list[int]) -> list[tuple[int, CheckedFile]]:
        return [(i, check_file(root / str(files[i]))) for i in rows]

    chunks = [unknown[start : start + _CHUNK] for start in range(0, len(unknown), _CHUNK)]
    with progress("Checking images", len(unknown)) as advance, ThreadPoolExecutor() as pool:
        for done in pool.map(check, chunks):
            for i, one in done:
                checked[i] = one
                if one.reason is None:
                    known.put(str(files[i]), one)
            advance(len(done))
    known.save()
    return [one for one in checked if one is not None]
