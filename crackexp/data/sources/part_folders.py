"""The folders of a split that a dataset comes with: what they are called, and where they are."""

import re
from collections.abc import Sequence
from pathlib import Path

from crackexp.data.accounting import Account
from crackexp.data.files.listing import list_images, subfolders
from crackexp.data.index import PARTS
from crackexp.utils.errors import DataError

_PART_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_MAX_WRAPPINGS = 2
"""The number of folders that may be around the folders of the parts."""


def part_of(name: str) -> str | None:
    """Returns the part of a split that a name means: "train", "val" or "test"; None where it means none.

    Case and separators make no difference, and "set", "data" or "images" may follow, as in ``Training_Set``.
    """
    letters = re.sub(r"[\W_]", "", name.lower())
    return _PART_OF.get(re.sub(r"(set|data|images)$", "", letters))


def part_folders(root: Path, classes: Sequence[str] | None = None) -> tuple[Path, dict[str, str]] | None:
    """Finds the folder of each part of a split, in `root` or in the only folder in it, up to two levels down.

    Args:
        root: The folder of a dataset.
        classes: The folders that the user named as classes; where all of them exist, none is a part. None where the
            user named none.

    Returns:
        The folder that holds the parts, and the name of the folder of each part; None where no folder has the name of
        a part.

    Raises:
        DataError: Two folders are the same part, or folders that are no parts hold images too.
    """
    for _ in range(1 + _MAX_WRAPPINGS):
        names = [child.name for child in subfolders(root)]
        if classes is not None and set(classes) <= set(names):
            return None
        if any(part_of(name) for name in names):
            return root, _named(root, names)
        if len(names) != 1:
            return None
        root = root / names[0]
    return None


def parts_in_classes(root: Path, classes: Sequence[str]) -> bool:
    """Returns whether each class folder in `root` holds the folders of a split, with ``train``, and no others."""
    for name in classes:
        parts = {part_of(child.name) for child in subfolders(root / name)}
        if "train" not in parts or None in parts:
            return False
    return bool(classes)


def _named(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Returns the name of the folder of each part among the folders `names` in `root`."""
    folders: dict[str, str] = {}
    for name in names:
        part = part_of(name)
        if part in folders:
            raise DataError(
                f"Two folders of {root} are the part {part} of a given split: {folders[part]} and {name}. Move the "
                f"images into one of them. Received: dataset.path={root}"
            )
        if part is not None:
            folders[part] = name
    if others := [name for name in names if part_of(name) is None and list_images(root / name, Account())]:
        raise DataError(
            f"{root} holds the parts {', '.join(folders.values())} of a given split, and beside them images in "
            f"{', '.join(others)}. Move one of them elsewhere, or name the folders that are classes: "
            f"dataset.classes=[{','.join(others)}]. Received: dataset.path={root}"
        )
    return {part: folders[part] for part in PARTS if part in folders}
