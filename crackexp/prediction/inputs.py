"""Images that a user names on the command line: files, folders, patterns, or a list on standard input."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from crackexp.data.accounting import Account
from crackexp.data.headers import pages_of
from crackexp.data.listing import is_image, list_images, without_links
from crackexp.errors import DataError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Input:
    """One page of a file that was named, or a name that leads to no image.

    Attributes:
        path: The path, as it was named.
        reason: Why there is no image to read; None for an image.
        may_be_image: Whether what there is a reason for may be an image that the user wants to be read.
        page: The number of the page in the file, from 0.
    """

    path: str
    reason: str | None = None
    may_be_image: bool = True
    page: int = 0

    @property
    def name(self) -> str:
        """What tables and reports call the page: the path, and from the second page on ``path#2``."""
        return page_name(self.path, self.page)

    @property
    def file(self) -> Path:
        """Where the file lies."""
        return Path(self.path).expanduser()


def page_name(path: str, page: int) -> str:
    """Returns what tables and reports call a page of a file: the path, and from the second page on ``path#2``."""
    return f"{path}#{page + 1}" if page else path


def named(names: str | Sequence[str], standard_input: Iterable[str], account: Account) -> list[Input]:
    """Returns what `find` finds of the value of ``input=``.

    Raises:
        DataError: there is not one file.
    """
    found = find([names] if isinstance(names, str) else names, standard_input, account)
    if all(one.reason for one in found):
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in found) or "standard input is empty"
        raise DataError(f"There is no image to look at. Type input=FILES, FOLDERS or PATTERNS. Received: {reasons}")
    return found


def find(names: Sequence[str], standard_input: Iterable[str], account: Account) -> list[Input]:
    """Returns the pages of the files that `names` lead to, in their order, each once.

    A file that is named is taken whatever it is. Of a folder, and of what a pattern fits, the images are taken, sorted;
    files that may be images and are not read stand among them with the reason.

    Args:
        names: files, folders, patterns with ``*``, ``**``, ``?`` or ``[...]``, and "-" for the lines of
            `standard_input`.
        standard_input: a file, a folder or a pattern a line.
        account: Counts the files that are no images.
    """
    found: dict[str, Input] = {}
    for name in names:
        lines = (line.strip() for line in standard_input) if name == STANDARD_INPUT else [name]
        for line in filter(None, lines):
            found.update({one.path: one for one in _lead(line, account)})
    files = list(found.values())
    with ThreadPoolExecutor() as pool:
        counts = pool.map(lambda one: 1 if one.reason else pages_of(one.file), files)
    return [replace(one, page=page) for one, count in zip(files, counts, strict=True) for page in range(count)]


def _lead(name: str, account: Account) -> Iterator[Input]:
    path = Path(name).expanduser()
    if path.is_file():
        yield Input(name)
    elif path.is_dir():
        yield from _below(path, name, account)
    elif glob.has_magic(name):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207, pathlib's takes no absolute pattern
        for match in map(Path, matches):
            if match.is_dir():
                yield from _below(match, str(match), account)
            else:
                met = Account()
                if is_image(match, met):
                    yield Input(str(match))
                yield from _left_out(met, account)
        if not matches:
            yield Input(name, "this pattern fits no file")
    else:
        yield Input(name, "there is no such file or folder")


def _below(folder: Path, name: str, account: Account) -> Iterator[Input]:
    met = Account()
    images = without_links({"": list_images(folder, met)}, met)[""]
    yield from sorted([Input(str(image.path)) for image in images], key=lambda one: one.path)
    if not images and not met.left_out:
        yield Input(name, "this folder holds no images")
    yield from _left_out(met, account)


def _left_out(met: Account, account: Account) -> Iterator[Input]:
    account.ignored.update(met.ignored)
    yield from (Input(one.file, one.reason, one.may_be_image) for one in met.left_out)
