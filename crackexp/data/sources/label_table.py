"""Tables of labels: ``file,label[,split][,group]``, or a column for each class."""

import codecs
import csv
import os
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import UNSURE
from crackexp.data.files.listing import is_file
from crackexp.data.sources.part_folders import part_of
from crackexp.utils.errors import DataError

_COLUMNS = {
    "file": ("file", "filename", "filepath", "path", "image", "imagefile", "imagename", "imagepath", "img"),
    "label": ("label", "class", "classname", "category", "target"),
    "split": ("split", "part", "subset", "partition"),
    "group": ("group", "photo"),
}
_DELIMITERS = ",;\t"
_SHOWN = 20


class Labelled(NamedTuple):
    """A row of a table of labels.

    Attributes:
        line: The line of the table on which the row ends, or the place of the image in an export, from 1.
        file: The path of the image, absolute.
        label: The name of its class.
        part: "train", "val" or "test"; None where the table has no such column.
        group: The photo that the patch was cut from; None where the table has no such column.
    """

    line: int
    file: Path
    label: str
    part: str | None
    group: str | None


def shown(problems: Sequence[str]) -> str:
    """Returns the first problems of a file of labels, a line each, and how many more there are."""
    lines = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
    return lines + (f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else "")


def or_skip(missing: int) -> str:
    """Returns what else can be done where `missing` files of labels are not there, for the end of a sentence."""
    return ", or leave missing files out with dataset.on_bad_file=skip" if missing else ""


def read_labels(
    table: Path, files_must_exist: bool, account: Account, classes: Sequence[str] | None = None
) -> list[Labelled]:
    """Reads a table of labels.

    The first row names the columns, in any order and case; commas, semicolons and tabs separate them. A column
    ``file`` (or filename, path, image) holds paths that are absolute or relative to the folder of the table. A column
    ``label`` (or class, category, target) holds the name of the class; without one, every other column is a class,
    with 1 where the image belongs to it and 0 elsewhere. The columns ``split`` and ``group`` (or photo) may be left
    out. The text is UTF-8, or UTF-16 with its mark. An image without a label, or with the label "unsure", has no class.

    Args:
        table: The file.
        files_must_exist: Whether a row whose file does not exist is refused.
        account: The account in which images are noted that have no class, each with the reason.
        classes: The classes that count; "unsure" is one if it is among them. None for all.

    Returns:
        The rows of images with a class, in their order; of equal rows for one image, the first.

    Raises:
        DataError: The table cannot be read, or rows are wrong; each is named by its line.
    """
    header, *rows = _cells(table)
    columns = _columns(table, header[1])
    rows_by_file: dict[str, Labelled] = {}
    problems: list[str] = []
    missing = 0
    for line, cells in rows:
        try:
            row = _row(table, header[1], columns, line, cells)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        first = rows_by_file.setdefault(os.path.realpath(row.file), row)
        name = row.file.name if first.file == row.file else f"{row.file}, by a link the same file as {first.file},"
        if first.label != row.label:
            here, there = (label or "without a label" for label in (row.label, first.label))
            problems.append(f"line {line}: {name} is {here} here and {there} on line {first.line}")
        elif first[3:] != row[3:]:
            problems.append(
                f"line {line}: {name} has the split and group {row.part or ''} {row.group or ''} here, and "
                f"{first.part or ''} {first.group or ''} on line {first.line}"
            )
        elif first is row and files_must_exist and not is_file(row.file):
            problems.append(f"line {line}: the file {row.file} does not exist")
            missing += 1
    if problems:
        raise DataError(
            f"{'A row' if len(problems) == 1 else f'{len(problems)} rows'} of the table of labels "
            f"{'is' if len(problems) == 1 else 'are'} wrong:{shown(problems)}\nPaths are relative to the folder of "
            f"the table. Correct the rows{or_skip(missing)}. Received: {table}"
        )
    if not rows_by_file:
        raise DataError(f"The table of labels has no rows below its header. Received: {table}")
    labelled = []
    for row in rows_by_file.values():
        if reason := _without_class(row.label, classes):
            file = os.path.relpath(row.file, table.absolute().parent).replace(os.sep, "/")
            account.leave_out(file, reason, may_be_image=False)
        else:
            labelled.append(row)
    if not labelled:
        raise DataError(f"The table of labels has no row with a class: all are empty or unsure. Received: {table}")
    return labelled


def _without_class(label: str, classes: Sequence[str] | None) -> str | None:
    """Returns the reason why an image with this label has no class; None if it has one."""
    if not label:
        return "it has no label"
    return "the answer is unsure" if label.casefold() == UNSURE and label not in (classes or ()) else None


def _cells(table: Path) -> list[tuple[int, list[str]]]:
    """Returns (line, stripped cells) of each row that is not empty, the header first."""
    text = _text(table)
    header = next((line for line in text.splitlines() if line.strip()), "")
    if not header:
        raise DataError(f"The table of labels is empty. Received: {table}")
    known = {name for names in _COLUMNS.values() for name in names}
    delimiter = max(_DELIMITERS, key=lambda mark: (sum(_letters(c) in known for c in header.split(mark)), mark == ","))
    reader = csv.reader(StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} of the table of labels: {error}. Received: {table}") from error
    return [(line, cells) for line, cells in rows if any(cells)]


def _text(table: Path) -> str:
    try:
        data = table.read_bytes()
    except OSError as error:
        raise DataError(f"The table of labels cannot be read ({error.strerror}). Received: {table}") from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"Line {line} of the table of labels is not UTF-8. Save the table as CSV in UTF-8. Received: {table}"
        ) from error


def _columns(table: Path, header: Sequence[str]) -> dict[str, int]:
    """Returns the number of each column that is known by its name."""
    columns: dict[str, int] = {}
    for role, names in _COLUMNS.items():
        places = [place for place, cell in enumerate(header) if _letters(cell) in names]
        if len(places) > 1:
            named = ", ".join(header[place] for place in places)
            raise DataError(f"Several columns could hold the {role}: {named}. Keep one of them. Received: {table}")
        if places:
            columns[role] = places[0]
    classes = len(header) - len(columns)
    if "file" not in columns or ("label" not in columns and classes < 2):
        raise DataError(
            "The first row of a table of labels must name the columns file and label, and may name split and group. "
            f"Here it is {', '.join(header)}. Received: {table}"
        )
    return columns


def _row(table: Path, header: Sequence[str], columns: dict[str, int], line: int, cells: Sequence[str]) -> Labelled:
    """Reads one row; raises ValueError that says what is wrong with it."""
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells instead of {len(header)}")
    if not cells[columns["file"]]:
        raise ValueError("no file")
    if "\0" in cells[columns["file"]]:
        raise ValueError("a null character in the path of the file")
    label = cells[columns["label"]] if "label" in columns else _marked(header, columns, cells)
    part = group = None
    if "split" in columns:
        part = part_of(cells[columns["split"]])
        if part is None:
            raise ValueError(f"the split is none of train, val and test but {cells[columns['split']] or 'empty'}")
    if "group" in columns:
        group = cells[columns["group"]]
        if not group:
            raise ValueError("no group")
    return Labelled(line, _place(table.parent, cells[columns["file"]]), label, part, group)


def _marked(header: Sequence[str], columns: dict[str, int], cells: Sequence[str]) -> str:
    """Returns the class whose column holds the only 1."""
    others = [place for place in range(len(header)) if place not in columns.values()]
    marks = {header[place]: cells[place] for place in others}
    if odd := [f"{name}={mark}" for name, mark in marks.items() if mark not in ("0", "1")]:
        raise ValueError(f"without a column label, the column of a class must hold 0 or 1: {odd[0]}")
    chosen = [name for name, mark in marks.items() if mark == "1"]
    if len(chosen) != 1:
        raise ValueError(f"an image must have one class, not {len(chosen)}: {', '.join(chosen) or 'none'}")
    return chosen[0]


def _place(folder: Path, text: str) -> Path:
    """Returns the absolute path in a cell, also where it is written with the backslashes of Windows."""
    path = folder / Path(text).expanduser()
    if "\\" in text and not is_file(path):
        path = folder / text.replace("\\", "/")
    return Path(os.path.normpath(path.absolute()))


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
