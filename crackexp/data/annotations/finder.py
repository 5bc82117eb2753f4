"""Files by the names that annotation programs give them."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_DROPPED = re.compile(r"[^-\w.]")


class FileFinder:
    """Finds the file that a path of another machine means: the one that shares the most folders with its end.

    Args:
        folder: The folder of the files.
        files: The files, which are below the folder.

    Example:

    >>> finder = FileFinder(Path("set"), [Path("set/north/1.jpg"), Path("set/south/1.jpg")])
    >>> finder.find("/home/anna/photos/north/1.jpg") == [Path("set/north/1.jpg")]
    True
    >>> len(finder.find("1.jpg"))
    2
    """

    def __init__(self, folder: Path, files: Iterable[Path]) -> None:
        self._by_name: dict[str, list[tuple[list[str], Path]]] = defaultdict(list)
        self._by_stored_name: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            parts = _parts(file.relative_to(folder).as_posix())
            self._by_name[parts[-1]].append((parts, file))
            self._by_stored_name[_stored(parts[-1])].append(file)

    def find(self, path: str, uploaded: str | None = None) -> list[Path]:
        """Returns the files that a path may mean: one where it is clear, none, or several.

        Args:
            path: The path, which may begin with folders that are not here, and may be one of Windows.
            uploaded: The name to look for where no file has the name in `path`: that under which Label Studio stored an
                upload, without spaces and special characters.
        """
        wanted = _parts(path)
        named = self._by_name.get(wanted[-1], []) if wanted else []
        shared = [_shared(parts, wanted) for parts, _ in named]
        if named:
            return [file for (_, file), count in zip(named, shared, strict=True) if count == max(shared)]
        return self._by_stored_name.get(_stored(unicodedata.normalize("NFC", uploaded)), []) if uploaded else []


def _parts(path: str) -> list[str]:
    """Returns the names in a path, in one of the forms in which Unicode writes a letter with a mark."""
    return [part for part in unicodedata.normalize("NFC", path).replace("\\", "/").split("/") if part not in ("", ".")]


def _shared(parts: list[str], others: list[str]) -> int:
    """Returns how many names two paths have in common, from their end."""
    count = 0
    for one, other in zip(reversed(parts), reversed(others), strict=False):
        if one != other:
            break
        count += 1
    return count


def _stored(name: str) -> str:
    """Returns the name of a file as Django, which Label Studio is built on, stores it."""
    return _DROPPED.sub("", name.strip().replace(" ", "_"))
