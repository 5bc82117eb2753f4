"""Images that a user names on the command line: files, folders, patterns, or a list on standard input."""

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from crackexp.data.accounting import Account
from crackexp.data.files.listing import is_folder, is_image, list_images, without_links
from crackexp.data.images.decode import describe, read_image
from crackexp.data.images.headers import pages_of
from crackexp.data.images.pixels import MAX_PIXELS, DecodedImage
from crackexp.data.images.windows import PhotoSource, open_photo
from crackexp.utils.errors import DataError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class InputFile:
    """A page of an input file, or a name for which there is no image.

    Attributes:
        path: The path, as it was named.
        reason: Why there is no image to read; None for an image.
        may_be_image: Whether a file with a reason may be an image that the user wants to be read.
        page: The number of the page in the file, from 0.
    """

    path: str
    reason: str | None = None
    may_be_image: bool = True
    page: int = 0

    @property
    def name(self) -> str:
        """The name of the page in tables and reports: the path, and ``path#2`` for the second page."""
        return page_name(self.path, self.page)

    @property
    def file(self) -> Path:
        """The path of the file, in which ``~`` is expanded."""
        return Path(self.path).expanduser()

    def read(self) -> DecodedImage:
        """Returns the page; see `read_image`."""
        return read_image(self.file, self.page)

    def open(self, max_pixels: int = MAX_PIXELS) -> PhotoSource:
        """Returns the page as a photo, whose rows are still to be read; see `open_photo`."""
        return open_photo(self.file, self.page, max_pixels)


def page_name(path: str, page: int) -> str:
    """Returns the name of a page in tables and reports: the path, and ``path#2`` for the second page.

    Args:
        path: The path of the file.
        page: The number of the page, from 0.
    """
    return f"{path}#{page + 1}" if page else path


def input_folder(names: str | Sequence[str], files: Sequence[InputFile]) -> Path:
    """Returns the folder to which names of files are relative in a report.

    Args:
        names: The value of ``input=``. If it is one folder, names are relative to it.
        files: The files that were found, at least one; otherwise, names are relative to their common folder.
    """
    only = names if isinstance(names, str) else names[0] if len(names) == 1 else STANDARD_INPUT
    if only != STANDARD_INPUT and is_folder(Path(only).expanduser()):
        return Path(only).expanduser()
    return Path(os.path.commonpath([file.file.absolute().parent for file in files]))


def name_below(folder: Path, path: str) -> str:
    """Returns a path relative to a folder, or as it is where it is not in the folder.

    Args:
        folder: The folder, such as `input_folder` returns.
        path: The path of a file, or the name of one of its pages.
    """
    relative = os.path.relpath(Path(path).expanduser().absolute(), folder.absolute())
    return path if PurePath(relative).parts[:1] in ((), ("..",)) else relative


def named_inputs(names: str | Sequence[str], standard_input: Iterable[str], account: Account) -> list[InputFile]:
    """Returns the pages of the files that the value of ``input=`` names; see `find_inputs`.

    Raises:
        DataError: There is no image among them.
    """
    inputs = find_inputs([names] if isinstance(names, str) else names, standard_input, account)
    if all(file.reason for file in inputs):
        empty = "standard input is empty" if STANDARD_INPUT in names else "an empty name"
        reasons = "; ".join(f"{file.name}: {file.reason}" for file in inputs) or empty
        raise DataError(f"There are no images to read. Type input=FILES, FOLDERS or PATTERNS. Received: {reasons}")
    return inputs


def find_inputs(names: Sequence[str], standard_input: Iterable[str], account: Account) -> list[InputFile]:
    """Returns the pages of the named files, in the order of the names. A file that is named twice is returned once.

    A file that is named itself is returned whatever its kind. Of folders and patterns the images are returned, sorted;
    files among them that may be images but are not read are returned with the reason.

    Args:
        names: Files, folders, patterns with ``*``, ``**``, ``?`` or ``[...]``, and "-" for the lines of
            `standard_input`.
        standard_input: Lines, each a file, a folder or a pattern.
        account: The account of files, which counts those that are no images.
    """
    by_path: dict[str, InputFile] = {}
    for name in names:
        lines = (line.strip() for line in standard_input) if name == STANDARD_INPUT else [name]
        for line in filter(None, lines):
            by_path.update({file.path: file for file in _files_of(line, account)})
    files = _each_once(by_path.values())
    with ThreadPoolExecutor() as pool:
        counts = pool.map(lambda file: 1 if file.reason else pages_of(file.file), files)
    return [replace(file, page=page) for file, count in zip(files, counts, strict=True) for page in range(count)]


def _each_once(files: Iterable[InputFile]) -> list[InputFile]:
    """Leaves out another spelling of the path of a file, and gives a link to it a reason."""
    first_of: dict[str, InputFile] = {}
    kept = []
    for file in files:
        first = file if file.reason else first_of.setdefault(os.path.realpath(file.file), file)
        if first is file:
            kept.append(file)
        elif _absolute(first) != _absolute(file):
            kept.append(
                InputFile(file.path, f"the same file as {first.path}, which is read already", may_be_image=False)
            )
    return kept


def _absolute(file: InputFile) -> str:
    return os.path.normpath(file.file.absolute())


def _files_of(name: str, account: Account) -> Iterator[InputFile]:
    """Yields the files that one name, a file, a folder or a pattern, stands for."""
    path = Path(name).expanduser()
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # a null character is a ValueError
        missing = isinstance(error, ValueError) or error.errno in (errno.ENOENT, errno.ENOTDIR)
        if missing and glob.has_magic(name):
            yield from _matching(path, name, account)
        else:
            yield InputFile(name, "there is no such file or folder" if missing else describe(error))  # type: ignore[arg-type]
        return
    if stat.S_ISDIR(mode):
        yield from _below(path, name, account)
    elif stat.S_ISREG(mode):
        yield InputFile(name)
    else:
        yield InputFile(name, "neither a file nor a folder")


def _matching(pattern: Path, name: str, account: Account) -> Iterator[InputFile]:
    """Yields the files that a pattern matches, and those below folders that it matches."""
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207, pathlib's takes no absolute pattern
    folders = {match for match in matches if is_folder(match)}
    beside: dict[Path, set[str]] = {}
    for match in matches:
        beside.setdefault(match.parent, set()).add(match.stem)
    any_file = False
    for match in (match for match in matches if folders.isdisjoint(match.parents)):
        others = Account()
        if match in folders:
            files = list(_below(match, str(match), account))
        else:
            image = is_image(match, others, beside[match.parent])
            files = [InputFile(str(match))] if image else list(_left_out(others, account))
        any_file = any_file or bool(files)
        yield from files
    if not any_file:
        yield InputFile(name, "this pattern matches no image" if matches else "this pattern matches no file")


def _below(folder: Path, name: str, account: Account) -> Iterator[InputFile]:
    """Yields the files below a folder."""
    others = Account()
    images = without_links({"": list_images(folder, others)}, others)[""]
    yield from sorted([InputFile(str(image.path)) for image in images], key=lambda file: file.path)
    if not images and not others.left_out:
        yield InputFile(name, "this folder holds no images")
    yield from _left_out(others, account)


def _left_out(others: Account, account: Account) -> Iterator[InputFile]:
    """Yields the files that `others` left out, and adds those that it ignored to `account`."""
    account.ignored.update(others.ignored)
    yield from (InputFile(remark.file, remark.reason, remark.may_be_image) for remark in others.left_out)
