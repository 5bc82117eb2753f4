"""Layouts of labelled images: class folders, the folders of a split, tables of labels, and exports of annotations."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crackexp.config.overrides import as_typed
from crackexp.data.accounting import Account
from crackexp.data.files.listing import is_file, is_folder, is_image, list_images, subfolders
from crackexp.data.sources.annotation_file import ANNOTATION_SUFFIXES, read_annotations
from crackexp.data.sources.folder import LABEL_SUFFIXES, class_members, holds_labels, require_folder
from crackexp.data.sources.label_table import read_labels
from crackexp.data.sources.part_folders import part_folders, part_of, parts_in_classes
from crackexp.data.sources.sdnet_layout import class_folders
from crackexp.reporting.formatting import counted
from crackexp.utils.errors import DataError

ROBOFLOW_TABLE = "_classes.csv"
"""The table of labels in each folder of a multi-class export of Roboflow."""


@dataclass(frozen=True)
class Listing:
    """The images of a dataset before any of them is read.

    Attributes:
        root: The folder that the files are relative to.
        members: The (POSIX path relative to `root`, class name) of each image.
        account: The account of the other files, by their paths relative to `root`.
        parts: The part that each member comes in, "train", "val" or "test"; None where there is no split.
        groups: The photo that each member was cut from; None where photos are not known.
    """

    root: Path
    members: list[tuple[str, str]]
    account: Account
    parts: list[str] | None = None
    groups: list[str] | None = None


def list_labelled(
    path: Path, classes: Sequence[str] | None, files_must_exist: bool, positives: Collection[str] | None = None
) -> Listing:
    """Lists the labelled images of a dataset without reading them.

    Args:
        path: A table of labels, an export of annotations, or a folder: of class folders, of the parts of a given split
            (in it or in the only folder in it), each with its class folders, or of class folders with the parts in
            each.
        classes: The classes to use; None to use all.
        files_must_exist: Whether a row of a table whose file does not exist is refused.
        positives: The damage classes that the user typed, for which boxes in an export count; None to know them by
            their names.

    Raises:
        DataError: There are no such images, or they are laid out in another way.
    """
    if holds_labels(path):
        listing = _from_table(path, classes, files_must_exist, positives)
        _note_unnamed(path, listing)
        return listing
    if is_file(path):
        suffixes = ", ".join(sorted(LABEL_SUFFIXES))
        raise DataError(
            f"A folder of images or a file of labels ({suffixes}) is needed, but this is a file of another kind. "
            "Unpack an archive first. "
            f"Received: dataset.path={path}"
        )
    require_folder(path)
    _refuse_sdnet2018(path)
    parted = part_folders(path, classes)
    return _from_parts(*parted, classes, files_must_exist) if parted else _from_classes(path, classes)


def _from_table(
    table: Path, classes: Sequence[str] | None, files_must_exist: bool, positives: Collection[str] | None = None
) -> Listing:
    """Lists the images of a file of labels below its own folder, or else below the folder that holds them all."""
    account = Account()
    if table.suffix.lower() in ANNOTATION_SUFFIXES:
        rows = read_annotations(table, classes, positives, files_must_exist, account)
    else:
        rows = read_labels(table, files_must_exist, account, classes)
    folder = table.absolute().parent
    outside = any(not row.file.is_relative_to(folder) for row in rows)
    root = Path(os.path.commonpath([row.file.parent for row in rows])) if outside else folder
    if classes is not None:
        labels = sorted({row.label for row in rows})
        if missing := [name for name in classes if name not in labels]:
            raise DataError(
                f"{table} has no label {', '.join(missing)}. Choose from: {', '.join(labels)}. "
                f"Received: dataset.classes=[{','.join(classes)}]"
            )
        for row in rows:
            if row.label not in classes:
                file = row.file.relative_to(root).as_posix()
                account.leave_out(file, "its label is not in dataset.classes", may_be_image=False)
        rows = [row for row in rows if row.label in classes]
    labels = sorted({row.label for row in rows})
    if len(labels) < 2:
        raise DataError(f"{table} holds only one class, {labels[0]}. Received: dataset.path={table}")
    return Listing(
        root,
        [(row.file.relative_to(root).as_posix(), row.label) for row in rows],
        account,
        None if rows[0].part is None else [str(row.part) for row in rows],
        None if rows[0].group is None else [str(row.group) for row in rows],
    )


def _note_unnamed(table: Path, listing: Listing) -> None:
    """Notes the files beside the images of a file of labels that the file does not name."""
    left_out = [remark.file for remark in listing.account.left_out]
    named = [listing.root / file for file in (*(file for file, _ in listing.members), *left_out)]
    known, others = {*named, *map(os.path.realpath, named)}, Account()
    for folder in sorted({file.parent for file in named}):
        try:
            children = sorted(folder.iterdir())
        except OSError:  # where its images cannot be read either, their check gives the reason
            continue
        beside = {child.stem for child in children}
        for child in children:
            if child == table.absolute() or child in known or is_folder(child) or not is_image(child, others, beside):
                continue
            if os.path.realpath(child) not in known:
                others.leave_out(str(child), f"{table.name} does not name it")
    others.left_out = [replace(remark, may_be_image=False) for remark in others.left_out]
    listing.account.add(others.renamed(lambda file: os.path.relpath(file, listing.root)))


def _from_classes(root: Path, classes: Sequence[str] | None) -> Listing:
    """Lists class folders, in each of which there may be the folders of a given split."""
    account = Account()
    members = class_members(root, account, classes)
    folders = {Path(file).parts[0] for file, _ in members}  # a name that is no UTF-8 differs from that of its class
    if not parts_in_classes(root, sorted(folders)):
        return Listing(root, members, account)
    parts = [part_of(Path(file).parts[1]) for file, _ in members]
    if beside := [file for (file, _), part in zip(members, parts, strict=True) if part is None]:
        raise DataError(
            f"The class folders of {root} hold the parts of a split, and beside them "
            f"{counted(len(beside), 'image')}, such as {beside[0]}. Move each into a part. "
            f"Received: dataset.path={root}"
        )
    return Listing(root, members, account, [str(part) for part in parts])


def _from_parts(
    root: Path, folders: Mapping[str, str], classes: Sequence[str] | None, files_must_exist: bool
) -> Listing:
    """Lists the class folders in the folder of each part, or the images that a table of Roboflow in it names.

    Raises:
        DataError: The parts hold different classes.
    """
    members: list[tuple[str, str]] = []
    parts: list[str] = []
    account = Account()
    for child in sorted(root.iterdir()):
        if not is_folder(child) and is_image(child, account):
            account.leave_out(str(child), "it is beside the parts of the split")
    account = account.renamed(lambda file: os.path.relpath(file, root))
    names: dict[str, set[str]] = {}
    for part, folder in folders.items():
        others = Account()
        if holds_labels(root / folder / ROBOFLOW_TABLE):
            part_members = _from_roboflow(root / folder, others, classes, files_must_exist)
        else:
            part_members = class_members(root / folder, others, classes)
        members += [(f"{folder}/{file}", name) for file, name in part_members]
        parts += [part] * len(part_members)
        account.add(others.renamed(lambda file, folder=folder: f"{folder}/{file}"))  # type: ignore[misc]
        names[folder] = {name for _, name in part_members}
    if len({frozenset(part_names) for part_names in names.values()}) > 1:
        contents = "; ".join(f"{folder} holds {', '.join(sorted(held))}" for folder, held in names.items())
        raise DataError(
            f"The parts of the split in {root} hold different classes: {contents}. Give each part a folder of the same "
            f"name for each class. Received: dataset.path={root}"
        )
    return Listing(root, members, account, parts)


def _from_roboflow(
    folder: Path, account: Account, classes: Sequence[str] | None, files_must_exist: bool
) -> list[tuple[str, str]]:
    """Lists the images of a part that its table names, and notes the others."""
    listing = _from_table(folder / ROBOFLOW_TABLE, classes, files_must_exist)
    named = {file for file, _ in listing.members} | {remark.file for remark in listing.account.left_out}
    others = Account()
    for image in list_images(folder, others):
        if os.path.relpath(image.path, folder) not in named:
            others.leave_out(str(image.path), f"{ROBOFLOW_TABLE} does not name it")
    account.add(listing.account)
    account.add(others.renamed(lambda file: os.path.relpath(file, folder)))
    return listing.members


def _refuse_sdnet2018(root: Path) -> None:
    """Refuses a folder whose folders are the surfaces of SDNET2018, which are not classes.

    Raises:
        DataError: They are.
    """
    surfaces = {child.parent for _, _, child in class_folders(root)}
    if len(surfaces) > 1 and surfaces == set(subfolders(root)):
        raise DataError(
            f"{root} has the layout of SDNET2018, a folder for each surface and in it one for each class. Type "
            f"dataset=sdnet2018 {as_typed('dataset.path', str(root))}. Received: dataset=folder dataset.path={root}"
        )
