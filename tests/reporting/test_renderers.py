"""A report as each renderer shows it: all of it, in its order, and with hostile names as plain text."""

from contextlib import redirect_stdout
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from crackexp.reporting import (
    Card,
    Column,
    Figure,
    Gallery,
    Label,
    Overlay,
    Picture,
    Report,
    Section,
    Table,
    artifacts,
    html,
    markdown,
    terminal,
)
from crackexp.reporting.figures.style import new_figure
from crackexp.utils.csv_text import unescaped
from tests.odd_names import ODD, SCRIPT

QUOTED = "'\"><svg onload=document.title='pwned'>"


def pixels(shade: int) -> np.ndarray:
    return np.full((20, 30, 3), shade, np.uint8)


def table(count: int = 3, **options: object) -> Table:
    texts = [f"name {number}" for number in range(count)]
    keys = [number / 10 for number in range(count)]
    columns = [
        Column("name", texts),
        Column("score", [f"{key:.4f}" for key in keys], keys, numeric=True),
        Column("room", ["wide"] * count, priority=1),
        Column("details", ["page only"] * count, priority=2),
    ]
    return Table(columns, **options)  # type: ignore[arg-type]


class Page(HTMLParser):
    """The texts, tags and attributes of a page; scripts and styles are kept apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._raw = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._raw = False

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._raw:
            self.texts.append(data.strip())


def printed(report: Report, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    with redirect_stdout(StringIO()) as out:
        terminal.print_report(report)
    return out.getvalue()


def test_a_terminal_ends_with_the_answer_and_the_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    section = Section("Scores", ["A sentence."], [table()])
    text = printed(Report("x", [section], ["Yes.", "Since it is so."], notes=["But mind."]), 120, monkeypatch)
    order = ["Scores", "name 2", "A sentence.", "Yes. Since it is so.", "- But mind."]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert text.count("Scores") == 1


def test_columns_are_left_out_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report("x", [Section(tables=[table()])])
    assert "wide" in printed(report, 120, monkeypatch)
    assert "wide" not in printed(report, 80, monkeypatch)
    assert "page only" not in printed(report, 120, monkeypatch)
    assert "wide" in markdown.markdown(report)
    assert "page only" not in markdown.markdown(report)
    assert "page only" in Page(html.page(report)).texts


def test_a_section_is_shown_by_its_media_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = [Section(sentences=[f"for {medium}"], media=[medium]) for medium in ("terminal", "markdown", "html")]
    report = Report("x", sections)  # type: ignore[arg-type]
    texts = printed(report, 80, monkeypatch), markdown.markdown(report), " ".join(Page(html.page(report)).texts)
    assert [[f"for {one}" in text for one in ("terminal", "markdown", "html")] for text in texts] == np.eye(3).tolist()


def test_a_description_holds_the_first_rows_of_a_long_table() -> None:
    text = markdown.markdown(Report("x", [Section("Many", tables=[table(30, brief=4)])]))
    assert "### Many" in text
    assert "name 3" in text
    assert "name 4" not in text
    assert "4 of 30" in text


def test_a_page_begins_with_the_answer_and_sorts_by_the_keys() -> None:
    report = Report("a sweep", [Section("All", tables=[table(sortable=True)])], ["Yes.", "So."], [Label("1 best")])
    page = Page(html.page(report))
    assert page.texts[1:5] == ["a sweep", "Yes.", "1 best", "So."]
    keys = [attributes["data-key"] for tag, attributes in page.tags if tag == "td"]
    assert keys[1::4] == ["0.0", "0.1", "0.2"]


def test_a_page_holds_all_that_it_shows() -> None:
    figure, overlay = new_figure(2), Overlay("marks", "the marks", ["M0 0L5 5Z"])
    cards = [
        Card([Picture(pixels(50), "one"), Picture(pixels(90), "two")], "a pair"),
        Card([Picture(pixels(50), "three", (30, 20), [overlay])], "a photo", ["2 marks"], Label("crack", "danger")),
    ]
    section = Section(figures=[Figure(figure, "f.png", "what it shows")], galleries=[Gallery(cards)])
    page = Page(html.page(Report("x", [section])))
    sources = [attributes.get("src") or attributes.get("href") for _, attributes in page.tags]
    shown = [source for source in sources if source]
    assert len(shown) == 4
    assert all(source.startswith("data:image/") for source in shown)
    assert ("path", "M0 0L5 5Z") in [(tag, attributes.get("d")) for tag, attributes in page.tags]
    assert "the marks" in page.texts
    assert "dialog" in [tag for tag, _ in page.tags]
    assert "dialog" not in [tag for tag, _ in Page(html.page(Report("x"))).tags]


@pytest.mark.parametrize("name", [SCRIPT, QUOTED, "a&amp;b", "{{ 7 * 7 }}"])
def test_a_hostile_name_is_text_wherever_it_stands_on_a_page(name: str) -> None:
    picture = Picture(pixels(0), name, (30, 20), [Overlay("marks", name, [name])])
    hostile = Section(
        name, [name], [Table([Column(name, [name], [name], tones=["danger"])], title=name, sortable=True)],
        [Figure(new_figure(1), name, name)], [Gallery([Card([picture], name, [name], Label(name)),
        Card([Picture(f"images/{name}.jpg", name)], name)], name)], name=name, code=name,
    )  # fmt: skip
    folded = Section(name, [name], folded=True)
    page = Page(html.page(Report(name, [hostile, folded], [name, name], [Label(name)], [name], name)))
    plain = Page(html.page(Report("n", [
        Section("n", ["n"], [Table([Column("n", ["n"], ["n"], tones=["danger"])], title="n", sortable=True)],
        [Figure(new_figure(1), "n", "n")], [Gallery([Card([Picture(pixels(0), "n", (30, 20), [Overlay("marks", "n",
        ["n"])])], "n", ["n"], Label("n")), Card([Picture("images/n.jpg", "n")], "n")], "n")], name="n", code="n"),
        Section("n", ["n"], folded=True)], ["n", "n"], [Label("n")], ["n"], "n")))  # fmt: skip
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in page.tags] == [sorted(attributes) for _, attributes in plain.tags]
    assert page.texts.count(name) == plain.texts.count("n") >= 12


def test_a_hostile_name_breaks_no_table_of_a_description() -> None:
    names = [SCRIPT, "a|b", "two\nlines", "*_`\\"]
    lines = markdown.markdown(Report("x", [Section(tables=[Table([Column("a", names), Column("b", names)])])]))
    rows = lines.strip().splitlines()
    assert len(rows) == 2 + len(names)
    assert {row.replace("\\|", "").count("|") for row in rows} == {3}
    assert "<img" not in lines.replace("\\<", "")


def test_tables_texts_and_pictures_become_files(tmp_path: Path) -> None:
    names = list(ODD)
    named = Table([Column("file", names), Column("size", ["1 px"] * len(names), list(range(len(names))))], path="t.csv")
    cards = [Card([Picture(pixels(shade), "p"), Picture(pixels(0), "q")], str(shade)) for shade in (10, 200)]
    section = Section(
        tables=[named, table()],
        figures=[Figure(new_figure(2), "drawn.png", "a figure")],
        galleries=[Gallery(cards, "Pairs", path="pairs.png"), Gallery(cards)],
        files={"raw.csv": pd.DataFrame({"a": [1, 2]}), "note.txt": "told"},
        media=[],
    )
    report = Report("x", [section])
    files = artifacts.write(report, tmp_path)
    assert [file.name for file in files] == ["t.csv", "raw.csv", "note.txt", "report.html"]
    assert (tmp_path / "note.txt").read_text() == "told"
    read = pd.read_csv(tmp_path / "t.csv")
    assert read["size"].tolist() == list(range(len(names)))
    assert unescaped(read["file"][1]) == names[1]
    for path, drawing in artifacts.drawings(report):
        drawing.savefig(tmp_path / path)
    assert {file.name for file in tmp_path.glob("*.png")} == {"drawn.png", "pairs.png"}
    sheet = matplotlib.image.imread(tmp_path / "pairs.png")
    assert (np.abs(sheet[..., :3] - 200 / 255) < 0.01).all(axis=-1).mean() > 0.02, "the light picture is in it"


def test_a_long_name_breaks_at_its_joints_on_a_page() -> None:
    card = Card([Picture(pixels(9), "a wall")], "bridge/wall_039.jpg", ["<i>/b_c.jpg"])
    page = html.page(Report("Walls", [Section(galleries=[Gallery([card])])]))
    assert ">bridge/<wbr>wall_<wbr>039.jpg<" in page
    assert "&lt;i&gt;/<wbr>b_<wbr>c.jpg" in page
