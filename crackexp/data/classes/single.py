"""Datasets whose images are all of one class: they can be evaluated on, but not trained on or audited."""

from pathlib import Path

import numpy as np

from crackexp.data.files.listing import subfolders
from crackexp.data.index import ImageIndex
from crackexp.utils.errors import DataError


def require_two_classes(index: ImageIndex) -> None:
    """Checks that the images of a dataset are of several classes.

    Raises:
        DataError: All are of one class.
    """
    present = np.unique(index.labels)
    if len(present) < 2:
        raise only_one_class(index.root, index.class_names[present[0]])


def only_one_class(root: Path, only: str) -> DataError:
    """Returns the error for a dataset whose images are all of one class.

    Args:
        root: The folder of the dataset.
        only: The name of the class.
    """
    empty = [folder.name for folder in subfolders(root) if folder.name != only]
    inner = [folder.name for folder in subfolders(root / only)]
    if empty:
        hint = f"No images are in {', '.join(empty[:5])}. Fill or name the folder of another class. "
    elif len(inner) > 1:
        hint = f"If {', '.join(inner[:5])} are the classes, type dataset.path={root / only}. "
    else:
        hint = "Add a folder with images of another class. "
    return DataError(f"{root} holds only one class, {only}. {hint}Received: dataset.path={root}")
