"""The index of a dataset: the files of its images with labels, content digests and source photos."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import Classes, positives_of
from crackexp.data.contradictions import contradictions, links_across_classes
from crackexp.data.digests import check_files, root_key
from crackexp.utils.csv_text import csv_text
from crackexp.utils.errors import ConfigError, DataError
from crackexp.utils.files import write_text
from crackexp.utils.names import on_one_line, visible

PARTS = ("train", "val", "test")
"""The names of the parts of a split, in their order."""
OnBadFile = Literal["error", "skip"]

_log = logging.getLogger(__name__)
_SHOWN = 20


@dataclass(frozen=True)
class ImageIndex:
    """The n images of a dataset in the sorted order of their files, or those of several datasets one after the other.

    Attributes:
        root: The folder that `files` are relative to.
        files: The POSIX paths of the images relative to `root`, (n,) str.
        labels: The class of each image as a row of `class_names`, (n,) int32.
        digests: The blake2b-128 digest of the bytes of each file, (n,) str of 32 hex digits.
        class_names: The names of the classes, sorted. Where the images are of one class, the other one is named too if
            it is known which of them is damage.
        positives: The classes that are damage, in the order of `class_names`.
        groups: The photo that each image was cut from, (n,) str; None where it is not known.
        roots: The folder that each file is relative to, (n,) Path; None where that is `root` for all.
        parts: The part that each image comes in, (n,) str of "train", "val" and "test"; None where the dataset comes
            without a split.
        account: What became of every file of the dataset, by its path relative to `root`. A subset has the account of
            the whole index.

    Example:

    >>> from crackexp.data.synthetic import draw_dataset
    >>> draw_dataset(Path("patches"), count=4, seed=0, size=32)
    >>> members = [("Positive/00001.jpg", "Positive"), ("Negative/00001.jpg", "Negative")]
    >>> index = build_index(Path("patches"), members, positive="Positive", cache=Path("cache"))
    >>> index.labels.tolist(), index.damaged.tolist()
    ([0, 1], [False, True])
    """

    root: Path
    files: np.ndarray
    labels: np.ndarray
    digests: np.ndarray
    class_names: tuple[str, ...]
    positives: tuple[str, ...]
    groups: np.ndarray | None = None
    roots: np.ndarray | None = None
    parts: np.ndarray | None = None
    account: Account = field(default_factory=Account)

    def __len__(self) -> int:
        """Returns the number of images n."""
        return len(self.files)

    @property
    def classes(self) -> Classes:
        """The classes, and which of them are damage."""
        return Classes(self.class_names, self.positives)

    @property
    def damaged(self) -> np.ndarray:
        """Whether each image is of a damage class, (n,) bool."""
        return self.classes.damaged(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the class names, files, labels, digests, groups and parts, 16 hex digits; not of the folders."""
        hasher = hashlib.blake2b(digest_size=8)
        columns = [self.class_names, self.files, self.labels, self.digests, () if self.groups is None else self.groups]
        for column in columns if self.parts is None else [*columns, self.parts]:
            text = "\n".join(str(value) for value in column)
            hasher.update(os.fsencode(f"{len(column)}\n{text}\n"))
        return hasher.hexdigest()

    def path(self, i: int) -> Path:
        """Returns the file of image `i`."""
        root = self.root if self.roots is None else self.roots[i]
        return Path(root) / str(self.files[i])

    def subset(self, rows: np.ndarray) -> "ImageIndex":
        """Returns the index of some images.

        Args:
            rows: The rows of the images, (m,) int, or a mask, (n,) bool. The images stay in their order.
        """
        chosen = np.sort(np.arange(len(self))[np.asarray(rows)])
        return replace(
            self,
            files=self.files[chosen],
            labels=self.labels[chosen],
            digests=self.digests[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            roots=None if self.roots is None else self.roots[chosen],
            parts=None if self.parts is None else self.parts[chosen],
        )

    def join(self, *others: "ImageIndex") -> "ImageIndex":
        """Returns the index of these images followed by those of other indexes; the files stay where they are.

        Where the groups of some images are known, every other image is a group of its own, named by its digest. The
        parts are known where those of all images are.

        Args:
            others: Indexes with the same classes, see `relabel`.

        Raises:
            ValueError: The classes differ.
        """
        if not others:
            return self
        parts = (self, *others)
        if any(part.classes != self.classes for part in others):
            raise ValueError(f"indexes of other classes: {[part.class_names for part in parts]}")
        known = any(part.groups is not None for part in parts)
        groups = [part.digests if part.groups is None else part.groups for part in parts]
        given = [part.parts for part in parts if part.parts is not None]
        roots = [np.full(len(part), part.root, object) if part.roots is None else part.roots for part in parts]
        return replace(
            self,
            files=np.concatenate([part.files for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            digests=np.concatenate([part.digests for part in parts]),
            groups=np.concatenate(groups) if known else None,
            roots=np.concatenate(roots),
            parts=np.concatenate(given) if len(given) == len(parts) else None,
        )

    def relabel(self, classes: Classes) -> "ImageIndex":
        """Returns the index with the classes of a model, which may have been trained on another dataset.

        Raises:
            DataError: See `Classes.labels_in`.
        """
        present = self.classes.among(self.labels)
        own = present if set(present.names) <= set(classes.names) else self.classes
        label_of = dict(zip(own.names, own.labels_in(classes), strict=True))
        labels = np.array([label_of.get(name, -1) for name in self.class_names], np.int32)[self.labels]
        return replace(self, labels=labels, class_names=classes.names, positives=classes.positives)

    def judged_by(self, classes: Classes) -> "ImageIndex":
        """Returns the index that a model with `classes` is evaluated on.

        This is the index of `relabel`, with one exception: where the dataset has two classes and the model has more and
        does not know them by name, the index stays as it is, and the probabilities of the model are merged into damage
        and the rest, see `Classes.merge`.

        Raises:
            DataError: See `Classes.labels_in`.
        """
        known = set(self.classes.among(self.labels).names) <= set(classes.names)
        return self if len(self.class_names) == 2 < len(classes.names) and not known else self.relabel(classes)


def build_index(
    root: Path,
    members: Sequence[tuple[str, str]],
    positive: str | Sequence[str],
    cache: Path,
    on_bad_file: OnBadFile = "error",
    groups: Sequence[str] | None = None,
    limit: int | None = None,
    account: Account | None = None,
    parts: Sequence[str] | None = None,
    missing: Sequence[str] = (),
) -> ImageIndex:
    """Decodes and digests every image, and returns the index of those that can be used.

    An image whose size and time of change are those of an earlier call is not read again.

    Args:
        root: The folder that the paths are relative to.
        members: The (POSIX path relative to `root`, class name) of each image.
        positive: The class that is damage, or several.
        cache: The folder that keeps digests, below `index`.
        on_bad_file: What happens where files cannot be used: "error" refuses the dataset, "skip" leaves them out.
            Either way a table of them is written, and the message names it.
        groups: The photo that each member was cut from; None where it is not known.
        limit: The largest number of images. They are taken in turn from each class, one of each given part first, in
            the order of a hash of their paths, so that they are the same on every machine, and that a larger limit
            keeps the images of a smaller one. None takes all.
        account: The files that were left out when the members were listed. Those that may be images count as files
            that cannot be used.
        parts: The part of each member, "train", "val" or "test"; None where the dataset comes without a split.
        missing: The classes that have no images, in a dataset of one class.

    Raises:
        ConfigError: `on_bad_file` is neither "error" nor "skip".
        DataError: Files cannot be used, a class has no images, or the limit is below the number of classes.

    Example:

    >>> from crackexp.data.synthetic import draw_dataset
    >>> draw_dataset(Path("patches"), count=4, seed=0, size=32)
    >>> members = [(f"{name}/{number:05}.jpg", name) for name in ("Negative", "Positive") for number in (1, 2)]
    >>> len(build_index(Path("patches"), members, positive="Positive", cache=Path("cache")))
    4
    """
    if on_bad_file not in ("error", "skip"):
        raise ConfigError(f"on_bad_file is either error or skip. Received: dataset.on_bad_file={on_bad_file}")
    account = Account() if account is None else account
    order = sorted(range(len(members)), key=lambda i: members[i][0])
    class_names = tuple(sorted({*missing, *(name for _, name in members)}))
    index = ImageIndex(
        root=Path(root),
        files=np.array([members[i][0] for i in order], dtype=str),
        labels=np.array([class_names.index(members[i][1]) for i in order], dtype=np.int32),
        digests=np.full(len(order), "", "<U32"),
        class_names=class_names,
        positives=tuple(name for name in class_names if name in positives_of(positive)),
        groups=None if groups is None else np.array([groups[i] for i in order], dtype=str),
        parts=None if parts is None else np.array([parts[i] for i in order], dtype=str),
        account=account,
    )
    if limit is not None:
        rows = _limited(index, [name for name in class_names if name not in missing], limit)
        account.ignored.update({"beyond dataset.limit": len(index) - len(rows)})
        index = index.subset(rows)
    if not index.positives and len(class_names) > 1:
        raise DataError(f"The positive class is none of {', '.join(class_names)}. Received: {positive} for {root}")
    checked = check_files(root, index.files, Path(cache) / "index")
    linked = links_across_classes(root, index.files, index.labels, checked, class_names)
    for row, (file, one) in enumerate(zip(index.files.tolist(), checked, strict=True)):
        if row in linked:
            account.leave_out(file, *linked[row])
        elif one.reason is None:
            account.doubt(file, one.doubts)
        else:
            account.leave_out(file, one.reason)
    if account.exit_status:
        _report_bad_files(root, account, Path(cache) / "index", on_bad_file)
    good = np.array([one.reason is None and row not in linked for row, one in enumerate(checked)], dtype=bool)
    for row, name in enumerate(class_names):
        if name not in missing and not np.any(index.labels[good] == row):
            raise DataError(f"The class {name} has no usable image. Received: {root}")
    index = replace(index, digests=np.array([one.digest for one in checked], dtype="<U32")).subset(good)
    account.used = len(index)
    for row, reason in contradictions(index.files, index.labels, index.digests, class_names):
        account.doubt(str(index.files[row]), [reason])
    return index


def _limited(index: ImageIndex, class_names: Sequence[str], limit: int) -> np.ndarray:
    """Returns the rows that a limit leaves, (m,) int, see `build_index`; `class_names` are the classes with images."""
    files, labels, parts = index.files, index.labels, index.parts
    given = [] if parts is None else np.unique(parts).tolist()
    if limit < (least := len(class_names) * max(len(given), 1)):
        raise DataError(
            f"A limit leaves at least one image a class, and of each given part: type {least} or more for "
            f"{', '.join([*class_names, *given])}. Received: dataset.limit={limit}"
        )
    hashes = np.array([hashlib.blake2b(os.fsencode(str(file))).hexdigest() for file in files])
    turn = np.empty(len(files), dtype=np.int64)
    for row in np.unique(labels):
        mine = np.flatnonzero(labels == row)
        mine = mine[np.argsort(hashes[mine])]
        if parts is not None:
            first = mine[np.unique(parts[mine], return_index=True)[1]]
            mine = np.concatenate([first, mine[~np.isin(mine, first)]])
        turn[mine] = np.arange(len(mine))
    return np.sort(np.lexsort((labels, turn))[:limit])


def _report_bad_files(root: Path, account: Account, folder: Path, on_bad_file: str) -> None:
    """Writes a table of the files that cannot be used; raises DataError, or logs a warning where they are skipped."""
    bad = sorted((one.file, one.reason) for one in account.left_out if one.may_be_image)
    report = folder / f"bad-files-{root_key(root)}.csv"
    import pandas as pd  # takes half a second, which --help and refusals do not wait for

    rows = [(visible(file), visible(reason)) for file, reason in bad]
    write_text(report, csv_text(pd.DataFrame(rows, columns=["file", "reason"])))

    count = f"{len(bad)} image file{'s' if len(bad) > 1 else ''}"
    if on_bad_file == "skip":
        _log.warning("left out %s of %s that cannot be used, listed in %s", count, visible(str(root)), report)
        return
    lines = [f"  {on_one_line(f'{file}: {reason}')}" for file, reason in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"  and {len(bad) - _SHOWN} more")
    raise DataError(
        "\n".join([f"{count} cannot be used:", *lines]) + f"\nAll of them are listed in {report}. Mend or delete "
        f"them, or leave them out with dataset.on_bad_file=skip. Received: {root}"
    )
