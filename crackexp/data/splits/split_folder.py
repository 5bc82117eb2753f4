"""The folder of a split in the cache: links to the images of each part, and a manifest that must match them."""

import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from crackexp.data.duplicates import find_duplicates
from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.leaks import Leaks, find_leaks
from crackexp.utils.csv_text import csv_text
from crackexp.utils.errors import DataError
from crackexp.utils.files import write_text
from crackexp.utils.names import visible
from crackexp.utils.source_code import source_digest

_log = logging.getLogger(__name__)
_STEM_BYTES = 200
"""The number of bytes of a file's stem that its link is named by; file systems take 255 for a whole name."""


@dataclass(frozen=True)
class SplitDataset:
    """A dataset that is divided into train, val and test, which share no file.

    Attributes:
        train: The index of the training images.
        val: The index of the validation images.
        test: The index of the test images.
        folder: The folder that holds `train/CLASS`, `val/CLASS` and `test/CLASS` with symbolic links to the images.
        manifest: The CSV file in `folder` with the columns split, class, file and digest, written by `csv_text`.
        name: The readable name of the split, such as `ratio-0.7-0.2-0.1-seed-1337`.
        key: A digest of the dataset's fingerprint and of what made the split, 16 hex digits; it is the same on every
            machine.
        leaks: The test images that train holds too; None where they were not looked for.
    """

    train: ImageIndex
    val: ImageIndex
    test: ImageIndex
    folder: Path
    manifest: Path
    name: str
    key: str
    leaks: Leaks | None = None


Build = Callable[[Path, ImageIndex, list[str]], None]
"""A function that fills a folder with ``train/CLASS``, ``val/CLASS`` and ``test/CLASS``.

It takes the folder, the index and the link ``CLASS/FILE`` of each image."""


def kept(index: ImageIndex, cache: Path, name: str, text: str, build: Build, check_leaks: bool) -> SplitDataset:
    """Reads a split from the cache, or builds it there.

    Args:
        index: The index of the dataset.
        cache: The folder that the split is kept in, below `splits`.
        name: The readable name of the split.
        text: A text of everything that the split depends on. The source code of a `build` of your own is added to it.
        build: The function that fills the folder of the split, see `Build`.
        check_leaks: Whether to look for test images that train holds too.

    Raises:
        DataError: The folder that `build` filled does not hold every image once.
    """
    text = "\n".join([text, *filter(None, [source_digest(build)])])
    key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    place = hashlib.blake2b(os.fsencode(index.root.resolve()), digest_size=4).hexdigest()
    folder = cache / "splits" / f"{name}-{key}-{place}"
    links = _link_names(index)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        parts = _read_parts(folder, index, links)
        if parts is None:
            if folder.exists():
                _log.warning("The split in %s is damaged, and is made again", folder)
            shutil.rmtree(folder, ignore_errors=True)
            temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
            try:
                build(temporary, index, links)
                _write_manifest(temporary, index, links)
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            parts = _read_parts(folder, index, links)
    if parts is None:
        raise DataError(
            f"The split in {folder} does not hold every image once. Delete the folder and try "
            f"again. Received: {index.root}"
        )
    return SplitDataset(
        train=index.subset(parts == 0),
        val=index.subset(parts == 1),
        test=index.subset(parts == 2),
        folder=folder,
        manifest=folder / "manifest.csv",
        name=name,
        key=key,
        leaks=find_leaks(index, parts, find_duplicates(index, cache)) if check_leaks else None,
    )


def link_parts(parts: np.ndarray) -> Build:
    """Returns a function that builds the folder of a split whose parts are known, see `kept`.

    Args:
        parts: The part of each image, (n,) int: 0 for train, 1 for val, 2 for test.
    """

    def build(folder: Path, index: ImageIndex, links: list[str]) -> None:
        for part in PARTS:
            for name in index.class_names:
                (folder / part / name).mkdir(parents=True)
        for i, link in enumerate(links):
            (folder / PARTS[parts[i]] / link).symlink_to(index.path(i).absolute())

    return build


def _link_names(index: ImageIndex) -> list[str]:
    """Returns the link `CLASS/FILE` of each image: its own path in a flat tree, else a path that is unique."""
    classes = [index.class_names[label] for label in index.labels]
    files = [str(file) for file in index.files]
    if all(file == f"{name}/{Path(file).name}" for file, name in zip(files, classes, strict=True)):
        return files
    links = []
    for file, name in zip(files, classes, strict=True):
        path = Path(file)
        mark = hashlib.blake2b(os.fsencode(file), digest_size=8).hexdigest()
        stem = os.fsdecode(os.fsencode(path.stem)[:_STEM_BYTES])
        links.append(f"{name}/{stem}.{mark}{path.suffix}")
    return links


def _placed(folder: Path, index: ImageIndex) -> dict[str, str]:
    """Returns the part of every link in the folder of a split; the part of a link in two parts is empty."""
    part_of: dict[str, str] = {}
    for part in PARTS:
        for name in index.class_names:
            if (folder / part / name).is_dir():
                for entry in os.scandir(folder / part / name):
                    link = f"{name}/{entry.name}"
                    part_of[link] = "" if link in part_of else part
    return part_of


def _manifest(index: ImageIndex, parts: Sequence[str]) -> str:
    """Returns the content of ``manifest.csv``."""
    import pandas as pd  # takes half a second, which --help and refusals do not wait for

    table = pd.DataFrame(
        {
            "split": list(parts),
            "class": [index.class_names[label] for label in index.labels],
            "file": [visible(file) for file in index.files.tolist()],
            "digest": index.digests,
        }
    )
    return csv_text(table)


def _write_manifest(folder: Path, index: ImageIndex, links: list[str]) -> None:
    """Writes ``manifest.csv`` for the links in `folder`."""
    part_of = _placed(folder, index)
    write_text(folder / "manifest.csv", _manifest(index, [part_of[link] for link in links]))


def _read_parts(folder: Path, index: ImageIndex, links: list[str]) -> np.ndarray | None:
    """Returns the part of each image, (n,) int; None where the split is missing or incomplete.

    The links say which part an image is in, and the manifest must say the same, byte for byte.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return None
    part_of = _placed(folder, index)
    parts = [part_of.get(link, "") for link in links]
    if len(part_of) != len(links) or "" in parts or manifest.read_bytes() != _manifest(index, parts).encode():
        return None
    return np.array([PARTS.index(part) for part in parts])
