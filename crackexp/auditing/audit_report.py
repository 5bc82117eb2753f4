"""The folder that an audit leaves: tables, and one page with pictures of the worst."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crackexp import __version__
from crackexp.auditing.findings import Audit
from crackexp.csv_text import csv_text
from crackexp.data.decode import load_image
from crackexp.data.index import ImageIndex
from crackexp.data.pixels import resize
from crackexp.files import write_text
from crackexp.names import visible
from crackexp.prediction.overlay import jpeg, shrunk
from crackexp.reporting import figures
from crackexp.templates import render

SIDE = 240
"""Pixels of the longer side of a picture in the page."""
EXTREMES = 4
"""Images of each extreme of light and sharpness in the page."""


@dataclass(frozen=True)
class Card:
    """One image of a section, or two: their files, what stands over and under them."""

    files: list[str]
    title: str
    details: str


@dataclass(frozen=True)
class Section:
    """A heading with a sentence and cards; `count` of all that could be shown."""

    name: str
    title: str
    text: str
    count: int
    cards: list[Card]


class Report:
    """Writes what an audit found.

    Args:
        folder: to write to; made where it is missing.
        index: the images.
        audit: what was found.
        shown: cards a section.

    Attributes:
        page: the report.
        files: written so far.
    """

    def __init__(self, folder: Path, index: ImageIndex, audit: Audit, shown: int) -> None:
        self.folder = folder
        self.page = folder / "report.html"
        self.files: list[Path] = []
        self.sections = [section for section in _sections(audit, shown) if section.cards]
        self._index, self._audit = index, audit
        self._row_of = {visible(file): row for row, file in enumerate(index.files.tolist())}

    def write(self, title: str, how: str) -> None:
        """Writes all tables and the page.

        Args:
            title: of the page: the dataset.
            how: it was looked at, in a line.
        """
        audit = self._audit
        tables: Mapping[str, pd.DataFrame] = {
            "images": audit.images,
            "pairs": audit.pairs,
            "suspects": audit.suspects,
            "outliers": audit.outliers,
            "left_out": audit.left_out,
            "doubts": audit.doubts,
        }
        for name, table in tables.items():
            self._write(self.folder / f"{name}.csv", csv_text(table))
        page = render(
            "crackexp.auditing",
            "audit_report.html",
            title=title,
            how=how,
            count=len(self._index),
            findings=audit.findings,
            sections=self.sections,
            pictures={
                file: self._picture(file) for section in self.sections for card in section.cards for file in card.files
            },
            classes=_classes(audit.images),
            tables={"Files that were left out": audit.left_out, "Files in doubt": audit.doubts},
            version=__version__,
        )
        self._write(self.page, page)

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yields the name and the picture of each section."""
        for section in self.sections:
            images = np.stack([self._side_by_side(card.files) for card in section.cards])
            titles = [card.title for card in section.cards]
            details = [card.details for card in section.cards]
            yield section.name, figures.gallery(images, titles, details, section.title)

    def _side_by_side(self, files: list[str]) -> np.ndarray:
        return np.hstack([resize(self._image(file), SIDE) for file in files])

    def _image(self, file: str) -> np.ndarray:
        return load_image(self._index.path(self._row_of[file]))

    def _picture(self, file: str) -> str:
        return base64.b64encode(jpeg(shrunk(self._image(file), SIDE), 85)).decode()

    def _write(self, file: Path, text: str) -> None:
        write_text(file, text)
        self.files.append(file)


def _sections(audit: Audit, shown: int) -> Iterator[Section]:
    pairs, images = audit.pairs, audit.images
    contradicting = pairs[pairs["contradicting"]]
    yield _section(
        "contradictions", "Copies with contradicting labels", "One of two labels is wrong.", contradicting, shown, _pair
    )
    if "part" in pairs:
        across = pairs[pairs["part"] != pairs["mate_part"]].sort_values("similarity", kind="stable")
        yield _section("leaks", "Copies in two parts of the split", "The least alike first.", across, shown, _pair)
    near = pairs[~pairs["contradicting"]].sort_values("similarity", kind="stable")
    yield _section(
        "copies", "Copies", "The least alike first: judge by them how far to trust the rest.", near, shown, _pair
    )
    if audit.labels_judged:
        doubted = images.sort_values("probability", kind="stable").head(max(len(audit.suspects), shown))
        text = "The probability of its class as other images see it, and an arrow to another one that they see."
        yield _section("suspects", "Least trusted labels", text, doubted, shown, _suspect)
    far = images.sort_values("distance", ascending=False, kind="stable").head(max(len(audit.outliers), shown))
    text = f"Unlike all others; {len(audit.outliers):,} of them stand out."
    yield _section("outliers", "Farthest from any other image", text, far, shown, _outlier)
    ends = [("brightness", True, "dark"), ("brightness", False, "bright"), ("sharpness", True, "blurred")]
    extremes = pd.concat(
        [images.sort_values(key, ascending=rising).head(EXTREMES).assign(end=word) for key, rising, word in ends]
    )
    yield _section(
        "extremes", "The darkest, brightest and most blurred", "Every set has them.", extremes, len(extremes), _extreme
    )


def _section(
    name: str, title: str, text: str, rows: pd.DataFrame, shown: int, card: Callable[[dict[str, object]], Card]
) -> Section:
    return Section(name, title, text, len(rows), [card(row) for row in rows.head(shown).to_dict("records")])


def _pair(row: dict[str, object]) -> Card:
    title = f"{row['class']} / {row['mate_class']}" if row["contradicting"] else f"{row['kind']}"
    parts = f", {row['part']} / {row['mate_part']}" if "part" in row else ""
    kind = f"{row['kind']}, " if row["contradicting"] else ""
    return Card([str(row["file"]), str(row["mate"])], title, f"{kind}{row['similarity']:.2f}{parts}")


def _suspect(row: dict[str, object]) -> Card:
    title = f"{row['class']} → {row['suspected']}" if row["suspected"] else str(row["class"])
    return Card([str(row["file"])], title, f"probability {row['probability']:.2g}")


def _outlier(row: dict[str, object]) -> Card:
    return Card([str(row["file"])], str(row["class"]), f"distance {row['distance']:.2f}")


def _extreme(row: dict[str, object]) -> Card:
    details = f"brightness {row['brightness']:.0f}, sharpness {row['sharpness']:.0f}"
    return Card([str(row["file"])], str(row["end"]), details)


def _classes(images: pd.DataFrame) -> list[dict[str, object]]:
    """Returns the number of images of each class, in all and in each part."""
    counts = images.groupby("class").agg(all=("file", "size"))
    if "part" in images:
        counts = counts.join(images.groupby(["class", "part"]).size().unstack(fill_value=0)[["train", "val", "test"]])
    return list(counts.reset_index().to_dict("records"))
