"""Finds images with two labels: links to a file of another class, and copies in another class."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crackexp.data.images.decode import CheckedFile


def links_across_classes(
    root: Path, files: np.ndarray, labels: np.ndarray, checked: Sequence[CheckedFile], class_names: Sequence[str]
) -> dict[int, tuple[str, bool]]:
    """Finds the images that would have two labels because a link leads to a file of another class.

    The path that is no link decides the class. Where every path is a link, the class is not known.

    Args:
        root: The folder that the paths are relative to.
        files: (n,) str, the POSIX paths of the images.
        labels: (n,) int, the rows of `class_names`.
        checked: The result of the check of each file.
        class_names: The classes.

    Returns:
        The rows to leave out, each with the reason, and whether its image is thereby missing from the dataset.
    """
    labels_of: dict[str, set[int]] = {}
    for one, label in zip(checked, labels.tolist(), strict=True):
        labels_of.setdefault(one.digest, set()).add(label)
    paths: dict[str, list[int]] = {}
    for row, one in enumerate(checked):
        if one.reason is None and len(labels_of[one.digest]) > 1:
            paths.setdefault(os.path.realpath(root / str(files[row])), []).append(row)
    top, found = Path(os.path.realpath(root)), {}
    for real, rows in paths.items():
        given = {int(labels[row]) for row in rows}
        meant = {int(labels[row]) for row in rows if str(top / str(files[row])) == real}
        names = ", ".join(class_names[label] for label in sorted(given))
        for row in rows if len(given) > 1 else ():
            if not meant:
                found[row] = (f"a link to {real}, which the classes {names} link to", True)
            elif labels[row] not in meant:
                found[row] = (f"a link to {real}, which is read already", False)
    return found


def contradictions(
    files: np.ndarray, labels: np.ndarray, digests: np.ndarray, class_names: Sequence[str]
) -> list[tuple[int, str]]:
    """Returns the row of each file whose bytes are in another class too, with the reason to doubt it.

    Args:
        files: (n,) str, the paths of the images.
        labels: (n,) int, the rows of `class_names`.
        digests: (n,) str, those of the bytes of the files.
        class_names: The classes.
    """
    _, first, copy_of = np.unique(digests, return_index=True, return_inverse=True)
    found = []
    for row in np.flatnonzero(labels != labels[first[copy_of]]):
        mate = first[copy_of[row]]
        for one, other in ((row, mate), (mate, row)):
            found.append((int(one), f"the same bytes are {class_names[labels[other]]} in {files[other]}"))
    return found
