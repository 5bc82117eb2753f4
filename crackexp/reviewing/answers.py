"""The answers of a person to a proposal, which are on disk as soon as they are given."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from crackexp.data.annotations.writing import LabelledImage, write_cvat
from crackexp.data.classes.decisions import SOUND, UNSURE
from crackexp.reviewing.proposal import Proposal
from crackexp.utils.csv_text import csv_text
from crackexp.utils.errors import DataError
from crackexp.utils.files import replacing
from crackexp.utils.names import on_one_line

TABLE = "labels.csv"
"""The table of the answers: file, label and group, the photo. ``dataset=folder`` leaves out those that are unsure."""


class Answers:
    """Keeps the answers to a proposal in its folder, as a table of labels and as annotations for CVAT.

    Args:
        folder: The folder of the proposal. Answers that it holds are read.
        proposal: The proposal.

    Raises:
        DataError: The table in the folder has rows that are no answers to the proposal.

    Attributes:
        question: What a person is asked about each patch.
        about: What the page says below that.
        choices: The answers that may be given.
        given: The answer to each patch that was answered, by its number in the proposal.
    """

    comments = False

    def __init__(self, folder: Path, proposal: Proposal) -> None:
        self.folder, self.proposal = folder, proposal
        self.question = f"Does this patch show {proposal.defect.phrase}?"
        self.about = f"Chosen by {proposal.model}. Each answer is kept at once in {folder}."
        self.choices: tuple[str, ...] = (proposal.defect.value, SOUND, UNSURE)
        self.given = self._read()

    def give(self, number: int, answer: str | None, comment: str = "") -> None:
        """Keeps an answer, in place of an earlier one. It is on disk when this returns.

        Args:
            number: The number of the patch in the proposal.
            answer: One of `choices`.
            comment: Patches take no comment, so it is empty.

        Raises:
            ValueError: It is none of them, or there is no such patch, or there is a comment.
            OSError: It cannot be written; then the answers are as before.
        """
        if answer not in self.choices or not 0 <= number < len(self.proposal.patches) or comment:
            raise ValueError(f"An answer is one of {', '.join(self.choices)}. Received: {answer} to patch {number}")
        given = dict(sorted({**self.given, number: answer}.items()))
        self._write(given)
        self.given = given
        self.write_annotations()

    @property
    def are_complete(self) -> bool:
        """Whether all patches are answered."""
        return len(self.given) == len(self.proposal.patches)

    def __str__(self) -> str:
        counts = Counter(self.given.values())
        told = ", ".join(f"{counts[choice]} {choice}" for choice in self.choices)
        return f"{len(self.given)} of {len(self.proposal.patches)} patches answered: {told}"

    def items(self) -> list[dict[str, Any]]:
        """Returns what the page shows of each patch. It hides what is told until the patch is answered."""
        return [
            {
                "name": f"{patch.photo}, at {patch.box[0]}, {patch.box[1]}",
                "told": f"{self.proposal.defect} with probability {patch.probability:.2f}",
                "frame": patch.frame,
                "answer": self.given.get(number),
                "comment": "",
            }
            for number, patch in enumerate(self.proposal.patches)
        ]

    def picture(self, number: int, kind: str) -> bytes:
        """Returns the picture of a patch, "patch", or of its "surroundings", as a PNG or JPEG file.

        Raises:
            IndexError: There is no such patch.
            FileNotFoundError: The folder has lost the picture.
        """
        patch = self.proposal.patches[number]
        return (self.folder / (patch.file if kind == "patch" else patch.surroundings)).read_bytes()

    def write_annotations(self) -> None:
        """Writes all patches as images of CVAT, with tags where they are answered."""
        images = [
            LabelledImage(patch.file, patch.box[2] - patch.box[0], patch.box[3] - patch.box[1], self.given.get(number))
            for number, patch in enumerate(self.proposal.patches)
        ]
        write_cvat(self.folder / "annotations.xml", images, "annotations")

    def _write(self, given: dict[int, str]) -> None:
        patches = self.proposal.patches
        rows = [(patches[number].file, answer, patches[number].photo) for number, answer in given.items()]
        with replacing(self.folder / TABLE, lasting=True) as temporary:
            temporary.write_text(csv_text(pd.DataFrame(rows, columns=["file", "label", "group"])), encoding="utf-8")

    def _read(self) -> dict[int, str]:
        table = self.folder / TABLE
        if not table.exists():
            return {}
        number_of = {patch.file: number for number, patch in enumerate(self.proposal.patches)}
        given: dict[int, str] = {}
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            for row in reader:
                file, label = row.get("file"), row.get("label")
                if file not in number_of or label not in self.choices:
                    raise DataError(
                        f"Line {reader.line_num} of {table} is no answer to this review: its file must be one of the "
                        f"patches, and its label {', '.join(self.choices)}. Correct the row, or type another "
                        f"out=FOLDER. Received: {on_one_line(f'{file},{label}')}"
                    )
                given[number_of[file]] = label
        return given
