"""The findings of an audit of a dataset, as tables and sentences."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crackexp.auditing.labels import distances, far_out, favoured, out_of_fold, suspects, unrecognised
from crackexp.data.accounting import DOUBTED, LEFT_OUT
from crackexp.data.duplicates import IDENTICAL, Duplicates
from crackexp.data.index import PARTS, ImageIndex
from crackexp.data.splits.grouped_split import together
from crackexp.data.splits.ratio_split import apart
from crackexp.data.splits.split_folder import SplitDataset
from crackexp.data.thumbnails import Thumbnails
from crackexp.reporting.formatting import counted
from crackexp.utils.names import visible

RARE = 0.2
"""A class is called rare where it has less than this share of the images of the largest class."""
MEASURED = (
    "In a measurement with 1% of the labels flipped, all of the listed labels were wrong in a dataset of photographed "
    "patches, and 75% in a harder, drawn one; 19% and 29% of the flipped labels were missed."
)
"""What a list of suspects is worth, as measured by `experiments/audit_labels`."""


@dataclass(frozen=True)
class Finding:
    """A kind of problem that an audit looks for.

    Attributes:
        name: The name of its metric, such as "copies".
        title: The title, a few words.
        count: The number of times that the problem was found.
        text: A sentence about the result.
        advice: What the user should do about it.
    """

    name: str
    title: str
    count: int
    text: str
    advice: str


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Columns of the tables whose values are not known are left out.

    Attributes:
        images: A data frame with a row for each image and these columns: file, class, part, photo, height, width,
            brightness (0 to 255), contrast, sharpness, copy_of (the first of its copies), copies (the number of copies,
            the image included), distance, outlier, probability (of its class, as predicted from other images),
            suspected (the class that it looks like, where its label is suspected), suspect_rank (1 for the most likely
            wrong label).
        pairs: A data frame with a row for each pair of copies, those with contradicting classes first, and these
            columns: file, mate, class, mate_class, kind, similarity, contradicting, favoured (the label to
            prefer where two contradict each other; see `crackexp.auditing.labels.favoured`), favoured_by (why), part,
            mate_part.
        left_out: A data frame with a row for each file that was not used: file, reason.
        doubts: A data frame with a row for each doubt about a file that was used: file, reason.
        findings: The findings, the most urgent first.
        unjudged: Why labels could not be judged; empty if they were.
    """

    images: pd.DataFrame
    pairs: pd.DataFrame
    left_out: pd.DataFrame
    doubts: pd.DataFrame
    findings: list[Finding]
    unjudged: str

    @property
    def suspects(self) -> pd.DataFrame:
        """The rows of `images` whose label is probably wrong, the most likely ones first."""
        return self.images[self.images["suspect_rank"].notna()].sort_values("suspect_rank", kind="stable")

    @property
    def outliers(self) -> pd.DataFrame:
        """The rows of `images` that are unlike all others, those with the largest distance first."""
        return self.images[self.images["outlier"]].sort_values("distance", ascending=False, kind="stable")


def audit_images(
    index: ImageIndex,
    looks: Thumbnails,
    copies: Duplicates,
    split: SplitDataset | None,
    embeddings: np.ndarray,
    seed: int,
) -> Audit:
    """Audits a dataset.

    Args:
        index: The n images.
        looks: The thumbnails of the images.
        copies: The copies among the images.
        split: The split for training; None for none, which is not audited then.
        embeddings: The embeddings of the images, (n, d) float32.
        seed: The seed of the folds.
    """
    images = _images(index, looks, copies, split)
    images["distance"] = distances(embeddings, copies.groups)
    images["outlier"] = far_out(images["distance"].to_numpy())
    images["suspected"], images["suspect_rank"] = "", pd.Series(np.nan, index=images.index)
    probabilities = out_of_fold(embeddings, index.labels, together(index, copies, photos=True), seed)
    names = np.asarray(index.class_names)
    unjudged = ""
    if probabilities is None:
        unjudged = "a class has too few groups of images that are independent of each other"
    else:
        images["probability"] = probabilities[np.arange(len(index)), index.labels]
        if len(missed := unrecognised(index.labels, probabilities)):
            unjudged = f"too few images of {' and of '.join(names[missed])} are recognised by the others"
    if probabilities is not None and not unjudged:
        rows = suspects(index.labels, probabilities)
        images.loc[rows, "suspected"] = names[probabilities[rows].argmax(axis=1)]
        images.loc[rows, "suspect_rank"] = np.arange(1, len(rows) + 1)
    proposed = favoured(index.labels, copies.groups, None if unjudged else probabilities)
    pairs = _pairs(index, copies, images, proposed)
    accounted = index.account.table()
    left_out, doubts = (
        accounted.loc[accounted["fate"] == fate, ["file", "reason"]].reset_index(drop=True)
        for fate in (LEFT_OUT, DOUBTED)
    )
    audit = Audit(images, pairs, left_out, doubts, [], unjudged)
    audit.findings.extend(_findings(index, audit, split))
    return audit


def _images(index: ImageIndex, looks: Thumbnails, copies: Duplicates, split: SplitDataset | None) -> pd.DataFrame:
    files = _shown(index)
    images = pd.DataFrame({"file": files, "class": np.asarray(index.class_names)[index.labels]})
    if split is not None:
        part_of = {file: part for part in PARTS for file in getattr(split, part).files.tolist()}
        images["part"] = [part_of[file] for file in index.files.tolist()]
    if index.groups is not None:
        images["photo"] = index.groups
    images["height"], images["width"] = looks.shapes.T
    images["brightness"] = [picture.mean() for picture in looks.pictures]
    images["contrast"] = [picture.std() for picture in looks.pictures]
    images["sharpness"] = looks.sharpness
    images["copy_of"], images["copies"] = files[copies.groups], copies.sizes
    return images


def _shown(index: ImageIndex) -> np.ndarray:
    """Returns the files of `index` as they are written in tables."""
    return np.array([visible(file) for file in index.files.tolist()])


def _pairs(
    index: ImageIndex, copies: Duplicates, images: pd.DataFrame, proposed: Mapping[int, tuple[int, str]]
) -> pd.DataFrame:
    first, second = copies.pairs.T
    files = _shown(index)
    pairs = pd.DataFrame({"file": files[first], "mate": files[second]})
    for column in ("class", "part"):
        if column in images:
            pairs[column] = images[column].to_numpy()[first]
            pairs[f"mate_{column}"] = images[column].to_numpy()[second]
    pairs["kind"], pairs["similarity"] = copies.kinds, copies.similarity
    pairs["contradicting"] = index.labels[first] != index.labels[second]
    of_pair = [
        proposed.get(group) if contradicting else None
        for group, contradicting in zip(copies.groups[first].tolist(), pairs["contradicting"], strict=True)
    ]
    pairs["favoured"] = [index.class_names[one[0]] if one else "" for one in of_pair]
    pairs["favoured_by"] = [one[1] if one else "" for one in of_pair]
    return pairs.sort_values(["contradicting", "similarity"], ascending=False, kind="stable").reset_index(drop=True)


def _findings(index: ImageIndex, audit: Audit, split: SplitDataset | None) -> list[Finding]:
    count, images, pairs = len(index), audit.images, audit.pairs
    advised = f"train with {apart(index)}"
    copied = int((images["copies"] > 1).sum())
    contradicting, doubted = int(pairs["contradicting"].sum()), index.account.counts["doubted"]
    torn = images[images["file"].isin(pairs.loc[pairs["contradicting"], ["file", "mate"]].to_numpy().ravel())]
    unreadable = sum(file.may_be_image for file in index.account.left_out)
    identical = int((pairs["kind"] == IDENTICAL).sum())
    findings = [
        Finding(
            "unreadable",
            "unreadable files",
            unreadable,
            f"Not readable as images: {_some(unreadable, 'file')}.",
            "mend or delete those in left_out.csv, or train with dataset.on_bad_file=skip",
        ),
        Finding(
            "doubted",
            "doubted files",
            doubted,
            f"Odd, but used: {_some(doubted, 'file')}.",
            "look at them, and at the reasons in doubts.csv",
        ),
        Finding(
            "contradictions",
            "contradicting labels",
            contradicting,
            f"One picture in two classes: {_some(contradicting, 'pair')} of copies.",
            "give both copies the label that the picture shows, and delete neither; where there is reason to, the "
            f"column favoured of pairs.csv proposes one{_tested(torn, 'so scores from before are not comparable')}",
        ),
    ]
    if split is not None and split.leaks is not None:
        leaks = split.leaks
        seen = max(leaks.copies, leaks.photos or 0)
        photos = f", and {leaks.photos:,} are patches of a photo that is in train too" if leaks.photos else ""
        copied_to = f"{leaks.copies:,} have a copy" if leaks.copies else "none has a copy"
        text = f"Of {counted(leaks.tested, 'test image')} of this split {copied_to} in train{photos}."
        findings.append(Finding("leaks", "test images seen in training", seen, text, advised))
    text = "No image has a copy."
    if copied:
        text = f"Of {count:,} images {copied:,} ({copied / count:.1%}) have a copy; to the byte: "
        text += f"{_some(identical, 'file')}."
    findings.append(Finding("copies", "images with a copy", copied, text, advised))
    if index.groups is not None:
        sizes = images["photo"].value_counts()
        largest = counted(int(sizes.iloc[0]), "patch", "patches")
        text = f"Cut from {counted(len(sizes), 'photo')}, the largest into {largest}."
        findings.append(Finding("photos", "photos that patches share", int((sizes > 1).sum()), text, advised))
    suspected, strangers = len(audit.suspects), len(audit.outliers)
    listed = f"{counted(suspected, 'label')} ({suspected / count:.1%})" if suspected else "no label"
    text = f"The other images clearly contradict {listed}. {MEASURED}"
    if audit.unjudged:
        text = f"Labels were not judged: {audit.unjudged}."
    advice = (
        "look at them in the order of suspects.csv; change a label only where the picture says so, and keep the image"
    )
    findings.append(Finding("suspects", "suspected labels", suspected, text, advice))
    text = f"Far from all others: {_some(strangers, 'image')}."
    advice = "look at them in the order of outliers.csv, and leave out what does not show concrete"
    advice += _tested(audit.outliers, "where that changes what the scores are about")
    findings.append(Finding("outliers", "outliers", strangers, text, advice))
    counts = images["class"].value_counts()
    balance = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    rare = int((counts < RARE * counts.max()).sum())
    findings.append(
        Finding("rare_classes", "rare classes", rare, f"{balance}.", "train with trainer.class_weight=balanced")
    )
    sizes = images.groupby(["width", "height"]).size().sort_values(ascending=False)
    listed = ", ".join(f"{number:,} of {width} x {height}" for (width, height), number in sizes[:3].items())
    squeezed = int((images["width"] != images["height"]).sum())
    more = f" and {counted(len(sizes) - 3, 'more size')}" if len(sizes) > 3 else ""
    text, advice = f"{listed}{more} pixels.", "they are squeezed into squares: cut them into square patches"
    findings.append(Finding("not_square", "images that are not square", squeezed, text, advice))
    return findings


def _tested(images: pd.DataFrame, consequence: str) -> str:
    """Returns how many of some images are in test, with what that means; "" where none is or there is no split."""
    count = int((images["part"] == "test").sum()) if "part" in images else 0
    return f"; {counted(count, 'of the images is', 'of the images are')} in test, {consequence}" if count else ""


def _some(count: int, noun: str) -> str:
    return counted(count, noun) if count else "none"
