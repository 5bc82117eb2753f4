"""Renders reports as files: tables as CSV, figures and galleries as PNG, texts as they are, and the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from crackexp.reporting.figures import gallery
from crackexp.reporting.report import Gallery, Picture, Report
from crackexp.utils.csv_text import csv_text
from crackexp.utils.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PAGE = "report.html"
SIDE = 240
"""The side of a picture in the PNG file of a gallery, in pixels."""


class Logger(Protocol):
    """The methods of a logger that `log` calls."""

    def log_text(self, text: str, path: str) -> None: ...

    def log_figure(self, figure: "Drawing", path: str) -> None: ...


def texts(report: Report) -> Iterator[tuple[str, str]]:
    """Yields the path and the content of each file of text: the tables that have a path, and all `Section.files`."""
    for section in report.sections:
        for table in section.tables:
            if table.path:
                yield table.path, csv_text(table.frame())
        for path, content in section.files.items():
            yield path, content if isinstance(content, str) else csv_text(content)


def drawings(report: Report) -> Iterator[tuple[str, "Drawing"]]:
    """Yields the path and the drawing of each figure, and of each gallery that has a path."""
    for section in report.sections:
        for figure in section.figures:
            yield figure.path, figure.drawing
        for pictures in section.galleries:
            if pictures.path:
                yield pictures.path, _sheet(pictures)


def log(logger: Logger, report: Report, folder: str = "") -> None:
    """Logs the texts and drawings of a report to a run.

    Args:
        logger: The logger of the run.
        report: The report.
        folder: The artifact folder that the paths in the report are below.
    """
    for path, text in texts(report):
        logger.log_text(text, f"{folder}/{path}".lstrip("/"))
    for path, drawing in drawings(report):
        logger.log_figure(drawing, f"{folder}/{path}".lstrip("/"))


def write(report: Report, folder: Path) -> list[Path]:
    """Writes the texts of a report and its page, `report.html`, to a folder, and returns the files, the page last."""
    from crackexp.reporting.html import page

    files = [*texts(report), (PAGE, page(report))]
    for path, text in files:
        write_text(folder / path, text)
    return [folder / path for path, _ in files]


def _sheet(pictures: Gallery) -> "Drawing":
    """Draws a gallery as a figure."""
    images = np.stack([np.hstack([_square(picture) for picture in card.pictures]) for card in pictures.cards])
    details = [card.details[0] if card.details else "" for card in pictures.cards]
    return gallery(images, [card.title for card in pictures.cards], details, pictures.title)


def _square(picture: Picture) -> np.ndarray:
    assert isinstance(picture.source, np.ndarray), picture.alt
    return cv2.resize(picture.source, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
