"""Reports for the terminal on the data of a command, which it prints before it begins."""

from collections.abc import Collection, Mapping

import numpy as np

from crackexp.data.accounting import Account
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.data.splits.leaks import Leaks
from crackexp.data.splits.ratio_split import apart
from crackexp.reporting import Column, Report, Section, Table
from crackexp.reporting.formatting import counted


def account_report(account: Account) -> Report:
    """Returns a report on the files that were used, left out and doubted; those left out and doubted are named."""
    return Report("Files", _account(account))


def data_report(datamodule: DataModule) -> Report:
    """Returns a report on the images of each class in train, val and test.

    It has a row for each auxiliary dataset, and a warning of test images that training has seen.
    """
    index = datamodule.index
    mixed = {f"  of them {dataset.name}, weight {dataset.weight:g}": dataset.train for dataset in datamodule.mix}
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
        leaks: The leaks of the split.
        advice: What to type for a split without leaks.
    """
    kinds = [f"{leaks.copies:,} {'has' if leaks.copies == 1 else 'have'} a copy in train"] if leaks.copies else []
    kinds += (
        [f"{leaks.photos:,} {'is a patch' if leaks.photos == 1 else 'are patches'} of a photo that is in train too"]
        if leaks.photos
        else []
    )
    text = (
        f"Of {leaks.tested:,} test images {' and '.join(kinds)}, so the test score is too optimistic. "
        f"Type {advice} to keep them apart."
    )
    return [Section(sentences=[text], tone="warning")] if kinds else []


def seen_report(name: str, index: ImageIndex, seen: Collection[str] | None) -> Report:
    """Returns a report on the test images that are in the model's train or val.

    Args:
        name: The name of the dataset.
        index: The images of the dataset.
        seen: The digests of the images in the model's train and val; None where they are not known.
    """
    sentences = []
    count = int(np.isin(index.digests, list(seen or ())).sum())
    if count:
        verb = "is" if count == 1 else "are"
        sentences.append(f"{count:,} of the {len(index):,} images of {name} {verb} in the model's train or val.")
    if seen is None:
        sentences.append("It is not known which images the model was trained on, since its run has no list of them.")
    return Report(name, [Section(sentences=sentences)])


def others_report(others: Mapping[str, ImageIndex], left_out: Mapping[str, int]) -> Report:
    """Returns a report on the images of the extra datasets, and how many are left out.

    Args:
        others: The images of each dataset, by its name.
        left_out: The number of images of each dataset that are left out, since they are in train or val.
    """
    sections = []
    for name, index in others.items():
        sentence = (
            f"Also {name}: {counted(len(index), 'image')}, {index.damaged.sum():,} {index.classes.defect.adjective}"
        )
        sentence += f"; left out {left_out[name]:,} that are in train or val" if left_out[name] else ""
        sections += [Section(sentences=[sentence]), *_account(index.account)]
    return Report("Other datasets", sections)


def _account(account: Account) -> list[Section]:
    first, *remarks = account.text().splitlines()
    return [Section(sentences=[first]), Section(sentences=remarks, tone="warning")]
