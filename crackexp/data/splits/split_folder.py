"""The folder of a split in the cache: links to the images of each part, and a manifest that must agree with them."""

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

from crackexp.csv_text import csv_text
from crackexp.data.duplicates import find_duplicates
from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.leaks import Leaks, find_leaks
from crackexp.errors import DataError
from crackexp.files import write_text
from crackexp.names import visible
from crackexp.sources import source_digest

_log = logging.getLogger(__name__)
_STEM_BYTES = 200
"""Bytes of a file's stem that stand in the name of its link: file systems take 255 for the whole."""


@dataclass(frozen=True)
class SplitDataset:
    """A dataset in three parts that share no image.

    Attributes:
        train, val, test: the parts.
        folder: holds `train/CLASS`, `val/CLASS`, `test/CLASS` with symbolic links to the images.
        manifest: csv in `folder` with the columns split, class, file, digest; see `csv_text` for how texts stand in it.
        name: readable, such as `ratio-0.7-0.2-0.1-seed-1337`.
        key: 16 hex digits over the dataset's fingerprint and what made the split; the same on
            every machine.
        leaks: test images that train has seen; None where nobody looked.
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


def kept(index: ImageIndex, cache: Path, name: str, text: str, build: Build, check_leaks: bool) -> SplitDataset:
    """Returns the split that stands in the cache, or builds it there.

    Args:
        index: of the dataset.
        cache: folder; the split lands below its `splits`.
        name: readable, of the split.
        text: all that the split depends on, besides the source of a `build` that is not crackexp's.
        build: fills a folder with `train/CLASS`, `val/CLASS` and `test/CLASS`; takes the folder, the index and the
            link `CLASS/FILE` of each image.
        check_leaks: whether to look for test images that train has seen.

    Raises:
        DataError: the folder cannot be built whole.
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
                _log.warning("The split in %s is damaged, and is made anew", folder)
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
    """Returns what builds the folder of a split whose parts are known, see `kept`.

    Args:
        parts: (n,) int, the part of each image: 0 train, 1 val, 2 test.
    """

    def build(folder: Path, index: ImageIndex, links: list[str]) -> None:
        for part in PARTS:
            for name in index.class_names:
                (folder / part / name).mkdir(parents=True)
        for i, link in enumerate(links):
            (folder / PARTS[parts[i]] / link).symlink_to(index.path(i).absolute())

    return build


def _link_names(index: ImageIndex) -> list[str]:
    """Returns `CLASS/FILE` of each image: its own path in a flat tree, else one of its kind."""
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
    """Returns the part of every link that stands in `folder`; a link in two parts has none."""
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
    part_of = _placed(folder, index)
    write_text(folder / "manifest.csv", _manifest(index, [part_of[link] for link in links]))


def _read_parts(folder: Path, index: ImageIndex, links: list[str]) -> np.ndarray | None:
    """Returns the part of each image, (n,) int; None where the split is not there or not whole.

    The links say which part an image stands in, and the manifest must say the same, to the byte.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return None
    part_of = _placed(folder, index)
    parts = [part_of.get(link, "") for link in links]
    if len(part_of) != len(links) or "" in parts or manifest.read_bytes() != _manifest(index, parts).encode():
        return None
    return np.array([PARTS.index(part) for part in parts])
