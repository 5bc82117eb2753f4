"""The texts of PDF files: their fonts, the characters that these lack, and where long names are broken."""

import unicodedata
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph

from crackexp.utils.names import broken, on_one_line

MARGIN = 15 * mm
WIDTH = A4[0] - 2 * MARGIN
"""The width of the text of a page in points."""
INK = HexColor("#1f2933")


def paragraph(
    text: str,
    size: float = 9,
    color: Color = INK,
    bold: bool = False,
    right: bool = False,
    font: str = "plain",
    width: float = WIDTH,
) -> Paragraph:
    """Returns a paragraph that shows a text as it is; a bold one is on the page of what follows.

    A word that is longer than a line, such as the path of a file, is broken at its separators; see `broken`.

    Args:
        text: The text, with any characters.
        size: The size of the font in points.
        color: The color.
        bold: Whether the text is bold.
        right: Whether the text is aligned to the right.
        font: The font of a text that is not bold, plain or mono.
        width: The width of the lines in points.
    """
    name = fonts()["bold" if bold else font].fontName
    style = ParagraphStyle(
        "text",
        fontName=name,
        fontSize=size,
        leading=1.3 * size,
        textColor=color,
        alignment=2 if right else 0,
        keepWithNext=bold,
        spaceAfter=2,
    )

    def fits(line: str) -> bool:
        return pdfmetrics.stringWidth(line, name, size) <= width - 0.01  # what is as wide as the line may be broken

    words = [map(escape, broken(word, fits)) for word in drawable(text).split(" ")]
    return Paragraph(" ".join(map("<br/>".join, words)), style)


def drawable(text: str) -> str:
    """Returns a text on one line in which characters that cannot be drawn are escapes."""
    known, one_line = _glyphs(), on_one_line(text)
    return "".join(sign if sign in known else sign.encode("ascii", "backslashreplace").decode() for sign in one_line)


@cache
def fonts() -> dict[str, TTFont]:
    """Registers and returns the fonts, which come with matplotlib."""
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    files = {"plain": "DejaVuSans", "bold": "DejaVuSans-Bold", "mono": "DejaVuSansMono"}
    found = {name: TTFont(file, folder / f"{file}.ttf") for name, file in files.items()}
    for font in found.values():
        pdfmetrics.registerFont(font)
    return found


@cache
def _glyphs() -> frozenset[str]:
    """Returns the characters that each font has, but for those from right to left, which would be drawn backwards."""
    codes = frozenset.intersection(*(frozenset(font.face.charToGlyph) for font in fonts().values()))
    return frozenset(sign for sign in map(chr, codes) if unicodedata.bidirectional(sign) not in ("R", "AL", "AN"))
