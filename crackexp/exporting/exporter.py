"""The export of a logged model, whose files are written to a temporary folder, checked, and then moved."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from crackexp.exporting.card import clear_others, facts_of, write_card
from crackexp.exporting.checking import largest_differences
from crackexp.exporting.formats import FORMATS, refusal
from crackexp.exporting.stablehlo_file import write_stablehlo
from crackexp.reporting import Column, Report, Section, Table
from crackexp.tracking.models import LoggedModel
from crackexp.utils.progress import progress
from crackexp.utils.quiet import quiet


@dataclass(frozen=True)
class Exported:
    """An exported file that passed the check.

    Attributes:
        format: The format, a key of `FORMATS`.
        file: The path of the file.
        difference: The largest difference of a probability from that of the classifier, over some synthetic patches.
    """

    format: str
    file: Path
    difference: float


def export_report(exported: Sequence[Exported]) -> Report:
    """Returns a report with the size of each file and the largest difference of its probabilities from the model's."""
    sizes, differences = [item.file.stat().st_size for item in exported], [item.difference for item in exported]
    columns = [
        Column("format", [item.format for item in exported]),
        Column("file", [item.file.name for item in exported]),
        Column("bytes", [f"{size:,}" for size in sizes], sizes, numeric=True),
        Column("difference", [f"{difference:.1e}" for difference in differences], differences, numeric=True),
        Column("read by", [FORMATS[item.format].runtime for item in exported]),
    ]
    return Report("Exported", [Section("Exported", tables=[Table(columns)])])


def export_model(model: LoggedModel, formats: Sequence[str], folder: Path) -> list[Exported]:
    """Writes `model` to `folder` in each of `formats`, with ``model.json``, which says how to use the files.

    The files are moved there after all of them have been read without crackexp and give the probabilities of the
    classifier. The folder holds one model, so the exported files of another one are removed from it.

    Args:
        model: The model, which the formats must be able to hold; see `check_exportable`.
        formats: The formats, which are keys of `FORMATS`.
        folder: The folder, which is created where it does not exist.

    Returns:
        The files, in the order of `FORMATS`.

    Raises:
        UserError: A file cannot be written or read, or gives other probabilities. The folder is unchanged then.
    """
    names = [name for name in FORMATS if name in formats]
    facts = facts_of(model)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as place,
        progress("Exporting", len(names) + 1, "files") as advance,
    ):
        files = {name: Path(place, FORMATS[name].file) for name in names}
        for name, file in files.items():
            _write(name, model.classifier, file, facts)
            advance(1)
        differences = largest_differences(model.classifier, files)
        advance(1)
        kept = clear_others(folder, facts)
        exported = [Exported(name, file.replace(folder / file.name), differences[name]) for name, file in files.items()]
    written = {
        item.file.name: {
            "format": item.format,
            "read_by": FORMATS[item.format].runtime,
            "largest_difference": item.difference,
        }
        for item in exported
    }
    write_card(folder, facts, {**kept, **written})
    return exported


def _write(name: str, classifier: keras.Model, file: Path, facts: Mapping[str, Any]) -> None:
    if name == "onnx":
        with quiet("", "absl"):
            _write_onnx(classifier, file, facts)
    elif name == "stablehlo":
        write_stablehlo(classifier, file)
    else:
        with quiet("absl"):
            classifier.save(file)


def _write_onnx(classifier: keras.Model, file: Path, facts: Mapping[str, Any]) -> None:
    from crackexp.exporting.onnx_file import write_onnx

    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    try:
        write_onnx(classifier, file, texts)
    except Exception as error:  # jax2onnx and ONNX Runtime raise many types of exceptions
        (reason, *_) = str(error).strip().splitlines() or [""]
        raise refusal("onnx", f"cannot be written ({type(error).__name__}: {reason})") from error
