"""Reports as JSON files, from which they are rendered again with something added."""

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from crackexp.reporting.report import Card, Column, Gallery, Label, Overlay, Picture, Report, Section, Table
from crackexp.utils.errors import DamagedFileError
from crackexp.utils.files import write_text

FILE = "report.json"
"""The name of the file, beside the page of the report."""
_KINDS: Mapping[str, type] = {
    kind.__name__: kind for kind in (Card, Column, Gallery, Label, Overlay, Picture, Report, Section, Table)
}


def write(report: Report, folder: Path) -> Path:
    """Writes a report to a folder, with its pictures but without what it logs beside the page, and returns the file.

    Args:
        report: A report without figures, whose pictures are bytes of files or paths.
        folder: The folder of the page of the report.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = write(Report("Walls", [Section("North", ["One crack."])]), folder)
    >>> read(folder).sections[0].sentences
    ['One crack.']
    """
    write_text(folder / FILE, json.dumps(_plain(report), default=lambda number: number.item(), ensure_ascii=False))
    return folder / FILE


def read(folder: Path) -> Report:
    """Returns the report in a folder.

    Raises:
        FileNotFoundError: There is none.
        DamagedFileError: It is not as it was written.
    """
    file = folder / FILE
    try:
        report = _built(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedFileError(f"The report is not as it was written: {error}. Received: {file}") from None
    if not isinstance(report, Report):
        raise DamagedFileError(f"The report is not as it was written. Received: {file}")
    return report


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        kept = {field.name: getattr(value, field.name) for field in fields(value) if field.name != "files"}
        return {"kind": type(value).__name__, **{name: _plain(one) for name, one in kept.items()}}
    if isinstance(value, bytes):
        return {"kind": "bytes", "base64": base64.b64encode(value).decode()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return [_built(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value["kind"] == "bytes":
        return base64.b64decode(value["base64"])
    return _KINDS[value["kind"]](**{name: _built(one) for name, one in value.items() if name != "kind"})
