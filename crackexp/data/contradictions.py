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

    The class of a file is that of its own path. Where only links lead to it, its class is not known.

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
    for file, label in zip(checked, labels.tolist(), strict=True):
        labels_of.setdefault(file.digest, set()).add(label)
    rows_of: dict[str, list[int]] = {}
    for row, file in enumerate(checked):
        if file.reason is None and len(labels_of[file.digest]) > 1:
            rows_of.setdefault(os.path.realpath(root / str(files[row])), []).append(row)
    real_root, left_out = Path(os.path.realpath(root)), {}
    for real_path, rows in rows_of.items():
        all_labels = {int(labels[row]) for row in rows}
        own_labels = {int(labels[row]) for row in rows if str(real_root / str(files[row])) == real_path}
        names = ", ".join(class_names[label] for label in sorted(all_labels))
        for row in rows if len(all_labels) > 1 else ():
            if not own_labels:
                left_out[row] = (f"a link to {real_path}, which the classes {names} link to", True)
            elif labels[row] not in own_labels:
                left_out[row] = (f"a link to {real_path}, which is read already", False)
    return left_out


def contradictions(
    files: np.ndarray, labels: np.ndarray, digests: np.ndarray, class_names: Sequence[str]
) -> list[tuple[int, str]]:
    """Returns the row of each file whose bytes are in another class too, with the reason to doubt it.

    Args:
        files: (n,) str, the paths of the images.
        labels: (n,) int, the rows of `class_names`.
        digests: (n,) str, the digests of the files' bytes.
        class_names: The classes.
    """
    _, first, copy_of = np.unique(digests, return_index=True, return_inverse=True)
    doubts = []
    for row in np.flatnonzero(labels != labels[first[copy_of]]):
        copy = first[copy_of[row]]
        for doubted, other in ((row, copy), (copy, row)):
            doubts.append((int(doubted), f"the same bytes are {class_names[labels[other]]} in {files[other]}"))
    return doubts
