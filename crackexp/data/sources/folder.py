"""Folders of datasets: checks that they exist, and the class folders in them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from crackexp.config.overrides import as_typed
from crackexp.data.accounting import Account
from crackexp.data.files.listing import (
    FoundImage,
    is_file,
    is_folder,
    is_image,
    is_link,
    is_litter,
    list_images,
    without_links,
)
from crackexp.reporting.formatting import counted
from crackexp.utils.errors import DataError, about
from crackexp.utils.names import visible

LABEL_SUFFIXES = frozenset({".csv", ".json", ".tsv", ".xml"})
"""Lower-case suffixes of the files that are read as tables of labels, or as exports of annotation programs."""


def class_members(
    root: Path, account: Account | None = None, classes: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Lists the images below the class folders of `root`.

    No image is listed twice: where several links in a class lead to one file, one of them is used, and a file that
    links in two classes lead to is left out.

    Args:
        root: The folder of the class folders.
        account: The account of files that are not listed, by their paths relative to `root`; None to drop it.
        classes: The names of the folders that are classes; None to take all that hold images.

    Returns:
        The (POSIX path relative to `root`, class name) of each image, sorted.

    Raises:
        DataError: `root` is no folder, holds images beside the class folders, or holds no class; or one of `classes` is
            not there or is empty.
    """
    require_folder(root)
    others = Account()
    folders = _class_folders(root, classes, others)
    inside = {os.path.realpath(root / name) for name in folders}
    listed = {name: list_images(root / name, others, inside) for name in folders}
    images_of = without_links(listed, others)
    for name in [name for name, images in images_of.items() if not images]:
        if classes is not None:
            raise DataError(
                f"The class folder {root / name} holds no images{_links_hint(listed[name])}. Add images, or leave it "
                "out of dataset.classes. "
                f"Received: dataset.classes=[{','.join(classes)}]"
            )
        if str(root / name) not in {remark.file for remark in others.left_out}:  # else it could not be read
            reason = f"a folder without images{_links_hint(listed[name])}, so no class"
            others.leave_out(str(root / name), reason, may_be_image=False)
        del images_of[name]
    if not images_of:
        raise DataError(
            f"The folders {', '.join(folders)} of {root} hold no images{_links_hint(*listed.values())}. Give a folder "
            f"with one folder of images for each class. Received: dataset.path={root}"
        )
    if account is not None:
        account.add(others.renamed(lambda file: os.path.relpath(file, root)))
    return sorted(
        (image.path.relative_to(root).as_posix(), visible(name))
        for name, images in images_of.items()
        for image in images
    )


def _links_hint(*listed: Sequence[FoundImage]) -> str:
    """Returns the end of a message on a folder without images, where it holds links to files of other folders."""
    return " but links to files of other folders" if any(listed) else ""


def _class_folders(root: Path, classes: Sequence[str] | None, account: Account) -> list[str]:
    """Returns the names of the class folders in `root`, and notes the other files there.

    Raises:
        DataError: `root` holds images itself, it holds no folders, or one of `classes` is missing.
    """
    folders, loose = [], []
    children = sorted(root.iterdir())
    own = {child.resolve() for child in children if is_folder(child) and not is_link(child)}
    for child in children:
        if is_litter(child.name):
            account.ignore(str(child))
        elif not is_folder(child):
            beside = Account()
            image = is_image(child, beside)
            if is_link(child) and not image:  # perhaps to a class, in a place that is not there now
                account.add(beside)
                continue
            if image or beside.left_out:
                loose.append(child.name)
            account.ignored.update(beside.ignored)
        elif root.resolve().is_relative_to(child.resolve()):
            account.leave_out(str(child), "a link back to the dataset, so no class", may_be_image=False)
        elif is_link(child) and child.resolve() in own:
            account.leave_out(str(child), "a link to another of the folders, so no class", may_be_image=False)
        else:
            folders.append(child.name)
    if loose:
        raise DataError(
            f"{counted(len(loose), 'image')} {'is' if len(loose) == 1 else 'are'} in {root} itself, such as "
            f"{loose[0]}. Put each image into a folder named after its class, such as Positive/ and "
            f"Negative/{_table_hint(root)}. Received: dataset.path={root}"
        )
    if not folders:
        raise DataError(
            f"{root} holds no class folders. Give a folder with one folder for each class, such "
            f"as Positive/ and Negative/. Received: dataset.path={root}"
        )
    if classes is None:
        return folders
    if missing := [name for name in classes if name not in folders]:
        raise DataError(
            f"{root} has no folder {', '.join(missing)}. Choose from: {', '.join(folders)}. "
            f"Received: dataset.classes=[{','.join(classes)}]"
        )
    for name in folders:
        if name not in classes:
            account.leave_out(str(root / name), "a folder that is not in dataset.classes", may_be_image=False)
    return [name for name in folders if name in classes]


def _table_hint(root: Path) -> str:
    """Returns the end of a message that names a file beside the images which may hold their labels."""
    table = next((child for child in sorted(root.iterdir()) if holds_labels(child)), None)
    return f", or type {as_typed('dataset.path', str(table))} if that file holds the labels" if table else ""


def holds_labels(path: Path) -> bool:
    """Returns whether a path is a file that labels are read from, see `read_labels` and `read_annotations`."""
    return path.suffix.lower() in LABEL_SUFFIXES and is_file(path)


def require_folder(path: Path) -> None:
    """Checks that a folder exists and is not empty.

    Raises:
        DataError: It does not exist, is a file, is empty, or cannot be read.
    """
    if is_file(path):
        raise DataError(f"A folder of images is needed, but this is a file. Received: dataset.path={path}")
    try:
        exists = path.is_dir()
    except OSError as error:
        _refuse(error)
    if not exists:
        above = next(parent for parent in path.absolute().parents if parent.is_dir())
        hint = f" The path exists up to {above}." if above != Path(above.anchor) else ""
        raise DataError(f"There is no such folder.{hint} Received: dataset.path={path}")
    try:
        empty = not any(path.iterdir())
    except OSError as error:
        _refuse(error)
    if empty:
        raise DataError(f"The folder is empty. Received: dataset.path={path}")


def require_place(dataset: Mapping[str, Any]) -> None:
    """Checks that the folder or file of a dataset exists, before more is imported and read.

    Args:
        dataset: The checked config of a dataset. The places of classes outside of crackexp are not checked.

    Raises:
        DataError: It does not exist, or is an empty folder.
    """
    path = dataset.get("path")
    if path is None or dataset.get("archive") is not None or not str(dataset["_target_"]).startswith("crackexp."):
        return
    place = Path(path).expanduser()
    if not is_file(place):
        require_folder(place)


def require_places(options: Iterable[Mapping[str, Any]], where: str) -> None:
    """Checks that the folders and tables that a list of datasets names exist.

    Args:
        options: The items of the checked list, each a mapping of an option to its keys.
        where: The name of the list, such as "mix".

    Raises:
        DataError: One of them does not exist.
    """
    for node in (node for item in options for node in item.values() if node.get("path")):
        place = Path(node["path"]).expanduser()
        with about(f"{node['name']} in {where}"):
            if not holds_labels(place):
                require_folder(place)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"The folder cannot be read ({error.strerror}). Received: {error.filename}") from error
