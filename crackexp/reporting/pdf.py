"""Renders reports as PDF files, for readers who print or send them. Equal reports give equal bytes."""

import io
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import FILL_EVEN_ODD, Canvas
from reportlab.platypus import Flowable, Image, SimpleDocTemplate, Spacer
from reportlab.platypus import Table as Grid

from crackexp.reporting.html import png
from crackexp.reporting.pdf_text import INK, MARGIN, WIDTH, drawable, fonts, paragraph
from crackexp.reporting.report import Card, Column, Gallery, Overlay, Picture, Report, Section, Table, Tone
from crackexp.utils.files import replacing
from crackexp.utils.names import on_one_line
from crackexp.utils.pictures import encode_jpeg, shrink

PAGE = "report.pdf"
REM, GAP, PADDING = 13, 8, 12
"""The points of a rem, in which the width of a card is given, between two cards, and beside the text of a cell."""
DPI = 200
"""The resolution up to which pictures are kept, in pixels per inch."""
MUTED, LINE, MARK, SHADE = map(HexColor, ("#66727f", "#dde2e6", "#d55e00", "#eef6fb"))
COLORS: dict[Tone, Color] = {
    "": INK,
    "primary": HexColor("#0072b2"),
    "secondary": HexColor("#00476e"),
    "danger": HexColor("#a34800"),
    "warning": HexColor("#6d5a00"),
    "muted": MUTED,
}
"""The colors of the tones, as on a page."""

rl_config.useA85 = 0  # pictures as they are, a fifth smaller than as text


def write(report: Report, folder: Path) -> Path:
    """Writes the PDF file of a report, `report.pdf`, to a folder, and returns it."""
    data = render(report, folder)
    with replacing(folder / PAGE) as temporary:
        temporary.write_bytes(data)
    return folder / PAGE


def render(report: Report, folder: Path) -> bytes:
    """Returns a report as a PDF file of A4 pages with the sections of the HTML page.

    Folded sections are open, and of the overlays of a picture the first one is drawn. A character that the font, DejaVu
    Sans, does not have, or that is written from right to left, is shown as an escape, such as ``\\u6f22``.

    Args:
        report: The report.
        folder: The folder of the page, to which the paths of pictures are relative.
    """
    buffer = io.BytesIO()
    about = {
        "title": on_one_line(report.title),
        "author": "crackexp",
        "creator": f"crackexp {version('crackexp')}",
        "lang": "en",
    }
    # Inside of the margins, reportlab leaves 6 points free.
    margins = {f"{side}Margin": MARGIN - 6 for side in ("left", "right", "top", "bottom")}
    document = SimpleDocTemplate(buffer, pagesize=A4, invariant=1, pageCompression=1, **about, **margins)
    number = _numbered(report.title)
    document.build(list(_story(report, folder)), onFirstPage=number, onLaterPages=number)
    return buffer.getvalue()


def _story(report: Report, folder: Path) -> Iterator[Flowable]:
    first, *rest = report.answer or [report.title]
    if report.answer:
        yield paragraph(report.title, color=MUTED)
    yield paragraph(first, size=15, bold=True)
    if report.labels:
        yield paragraph("   ".join(label.text for label in report.labels), color=COLORS[report.labels[0].tone])
    for sentence in rest:
        yield paragraph(f"• {sentence}")
    for note in ("; ".join(filter(None, [report.source, f"crackexp {version('crackexp')}"])), *report.notes):
        yield paragraph(note, size=8, color=MUTED)
    for section in report.shown("html"):
        yield from _section(section, folder)


def _section(section: Section, folder: Path) -> Iterator[Flowable]:
    yield Spacer(0, 8)
    if section.title:
        yield paragraph(section.title, size=12, bold=True)
    for sentence in section.sentences:
        yield paragraph(sentence, size=8.5, color=COLORS[section.tone or "muted"])
    for figure in section.figures:
        wide, high = figure.drawing.get_size_inches()
        width = min(WIDTH, 72 * wide)
        yield Image(io.BytesIO(png(figure.drawing)), width, width * high / wide)
    for table in section.tables:
        if table.title:
            yield paragraph(table.title, bold=True)
        yield _table(table)
    for gallery in section.galleries:
        yield from _gallery(gallery, folder)
    if section.code:
        yield from (paragraph(line, size=8, font="mono") for line in section.code.splitlines())


def _table(table: Table) -> Flowable:
    columns = table.fitting(1)
    style: list[tuple] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 1, LINE),
        ("LINEBELOW", (0, 1), (-1, -1), 0.5, LINE),
    ]
    widths = _widths(columns)
    heads = zip(columns, widths, strict=True)
    rows: list[list[Flowable]] = [
        [paragraph(one.title, 8, MUTED, True, right=one.numeric, width=wide - PADDING) for one, wide in heads]
    ]
    for row in range(len(table.rows)):
        tone = table.tone(row)
        if tone == "primary":
            style.append(("BACKGROUND", (0, row + 1), (-1, row + 1), SHADE))
        cells = zip(columns, widths, strict=True)
        rows.append([_cell(column, row, tone, wide - PADDING) for column, wide in cells])
    return Grid(rows, widths, repeatRows=1, splitInRow=1, style=style, hAlign="LEFT", spaceBefore=4)


def _cell(column: Column, row: int, tone: Tone, width: float) -> Flowable:
    shown = column.tones[row] if column.tones else tone
    bold = shown not in ("", "muted")
    return paragraph(column.texts[row], 8, COLORS[shown], bold, right=column.numeric, width=width)


def _widths(columns: Sequence[Column]) -> list[float]:
    """Returns the widths of columns in points: as wide as their texts, and the widest narrower where room is short."""
    font = fonts()["bold"].fontName
    texts = ([column.title, *column.texts] for column in columns)
    natural = [max(pdfmetrics.stringWidth(drawable(text), font, 8) for text in each) + PADDING + 1 for each in texts]
    room, widths = WIDTH, dict.fromkeys(range(len(natural)), 0.0)
    for place, index in enumerate(sorted(widths, key=natural.__getitem__)):
        widths[index] = min(natural[index], room / (len(natural) - place))
        room -= widths[index]
    return list(widths.values())


def _gallery(gallery: Gallery, folder: Path) -> Iterator[Flowable]:
    count = max(int((WIDTH + GAP) // (gallery.width * REM + GAP)), 1)
    width = (WIDTH - GAP * (count - 1)) / count
    cells = [_card(card, width, folder) for card in gallery.cards]
    cells += [[Spacer(0, 0)]] * (-len(cells) % count)
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), GAP),
    ]
    for start in range(0, len(cells), count):
        row = cells[start : start + count]
        yield Grid([row], [width + GAP] * count, splitInRow=1, style=style, hAlign="LEFT")


def _card(card: Card, width: float, folder: Path) -> list[Flowable]:
    share = width / max(len(card.pictures), 1)
    pictures: list[Flowable] = [_Drawn(picture, share, folder) for picture in card.pictures]
    if len(pictures) > 1:
        style = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0)]
        pictures = [Grid([pictures], [share] * len(pictures), style=style)]
    label = [paragraph(card.label.text, 8, COLORS[card.label.tone], bold=True, width=width)] if card.label else []
    details = [paragraph(line, 8, MUTED, width=width) for line in card.details]
    return [*pictures, paragraph(card.title, 8.5, bold=True, width=width), *label, *details]


class _Drawn(Flowable):
    """A picture with its first overlay, in a box as wide as given and at most as high.

    Args:
        picture: The picture.
        width: The width of the box in points.
        folder: The folder to which the path of a picture is relative.
    """

    def __init__(self, picture: Picture, width: float, folder: Path) -> None:
        super().__init__()
        self._overlays = picture.overlays[:1]
        self._image = ImageReader(io.BytesIO(_jpeg(picture, width, folder)))
        self._size = picture.size if picture.overlays else self._image.getSize()
        self._scale = min(width / self._size[0], width / self._size[1])
        self.width, self.height = width, self._size[1] * self._scale

    def draw(self) -> None:
        canvas, (columns, rows) = self.canv, self._size
        canvas.saveState()
        canvas.scale(self._scale, self._scale)
        canvas.drawImage(self._image, 0, 0, columns, rows)
        path = canvas.beginPath()
        path.rect(0, 0, columns, rows)
        canvas.clipPath(path, stroke=0, fill=0)
        for overlay in self._overlays:
            self._draw(canvas, overlay, rows)
        canvas.restoreState()

    def _draw(self, canvas: Canvas, overlay: Overlay, rows: float) -> None:
        if overlay.image:
            wide, high = overlay.size
            canvas.drawImage(ImageReader(io.BytesIO(overlay.image)), 0, rows - high, wide, high, mask="auto")
        canvas.setFillColor(MARK, alpha=0.28)
        canvas.setStrokeColor(MARK)
        canvas.setLineWidth(0.8 / self._scale)
        for outline in overlay.outlines:
            path = canvas.beginPath()
            for (x, y), *others in _rings(outline):
                path.moveTo(x, rows - y)
                for x, y in others:
                    path.lineTo(x, rows - y)
                path.close()
            canvas.drawPath(path, fill=1, stroke=1, fillMode=FILL_EVEN_ODD)


def _rings(outline: str) -> Iterator[list[tuple[float, float]]]:
    """Yields the corners of each closed line of an `Overlay`."""
    for ring in outline.replace("Z", "").split("M")[1:]:
        corners = (corner.split(",") for corner in ring.split())
        yield [(float(x), float(y)) for x, y in corners]


def _jpeg(picture: Picture, width: float, folder: Path) -> bytes:
    """Returns a picture as a JPEG file of no more pixels than `DPI` needs."""
    return encode_jpeg(shrink(_pixels(picture, folder), round(width / 72 * DPI)), 80)


def _pixels(picture: Picture, folder: Path) -> np.ndarray:
    if isinstance(picture.source, np.ndarray):
        return picture.source
    data = (folder / picture.source).read_bytes() if isinstance(picture.source, str) else picture.source
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None, picture.alt
    return pixels


def _numbered(title: str) -> Callable[[Canvas, SimpleDocTemplate], None]:
    """Returns a function that writes the title and the number of a page at its foot."""

    def draw(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.saveState()
        canvas.setFont(fonts()["plain"].fontName, 7.5)
        canvas.setFillColor(MUTED)
        canvas.drawString(MARGIN, MARGIN / 2, drawable(title)[:100])
        canvas.drawRightString(A4[0] - MARGIN, MARGIN / 2, str(document.page))
        canvas.restoreState()

    return draw
