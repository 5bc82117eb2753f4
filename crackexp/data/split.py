"""Splits a dataset into train, val and test by split-folders."""

import hashlib
import logging
import os
import random
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from crackexp.csv_text import csv_text
from crackexp.data.duplicates import find_duplicates
from crackexp.data.index import ImageIndex
from crackexp.data.leaks import Leaks, find_leaks
from crackexp.data.parts import PARTS
from crackexp.errors import ConfigError, DataError
from crackexp.files import write_text
from crackexp.names import visible
from crackexp.sources import source_digest

_log = logging.getLogger(__name__)
_STEM_BYTES = 200
"""Bytes of a file's stem that stand in the name of its link: file systems take 255 for the whole."""


@dataclass(frozen=True)
class Split:
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


class RatioSplit:
    """Random split of each class by `splitfolders.ratio`.

    With one seed the images of a class are shuffled in one order whatever the ratio: train is its
    head and test its tail, so the test part of a larger share holds that of a smaller one.

    Args:
        ratio: shares of train, val and test; above 0, with the sum 1.
        seed: of the shuffle, apart from the seed of the run.
        cache: folder; the split lands below its `splits`.
        check_leaks: whether to look for test images that train has seen.

    Raises:
        ConfigError: the ratio is none.
    """

    def __init__(self, *, ratio: Sequence[float], seed: int, cache: str | Path, check_leaks: bool = True) -> None:
        self.ratio = checked_ratio(ratio)
        self.seed = int(seed)
        self.cache = Path(cache)
        self.check_leaks = check_leaks

    @property
    def name(self) -> str:
        """Readable name of the split, the same for every dataset."""
        return f"ratio-{ratio_name(self.ratio, self.seed)}"

    def split(self, index: ImageIndex) -> Split:
        """Splits a dataset, or reads the split that stands in the cache.

        Raises:
            DataError: a class has too few images for three parts, or the dataset comes with a split.
        """
        require_unsplit(index)
        self._require_enough(index)
        text = f"{index.fingerprint}\n{self.ratio!r}\n{self.seed}"
        return kept(index, self.cache, self.name, text, self._build, self.check_leaks)

    def _require_enough(self, index: ImageIndex) -> None:
        for label, name in enumerate(index.class_names):
            count = int(np.sum(index.labels == label))
            train, val = (int(share * count) for share in self.ratio[:2])
            if min(train, val, count - train - val) < 1:
                raise DataError(
                    f"The class {name} has {count} images: {train} to train, {val} to val and "
                    f"{count - train - val} to test, and each part needs one or more. Add images "
                    f"of {name}, raise dataset.limit or choose another split.ratio. "
                    f"Received: split.ratio={list(self.ratio)}"
                )

    def _build(self, folder: Path, index: ImageIndex, links: list[str]) -> None:
        import splitfolders

        source = folder.with_name(f"{folder.name}.source")
        try:
            for name in index.class_names:
                (source / name).mkdir(parents=True)
            for i, link in enumerate(links):
                (source / link).symlink_to(index.path(i).absolute())
            with _quiet_splitfolders():
                splitfolders.ratio(source, folder, seed=self.seed, ratio=self.ratio, move="symlink")
        finally:
            shutil.rmtree(source, ignore_errors=True)


def require_unsplit(index: ImageIndex) -> None:
    """Raises DataError where a dataset comes with a split, which would be lost."""
    if index.parts is not None:
        raise split_already(index.root, [part for part in PARTS if part in index.parts])


def split_already(place: Path, parts: Sequence[str]) -> DataError:
    """Returns the error of a dataset that comes with a split and was to be split anew.

    Args:
        place: The folder or table of the dataset.
        parts: Those that it has.
    """
    return DataError(
        f"{place} is split already into {', '.join(parts)}. Type split=given to use that split, or "
        f"dataset.merge_parts=true to put the parts together and split anew. Received: dataset.path={place}"
    )


def apart(index: ImageIndex) -> str:
    """Returns what to type so that copies and patches of one photo stand in one part."""
    return "split=grouped" if index.parts is None else "split=grouped dataset.merge_parts=true"


def checked_ratio(ratio: Sequence[float]) -> tuple[float, ...]:
    """Returns shares of train, val and test.

    Raises:
        ConfigError: they are not three numbers above 0 with the sum 1.
    """
    shares = tuple(float(share) for share in ratio)
    if len(shares) != 3 or min(shares) <= 0 or round(sum(shares), 5) != 1:
        raise ConfigError(
            "A ratio is three numbers above 0 with the sum 1, such as "
            f"split.ratio=[0.7,0.2,0.1]. Received: split.ratio={list(shares)}"
        )
    return shares


def ratio_name(ratio: Sequence[float], seed: int) -> str:
    """Returns ratio and seed as they stand in the name of a split."""
    return f"{'-'.join(f'{share:g}' for share in ratio)}-seed-{seed}"


def kept(index: ImageIndex, cache: Path, name: str, text: str, build: Build, check_leaks: bool) -> Split:
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
    return Split(
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


@contextmanager
def _quiet_splitfolders() -> Iterator[None]:
    """Hides split-folders' own bar, and keeps its seed out of Python's global random numbers."""
    from splitfolders import split as module

    state, bar = random.getstate(), module.use_tqdm
    module.use_tqdm = False
    try:
        yield
    finally:
        module.use_tqdm = bar
        random.setstate(state)
