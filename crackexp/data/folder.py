"""A dataset as people keep it: one folder for each class."""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from crackexp.data.decode import IMAGE_SUFFIXES
from crackexp.data.index import ImageIndex, OnBadFile, build_index
from crackexp.errors import DataError

_IGNORED_FOLDERS = frozenset({"__MACOSX", "@eaDir"})
_POSITIVE_NAMES = frozenset({"positive", "crack", "cracks", "cracked", "defect"})
_PART_NAMES = frozenset({"train", "val", "valid", "validation", "test"})


class ImageFolder:
    """Images in one folder for each class, at any depth below it.

    Args:
        name: of the dataset, for logs and runs.
        path: folder that holds the class folders.
        positive: the class that means "crack"; None: the one named positive, crack, cracks,
            cracked or defect.
        limit: at most this many images, in turn from each class; None: all.
        on_bad_file: "error" lists them and stops, "skip" leaves them out.
        cache: folder for digests.
    """

    def __init__(
        self,
        *,
        name: str,
        path: str | Path,
        positive: str | None,
        limit: int | None,
        on_bad_file: OnBadFile,
        cache: str | Path,
    ) -> None:
        self.name = name
        self.path = Path(path).expanduser()
        self.positive = positive
        self.limit = limit
        self.on_bad_file = on_bad_file
        self.cache = Path(cache)

    def prepare(self) -> ImageIndex:
        """Checks and lists the images.

        Raises:
            DataError: no such folder, no class folders, an empty class, an unknown positive class,
                bad files.
        """
        members = class_members(self.path)
        names = sorted({name for _, name in members})
        return build_index(
            self.path,
            members,
            positive=choose_positive(names, self.positive, self.path),
            cache=self.cache,
            on_bad_file=self.on_bad_file,
            limit=self.limit,
        )


def class_members(root: Path) -> list[tuple[str, str]]:
    """Lists the images below the class folders of `root`.

    Hidden files, operating-system litter and files without an image suffix are ignored.

    Returns:
        (POSIX path relative to `root`, class name) of each image, sorted.

    Raises:
        DataError: `root` is no folder, holds images beside the class folders, has fewer than two
            class folders or an empty one.
    """
    require_folder(root)
    children = [child for child in sorted(root.iterdir()) if not _is_ignored(child.name)]
    loose = [child.name for child in children if _is_image(child)]
    classes = [child.name for child in children if child.is_dir()]
    if loose:
        raise DataError(
            f"{len(loose)} images stand in {root} itself, such as {loose[0]}. Put each image into "
            f"a folder named after its class, such as Positive/ and Negative/. "
            f"Received: dataset.path={root}"
        )
    if not classes:
        raise DataError(
            f"{root} holds no class folders. Give a folder with one folder for each class, such "
            f"as Positive/ and Negative/. Received: dataset.path={root}"
        )
    if len(classes) == 1:
        inner = [child.name for child in sorted((root / classes[0]).iterdir()) if child.is_dir()]
        hint = (
            f"If {', '.join(inner[:5])} are the classes, type dataset.path={root / classes[0]}. "
            if len(inner) > 1
            else "Add a folder with images of another class. "
        )
        raise DataError(f"{root} holds only one class, {classes[0]}. {hint}Received: dataset.path={root}")
    if _PART_NAMES.issuperset(name.lower() for name in classes):
        raise DataError(
            f"{root} is split already into {', '.join(classes)}. Give the folder of images before "
            f"the split, or one part: dataset.path={root / classes[0]}. "
            f"Received: dataset.path={root}"
        )
    members: list[tuple[str, str]] = []
    for name in classes:
        files = [(file.relative_to(root).as_posix(), name) for file in images_below(root / name)]
        if not files:
            raise DataError(
                f"The class folder {root / name} holds no images ({_suffixes()}). Fill it or "
                f"delete it. Received: dataset.path={root}"
            )
        members += files
    return sorted(members)


def images_below(folder: Path) -> Iterator[Path]:
    """Yields the image files below a folder, through symbolic links, each folder once."""
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_ignored(name))
        for name in files:
            if not _is_ignored(name) and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(parent, name)


def nested_folders(folder: Path) -> Iterator[Path]:
    """Yields a folder, the folders in it and those in them: archives often wrap what they hold."""
    yield folder
    for pattern in ("*/", "*/*/"):
        yield from (child for child in sorted(folder.glob(pattern)) if not _is_ignored(child.name))


def choose_positive(names: list[str], positive: str | None, root: Path) -> str:
    """Returns the class that means "crack".

    Args:
        names: the classes found.
        positive: what the user typed; None: found by its name.
        root: for the message.

    Raises:
        DataError: it is not among the classes, or none or several could be it.
    """
    listed = ", ".join(names)
    if positive is not None:
        if positive in names:
            return positive
        lower = {name.lower(): name for name in names}
        close = difflib.get_close_matches(positive.lower(), list(lower), n=1)
        hint = f" Did you mean {lower[close[0]]}?" if close else ""
        raise DataError(
            f"The positive class is not among the classes {listed} of {root}.{hint} "
            f"Received: dataset.positive={positive}"
        )
    candidates = [name for name in names if name.lower() in _POSITIVE_NAMES]
    if len(candidates) != 1:
        raise DataError(
            f"Which of the classes {listed} of {root} means a crack? Type "
            f"dataset.positive={names[-1]}, or another of them. Received: dataset.positive=null"
        )
    return candidates[0]


def require_folder(path: Path) -> None:
    """Raises DataError where `path` is not a folder with something in it."""
    if path.is_file():
        raise DataError(f"A folder of images is needed, this is a file. Received: dataset.path={path}")
    if not path.is_dir():
        nearest = next((parent for parent in path.absolute().parents if parent.is_dir()), path)
        raise DataError(f"There is no such folder; {nearest} is as far as it goes. Received: dataset.path={path}")
    try:
        empty = not any(path.iterdir())
    except OSError as error:
        _refuse(error)
    if empty:
        raise DataError(f"The folder is empty. Received: dataset.path={path}")


def require_places(options: Iterable[Mapping[str, Any]], where: str) -> None:
    """Raises DataError where a dataset of a list of options names a folder that is not there.

    Args:
        options: items of a checked list of datasets, option to keys.
        where: the list, such as "mix".
    """
    for node in (node for item in options for node in item.values() if node.get("path")):
        try:
            require_folder(Path(node["path"]).expanduser())
        except DataError as error:
            raise DataError(f"{node['name']} in {where}: {error}") from error


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"The folder cannot be read ({error.strerror}). Received: {error.filename}") from error


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED_FOLDERS


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))
