"""Exports a logged model: writes its files aside, has them checked, and puts them in their place."""

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
    """A file that says what the classifier says.

    Attributes:
        format: a key of `FORMATS`.
        file: its path.
        difference: the largest of a probability from the classifier's, over some drawn patches.
    """

    format: str
    file: Path
    difference: float


def export_report(exported: Sequence[Exported]) -> Report:
    """Returns a row for each file: its size, and how far its probabilities are from the model's at most."""
    sizes, differences = [one.file.stat().st_size for one in exported], [one.difference for one in exported]
    columns = [
        Column("format", [one.format for one in exported]),
        Column("file", [one.file.name for one in exported]),
        Column("bytes", [f"{size:,}" for size in sizes], sizes, numeric=True),
        Column("difference", [f"{difference:.1e}" for difference in differences], differences, numeric=True),
        Column("read by", [FORMATS[one.format].runtime for one in exported]),
    ]
    return Report("Exported", [Section("Exported", tables=[Table(columns)])])


def export_model(model: LoggedModel, formats: Sequence[str], folder: Path) -> list[Exported]:
    """Writes `model` into `folder` in each of `formats`, and ``model.json``, which tells how to use the files.

    Files come there once all of them were read without crackexp and found to say what the classifier says. The folder
    holds one model: what an earlier export of another one left there is removed.

    Args:
        model: that the formats can hold, see `check_exportable`.
        formats: keys of `FORMATS`.
        folder: is made.

    Returns:
        The files, in the order of `FORMATS`.

    Raises:
        UserError: a file could not be written, could not be read, or says something else; `folder` is as before.
    """
    names = [name for name in FORMATS if name in formats]
    facts = facts_of(model)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as place,
        progress("Exporting", len(names) + 1) as advance,
    ):
        files = {name: Path(place, FORMATS[name].file) for name in names}
        for name, file in files.items():
            _write(name, model.classifier, file, facts)
            advance(1)
        differences = largest_differences(model.classifier, files)
        advance(1)
        kept = clear_others(folder, facts)
        exported = [Exported(name, file.replace(folder / file.name), differences[name]) for name, file in files.items()]
    told = {
        one.file.name: {
            "format": one.format,
            "read_by": FORMATS[one.format].runtime,
            "largest_difference": one.difference,
        }
        for one in exported
    }
    write_card(folder, facts, {**kept, **told})
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
    except Exception as error:  # jax2onnx and ONNX Runtime raise a dozen types on what they do not know
        (reason, *_) = str(error).strip().splitlines() or [""]
        raise refusal("onnx", f"cannot be written ({type(error).__name__}: {reason})") from error
