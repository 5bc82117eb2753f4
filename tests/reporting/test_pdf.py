"""A report as a PDF file: all that the page shows, hostile names as plain text, and equal bytes each time."""

import io
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader

from crackexp.reporting import Card, Column, Figure, Gallery, Label, Overlay, Picture, Report, Section, Table, pdf
from crackexp.reporting.figures.style import new_figure
from crackexp.utils.names import on_one_line
from crackexp.utils.pictures import encode_jpeg, encode_png
from tests.odd_names import ODD, SCRIPT

OTHERS = ("漢字 \U0001f9f1", "стена", "قيد", "word " * 900, "n" * 4000)


def pixels(shade: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.full((height, width, 3), shade, np.uint8)


def read(data: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(data), strict=True)


def text(data: bytes) -> str:
    """Returns the text of all pages, in which lines end where they were broken."""
    return "\n".join(page.extract_text() for page in read(data).pages)


def letters(shown: str) -> str:
    return "".join(shown.split())


def test_a_file_shows_all_that_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "beside.jpg").write_bytes(encode_jpeg(pixels(90), 90))
    drawing = new_figure(3, 2)
    drawing.subplots().plot([0, 1])
    marks = [
        Overlay("regions", "marked", ["M0,0 10,0 10,10Z M2,2 3,2 3,3Z"]),
        Overlay("heat", "heat", image=encode_png(np.zeros((4, 4, 4), np.uint8)), size=(30, 20)),
    ]
    pictures = [
        Picture(encode_jpeg(pixels(10), 90), "of bytes", (30, 20), marks),
        Picture(pixels(50), "of pixels"),
        Picture("beside.jpg", "beside the page"),
        Picture(pixels(70), "a heat map alone", (30, 20), marks[1:]),
    ]
    cards = [Card([picture], picture.alt, ["a detail"], Label("crack", "danger")) for picture in pictures]
    cards.append(Card(pictures[:2], "side by side"))
    far = Column("far", ["-", "-"], priority=2)
    columns = [Column("name", ["one", "two"]), Column("score", ["0.1", "0.2"], numeric=True), far]
    scores = Table(columns, "Scores", tones=["primary", "warning"])
    report = Report(
        "What this is about",
        [
            Section("First", ["A sentence."], [scores], [Figure(drawing, "figure.png", "a figure")]),
            Section("Folded", galleries=[Gallery(cards, width=17)], code="type this\nand this", folded=True),
            Section("Printed", ["On the terminal."], media=["terminal"]),
        ],
        answer=["The answer.", "What else."],
        labels=[Label("a label", "primary")],
        notes=["A note."],
        source="how it was made",
    )
    file = pdf.write(report, tmp_path)
    assert file.name == "report.pdf"
    shown = text(file.read_bytes())
    for words in (
        "What this is about", "The answer.", "What else.", "a label", "how it was made", "A note.", "First",
        "A sentence.", "Scores", "one", "0.2", "Folded", "of bytes", "of pixels", "beside the page", "a detail",
        "crack", "side by side", "type this", "and this",
    ):  # fmt: skip
        assert words in shown
    assert "terminal" not in shown
    assert "far" not in shown, "only a page has room for it"
    document = read(file.read_bytes())
    assert document.metadata is not None
    assert document.metadata.title == "What this is about"
    assert sum(len(page.images) for page in document.pages) >= 6


def test_equal_reports_give_equal_bytes(tmp_path: Path) -> None:
    def drawn() -> Report:
        drawing = new_figure(3, 2)
        drawing.subplots().plot([0, 1])
        picture = Picture(
            encode_jpeg(pixels(10), 90), "стена", (30, 20), [Overlay("marks", "marks", ["M0,0 9,0 9,9Z"])]
        )
        gallery = Gallery([Card([picture], "wall.jpg")])
        return Report("Equal", [Section(figures=[Figure(drawing, "a.png", "a figure")], galleries=[gallery])])

    assert pdf.render(drawn(), tmp_path) == pdf.render(drawn(), tmp_path)


@pytest.mark.parametrize("name", [*ODD, f"{SCRIPT}<para", "&lt;", *OTHERS])
def test_any_name_is_shown_as_text(name: str, tmp_path: Path) -> None:
    cards = [Card([Picture(pixels(90), name)], name, [name], Label(name))]
    sections = [
        Section(name, [name], [Table([Column(name, [name, "b"])], name)], galleries=[Gallery(cards)], code=name)
    ]
    data = pdf.render(Report(name, sections, [name], [Label(name)], [name], name), tmp_path)
    shown, plain = letters(text(data)), letters(on_one_line(name))
    if plain.isascii():
        assert plain[:30] in shown
    else:
        assert plain.encode("ascii", "backslashreplace").decode() in shown or plain[:30] in shown


def test_what_the_font_lacks_is_an_escape(tmp_path: Path) -> None:
    data = pdf.render(Report("стена 漢 שלום.jpg"), tmp_path)
    assert "стена \\u6f22 \\u05e9\\u05dc\\u05d5\\u05dd.jpg" in text(data)


def test_a_long_table_has_its_head_on_each_page_and_wide_texts_are_broken(tmp_path: Path) -> None:
    count = 200
    columns = [
        Column("photo", [f"{'long/' * 30}{row}.jpg" for row in range(count)]),
        Column("total extent", [f"{row} px" for row in range(count)], numeric=True),
    ]
    pages = read(pdf.render(Report("Photos", [Section(tables=[Table(columns)])]), tmp_path)).pages
    assert len(pages) > 5
    assert all("total extent" in page.extract_text() for page in pages)
    assert "199 px" in pages[-1].extract_text()


def test_long_names_are_broken_at_their_separators(tmp_path: Path) -> None:
    name = f"{'building_north-side/2024-05-01_ceiling/' * 6}wall.jpg"
    sections = [
        Section(name),
        Section(tables=[Table([Column("photo", [name]), Column("score", ["0.5"], numeric=True)])]),
        Section(galleries=[Gallery([Card([Picture(pixels(90), "photo")], name, [name])], width=17)]),
    ]
    lines = text(pdf.render(Report("Photos", sections), tmp_path)).splitlines()
    parts = [line for line in map(str.strip, lines) if len(line) > 2 and line in name]
    assert "".join(parts).count(name) == 4, "the heading, the cell, and the title and the detail of the card"
    assert len(parts) > 12
    assert [part for part in parts if not part.endswith(("/", "_", "-", "wall.jpg", "wall", ".jpg"))] == []


def test_pictures_are_no_larger_than_print_needs(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1600, 1600, 3), np.uint8)
    picture = Picture(
        encode_jpeg(noise, 95), "noise", (4000, 4000), [Overlay("regions", "marks", ["M0,0 4000,0 9,9Z"])]
    )
    data = pdf.render(Report("A photo", [Section(galleries=[Gallery([Card([picture], "noise")], width=17)])]), tmp_path)
    (image,) = read(data).pages[0].images
    assert 600 < image.image.size[0] < 800
    assert b"ASCII85" not in data
