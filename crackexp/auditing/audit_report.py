"""The report of an audit: the findings, pictures of the worst cases, and all tables as files."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pandas as pd

from crackexp.auditing.findings import MEASURED, Audit, Finding
from crackexp.data.images.decode import load_image
from crackexp.data.index import ImageIndex
from crackexp.reporting import Card, Column, Gallery, Picture, Report, Section, Table
from crackexp.reporting.artifacts import SIDE
from crackexp.reporting.formatting import counted
from crackexp.utils.names import visible
from crackexp.utils.pictures import shrink

EXTREMES = 4
"""The number of images that are shown for each extreme of brightness and sharpness."""


def audit_report(name: str, how: str, index: ImageIndex, audit: Audit, shown: int) -> Report:
    """Returns the report of an audit.

    Args:
        name: The name of the dataset.
        how: A line that says how the dataset was audited.
        index: The images.
        audit: The result of the audit.
        shown: The largest number of cards in a gallery.
    """
    title = f"Audit of {name}: {counted(len(index), 'image')}"
    files = {
        "images.csv": audit.images,
        "pairs.csv": audit.pairs,
        "suspects.csv": audit.suspects,
        "outliers.csv": audit.outliers,
        "left_out.csv": audit.left_out,
        "doubts.csv": audit.doubts,
    }
    findings = _findings(audit.findings)
    logged = replace(findings, path="findings.csv")
    sections = [
        Section(tables=[logged, _classes(audit.images)], files=files, media=["html"]),
        Section(title, [finding.text for finding in audit.findings], [findings], media=["terminal"]),
        *_galleries(index, audit, shown),
        *_files("Files that were left out", audit.left_out),
        *_files("Files in doubt", audit.doubts),
    ]
    return Report(title, sections, source=how)


def _findings(findings: list[Finding]) -> Table:
    counts = [finding.count for finding in findings]
    return Table(
        [
            Column("looked for", [finding.title for finding in findings]),
            Column("found", [f"{count:,}" for count in counts], counts, numeric=True),
            Column("what that means", [finding.text for finding in findings], priority=2),
            Column("what to do", [finding.advice if finding.count else "" for finding in findings]),
        ],
        tones=["warning" if count else "muted" for count in counts],
    )


def _classes(images: pd.DataFrame) -> Table:
    """Returns the number of images of each class, in all and in each part of the split."""
    counts = images.groupby("class").agg(all=("file", "size"))
    if "part" in images:
        counts = counts.join(images.groupby(["class", "part"]).size().unstack(fill_value=0)[["train", "val", "test"]])
    numbers = [Column(str(key), [f"{count:,}" for count in column], numeric=True) for key, column in counts.items()]
    return Table([Column("class", [str(name) for name in counts.index]), *numbers])


def _files(title: str, table: pd.DataFrame) -> list[Section]:
    columns = [Column(key, [str(text) for text in table[key]]) for key in ("file", "reason")]
    return [] if table.empty else [Section(title, tables=[Table(columns)], media=["html"])]


def _galleries(index: ImageIndex, audit: Audit, shown: int) -> Iterator[Section]:
    row_of = {visible(file): row for row, file in enumerate(index.files.tolist())}

    def section(
        name: str, title: str, text: str, rows: pd.DataFrame, card: Callable[[dict[str, object]], Card]
    ) -> Iterator[Section]:
        cards = [pictured(card(row)) for row in rows.head(shown).to_dict("records")]
        more = f" The first {len(cards)} of {len(rows):,}; the table has all." if len(rows) > len(cards) else ""
        if cards:
            gallery = Gallery(cards, title, 19 if len(cards[0].pictures) > 1 else 11, f"{name}.png")
            yield Section(title, [f"{text}{more}"], galleries=[gallery], name=name, media=["html"])

    def pictured(card: Card) -> Card:
        """Returns a card with the pixels of its files, and their names as its last line."""
        files = [picture.alt for picture in card.pictures]
        pictures = [Picture(shrink(load_image(index.path(row_of[file])), SIDE), file) for file in files]
        return Card(pictures, card.title, [*card.details, ", ".join(files)])

    pairs, images = audit.pairs, audit.images
    contradicting = pairs[pairs["contradicting"]]
    text = (
        "One of two labels is wrong. The favoured one is that of most copies or, where as many have either, the one "
        "that the other images find more probable. Look at the picture, give both copies its label, and delete neither."
    )
    yield from section("contradictions", "Copies with contradicting labels", text, contradicting, _pair)
    if "part" in pairs:
        across = pairs[pairs["part"] != pairs["mate_part"]].sort_values("similarity", kind="stable")
        yield from section("leaks", "Copies in two parts of the split", "The least alike first.", across, _pair)
    near = pairs[~pairs["contradicting"]].sort_values("similarity", kind="stable")
    text = "The least alike first: judge by them how far to trust the rest."
    yield from section("copies", "Copies", text, near, _pair)
    if not audit.unjudged:
        text = (
            "Each label, an arrow to the class that the image looks like to the others, and how probable they find its "
            f"label. {MEASURED} Look at each picture before you change its label."
        )
        yield from section("suspects", "Suspected labels", text, audit.suspects, _suspect)
        if audit.suspects.empty:
            text = (
                "There are none. A wrong label may still be missed: the column probability of images.csv says how far "
                "the other images confirm each label."
            )
            yield Section("Suspected labels", [text], name="suspects", media=["html"])
    far = images.sort_values("distance", ascending=False, kind="stable").head(max(len(audit.outliers), shown))
    strangers = len(audit.outliers)
    text = f"Outliers: {strangers:,}, shown first." if strangers else "None is an outlier: every set has its farthest."
    yield from section("outliers", "Farthest from any other image", text, far, _outlier)
    ends = [("brightness", True, "dark"), ("brightness", False, "bright"), ("sharpness", True, "blurred")]
    extremes = pd.concat(
        [images.sort_values(key, ascending=rising).head(EXTREMES).assign(end=word) for key, rising, word in ends]
    )
    shown = len(extremes)
    yield from section("extremes", "The darkest, brightest and most blurred", "Every set has them.", extremes, _extreme)


def _pair(row: dict[str, object]) -> Card:
    title = f"{row['class']} / {row['mate_class']}" if row["contradicting"] else f"{row['kind']}"
    parts = f", {row['part']} / {row['mate_part']}" if "part" in row else ""
    kind = f"{row['kind']}, " if row["contradicting"] else ""
    favoured = [f"favoured: {row['favoured']} ({row['favoured_by']})"] if row["favoured"] else []
    return _card([row["file"], row["mate"]], title, f"{kind}{row['similarity']:.2f}{parts}", *favoured)


def _suspect(row: dict[str, object]) -> Card:
    return _card([row["file"]], f"{row['class']} → {row['suspected']}?", f"probability {row['probability']:.2g}")


def _outlier(row: dict[str, object]) -> Card:
    return _card([row["file"]], str(row["class"]), f"distance {row['distance']:.2f}")


def _extreme(row: dict[str, object]) -> Card:
    details = f"brightness {row['brightness']:.0f}, sharpness {row['sharpness']:.0f}"
    return _card([row["file"]], str(row["end"]), details)


def _card(files: list[object], title: str, *details: str) -> Card:
    """Returns a card of images that have not been read yet, with their files instead of pixels."""
    return Card([Picture(str(file), str(file)) for file in files], title, details)
