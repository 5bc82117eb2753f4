"""Images that a user names on the command line: files, folders, patterns, or a list on standard input."""

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from crackexp.data.accounting import Account
from crackexp.data.files.listing import is_folder, is_image, list_images, without_links
from crackexp.data.images.decode import describe
from crackexp.data.images.headers import pages_of
from crackexp.utils.errors import DataError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class InputFile:
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


def named(names: str | Sequence[str], standard_input: Iterable[str], account: Account) -> list[InputFile]:
    """Returns the pages that the value of ``input=`` leads to; see `find`.

    Raises:
        DataError: There is no image among them.
    """
    inputs = find([names] if isinstance(names, str) else names, standard_input, account)
    if all(one.reason for one in inputs):
        empty = "standard input is empty" if STANDARD_INPUT in names else "an empty name"
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in inputs) or empty
        raise DataError(f"There is no image to look at. Type input=FILES, FOLDERS or PATTERNS. Received: {reasons}")
    return inputs


def find(names: Sequence[str], standard_input: Iterable[str], account: Account) -> list[InputFile]:
    """Returns the pages of the files that `names` lead to, in their order, each file once, whatever leads to it.

    A file that is named is taken whatever it is. Of a folder, and of what a pattern fits, the images are taken, sorted;
    files that may be images and are not read stand among them with the reason.

    Args:
        names: Files, folders, patterns with ``*``, ``**``, ``?`` or ``[...]``, and "-" for the lines of
            `standard_input`.
        standard_input: Lines, each a file, a folder or a pattern.
        account: The account of files, which counts those that are no images.
    """
    found: dict[str, InputFile] = {}
    for name in names:
        lines = (line.strip() for line in standard_input) if name == STANDARD_INPUT else [name]
        for line in filter(None, lines):
            found.update({one.path: one for one in _lead(line, account)})
    files = _each_once(found.values())
    with ThreadPoolExecutor() as pool:
        counts = pool.map(lambda one: 1 if one.reason else pages_of(one.file), files)
    return [replace(one, page=page) for one, count in zip(files, counts, strict=True) for page in range(count)]


def _each_once(found: Iterable[InputFile]) -> list[InputFile]:
    """Leaves out what leads to the same file again: another spelling of its path, or a link, which gets a reason."""
    first: dict[str, InputFile] = {}
    kept = []
    for one in found:
        before = one if one.reason else first.setdefault(os.path.realpath(one.file), one)
        if before is one:
            kept.append(one)
        elif _written_out(before) != _written_out(one):
            kept.append(
                InputFile(one.path, f"the same file as {before.path}, which is read already", may_be_image=False)
            )
    return kept


def _written_out(one: InputFile) -> str:
    return os.path.normpath(one.file.absolute())


def _lead(name: str, account: Account) -> Iterator[InputFile]:
    path = Path(name).expanduser()
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # a null character is a ValueError
        gone = isinstance(error, ValueError) or error.errno in (errno.ENOENT, errno.ENOTDIR)
        if gone and glob.has_magic(name):
            yield from _fitting(path, name, account)
        else:
            yield InputFile(name, "there is no such file or folder" if gone else describe(error))  # type: ignore[arg-type]
        return
    if stat.S_ISDIR(mode):
        yield from _below(path, name, account)
    elif stat.S_ISREG(mode):
        yield InputFile(name)
    else:
        yield InputFile(name, "neither a file nor a folder")


def _fitting(pattern: Path, name: str, account: Account) -> Iterator[InputFile]:
    """Yields what a pattern matches. What lies below a folder that matches too is found there."""
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207, pathlib's takes no absolute pattern
    folders = {match for match in matches if is_folder(match)}
    beside: dict[Path, set[str]] = {}
    for match in matches:
        beside.setdefault(match.parent, set()).add(match.stem)
    led = False
    for match in (match for match in matches if folders.isdisjoint(match.parents)):
        met = Account()
        if match in folders:
            ways = list(_below(match, str(match), account))
        else:
            image = is_image(match, met, beside[match.parent])
            ways = [InputFile(str(match))] if image else list(_left_out(met, account))
        led = led or bool(ways)
        yield from ways
    if not led:
        yield InputFile(name, "this pattern fits no image" if matches else "this pattern fits no file")


def _below(folder: Path, name: str, account: Account) -> Iterator[InputFile]:
    met = Account()
    images = without_links({"": list_images(folder, met)}, met)[""]
    yield from sorted([InputFile(str(image.path)) for image in images], key=lambda one: one.path)
    if not images and not met.left_out:
        yield InputFile(name, "this folder holds no images")
    yield from _left_out(met, account)


def _left_out(met: Account, account: Account) -> Iterator[InputFile]:
    account.ignored.update(met.ignored)
    yield from (InputFile(one.file, one.reason, one.may_be_image) for one in met.left_out)
