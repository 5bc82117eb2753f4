"""Tables that are written part by part, and are there whole or not at all: CSV, JSON lines or Parquet."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from crackexp.files import replacing

Write = Callable[[pd.DataFrame], None]


@contextlib.contextmanager
def writing(file: Path) -> Iterator[Write]:
    """Yields a function that adds rows to a table; the file is there once the block has gone well.

    Args:
        file: ends with .csv, .jsonl or .parquet; its folder is made.
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
    return lambda rows: rows.to_csv(file, mode="a", header=not file.exists(), index=False)


def _json_lines(file: Path) -> Write:
    def write(rows: pd.DataFrame) -> None:
        with file.open("a", encoding="utf-8") as stream:
            for row in rows.astype(object).where(rows.notna(), None).to_dict("records"):
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write


def _parquet(file: Path, stack: contextlib.ExitStack) -> Write:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: list[pq.ParquetWriter] = []

    def write(rows: pd.DataFrame) -> None:
        table = pa.Table.from_pandas(rows, preserve_index=False)
        if not writer:
            writer.append(stack.enter_context(pq.ParquetWriter(file, table.schema)))
        writer[0].write_table(table)

    return write
