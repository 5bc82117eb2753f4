"""Writes tables some rows at a time, as CSV, JSON lines or Parquet. A file appears once it is complete.

Texts in them are valid Unicode (see `visible`), and none in a CSV file is a formula (see `csv_text`).
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from crackexp.data.classes.decisions import CRACK, DAMAGE, UNSURE
from crackexp.reporting.report import Label, Tone
from crackexp.utils.csv_text import csv_text
from crackexp.utils.files import replacing
from crackexp.utils.names import visible

TONES: dict[str, Tone] = {CRACK: "danger", DAMAGE: "danger", UNSURE: "warning"}
"""The tone of each decision in a report."""

Write = Callable[[pd.DataFrame], None]


@contextlib.contextmanager
def writing(file: Path) -> Iterator[Write]:
    """Yields a function that adds rows to a table. The file appears once the `with` block has ended without an error.

    Args:
        file: The file, which ends with .csv, .jsonl or .parquet. Its folder is made if it does not exist.

    Example:

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "table.csv")
    >>> with writing(file) as write:
    ...     write(pd.DataFrame({"path": ["a.jpg"], "probability": [0.5]}))
    >>> file.read_text().splitlines()
    ['path,probability', 'a.jpg,0.5']
    """
    with replacing(file) as temporary, contextlib.ExitStack() as stack:
        match file.suffix.lower():
            case ".csv":
                yield _csv(temporary)
            case ".jsonl":
                yield _json_lines(temporary)
            case ".parquet":
                yield _parquet(temporary, stack)


def _csv(file: Path) -> Write:
    def write(rows: pd.DataFrame) -> None:
        text = csv_text(rows, header=not file.exists())
        with file.open("a", encoding="utf-8", newline="") as stream:
            stream.write(text)

    return write


def _json_lines(file: Path) -> Write:
    def write(rows: pd.DataFrame) -> None:
        with file.open("a", encoding="utf-8") as stream:
            for row in _visible(rows).astype(object).where(rows.notna(), None).to_dict("records"):
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write


def _parquet(file: Path, stack: contextlib.ExitStack) -> Write:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: list[pq.ParquetWriter] = []

    def write(rows: pd.DataFrame) -> None:
        table = pa.Table.from_pandas(_visible(rows), preserve_index=False)
        if not writer:
            writer.append(stack.enter_context(pq.ParquetWriter(file, table.schema)))
        writer[0].write_table(table)

    return write


def _visible(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns `rows` with texts of valid Unicode; only columns of Python objects can hold others."""
    objects = rows.select_dtypes("object")
    return rows.assign(**objects.map(lambda cell: visible(cell) if isinstance(cell, str) else cell))


def counts_text(counts: Mapping[str, int]) -> str:
    """Returns the number of files by decision, in a line each."""
    return "\n".join(f"{name:<12}{count:,}" for name, count in counts.items())


def decision_label(decision: str) -> Label:
    """Returns a decision as a label of a report, in which damage and "unsure" stand out."""
    return Label(decision, TONES.get(decision, ""))
