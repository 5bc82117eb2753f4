"""What a command tells of its data before it begins, as reports for the terminal."""

from collections.abc import Collection, Mapping

import numpy as np

from crackexp.data.accounting import Account
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.data.splits.leaks import Leaks
from crackexp.data.splits.ratio_split import apart
from crackexp.reporting import Column, Report, Section, Table


def account_report(account: Account) -> Report:
    """Returns how many files were used, left out and doubted, and the names of those of the last two kinds."""
    return Report("Files", _account(account))


def data_report(datamodule: DataModule) -> Report:
    """Returns how many images of each class train, val and test hold, how many of train are from other datasets, and
    how many test images training has seen."""
    index = datamodule.index
    mixed = {f"  of them {one.name}, weight {one.weight:g}": one.train for one in datamodule.mix}
    parts = {"train": datamodule.train, **mixed, "val": datamodule.val, "test": datamodule.test}
    counts = np.array([np.bincount(images.labels, minlength=len(index.class_names)) for images in parts.values()])
    columns = [Column("part", list(parts))]
    for name, count in zip(index.class_names, counts.T.tolist(), strict=True):
        title = f"{name} ({index.classes.defect})" if name in index.positives else name
        columns.append(Column(title, [str(number) for number in count], count, numeric=True))
    title = f"Data, {datamodule.dataset.name}"
    leaks = datamodule.split.leaks
    warnings = leaks_section(leaks, apart(index)) if leaks else []
    return Report(title, [Section(title, tables=[Table(columns)]), *warnings])


def leaks_section(leaks: Leaks, advice: str) -> list[Section]:
    """Returns a warning of test images that training has seen; an empty list where there are none.

    Args:
        leaks: What was found.
        advice: What to type so that there are none.
    """
    seen = [f"{leaks.copies:,} have a copy in train"] if leaks.copies else []
    seen += [f"{leaks.photos:,} are patches of a photo that is in train too"] if leaks.photos else []
    text = (
        f"Of {leaks.tested:,} test images {' and '.join(seen)}: their score says how well training is remembered. "
        f"Type {advice} to keep them apart."
    )
    return [Section(sentences=[text], tone="warning")] if seen else []


def seen_report(name: str, index: ImageIndex, seen: Collection[str] | None) -> Report:
    """Returns how many images that a model is tested on it was trained on or chosen by.

    Args:
        name: The name of the dataset.
        index: The images of the dataset.
        seen: The digests of the images in the model's train and val; None where they are not known.
    """
    sentences = []
    count = int(np.isin(index.digests, list(seen or ())).sum())
    if count:
        sentences.append(f"{count:,} of the {len(index):,} images of {name} stand in the model's train or val.")
    if seen is None:
        sentences.append("Which images the model was trained on is not known: its run keeps no list of them.")
    return Report(name, [Section(sentences=sentences)])


def others_report(others: Mapping[str, ImageIndex], left_out: Mapping[str, int]) -> Report:
    """Returns how many images the other datasets hold, and how many of theirs are left out.

    Args:
        others: The images of each dataset, by its name.
        left_out: The number of images that are left out of each dataset, for they stand in train or val.
    """
    sections = []
    for name, index in others.items():
        told = f"Also {name}: {len(index):,} images, {index.damaged.sum():,} {index.classes.defect.adjective}"
        told += f"; left out {left_out[name]:,} that stand in train or val" if left_out[name] else ""
        sections += [Section(sentences=[told]), *_account(index.account)]
    return Report("Other datasets", sections)


def _account(account: Account) -> list[Section]:
    first, *remarks = account.text().splitlines()
    return [Section(sentences=[first]), Section(sentences=remarks, tone="warning")]
