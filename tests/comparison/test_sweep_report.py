"""The report of a sweep: the answer first, everything in one file, nothing taken from names as markup."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from crackexp.comparison.comparison import compare
from crackexp.comparison.figures import sweep_figures
from crackexp.comparison.report import comparison_report, configuration_columns, method
from crackexp.comparison.sentences import answer
from crackexp.reporting import artifacts
from crackexp.reporting.html import page as page_of
from crackexp.reporting.markdown import markdown
from tests.comparison.trials import drawn_trials, errors, grid, trial

CONFIGURATIONS = grid(split__ratio=[[0.7, 0.2, 0.1], [0.8, 0.1, 0.1]], image_size=[96, 128, 160], dropout=[0.1, 0.3])


@pytest.fixture(scope="module")
def found():
    return compare(drawn_trials(CONFIGURATIONS, {number: 0.3 if number == 3 else 0.05 for number in range(12)}))


@pytest.fixture(scope="module")
def page(found):
    failed = [("size=9<i>", "ValueError: 1 < 2")]
    return page_of(comparison_report(found, "a <b>sweep</b>", sweep_figures(found), failed, "python -m x 'a=1'"))


class Page(HTMLParser):
    """Collects the words of a page, and the rows of its tables."""

    def __init__(self, text):
        super().__init__()
        self.words, self.rows, self.hidden, self.inside = [], [], False, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.hidden = tag in ("style", "script")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.hidden = False
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.hidden or not data.strip():
            return
        self.words.append(data.strip())
        if self.inside:
            self.rows[-1][-1] += data.strip()


def test_the_page_begins_with_the_answer(found, page):
    words = Page(page).words
    assert words[:3] == ["a <b>sweep</b>", "a <b>sweep</b>", answer(found)[0]]
    assert words[3:6] == ["1 best", f"{len(found.tied)} tied with it", "1 worse"]
    assert words[6 : 5 + len(answer(found))] == answer(found)[1:]


def test_the_page_needs_nothing_from_outside(page):
    assert not re.search(r"https?:|@import|url\(|<link|<iframe|<script [^>]", page)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    pictures = [base64.b64decode(source.split(",", 1)[1]) for source in sources if source.startswith("data:")]
    assert len(pictures) == 4
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_the_table_holds_every_setting_the_best_first(found, page):
    rows = Page(page).rows
    assert rows[0][:5] == ["ratio", "image_size", "dropout", "verdict", "accuracy"]
    shown = rows[1:13]
    assert [row[4] for row in shown] == [f"{score:.4f}" for score in found.table["score"]]
    assert [row[3] for row in shown] == found.table["verdict"].tolist()
    assert shown[0][3] == "best"


def test_errors_and_the_command_are_told_as_they_are(page):
    parsed = Page(page)
    assert ["size=9<i>", "ValueError: 1 < 2"] in parsed.rows
    assert "1 trial has no result." in parsed.words
    assert "python -m x 'a=1'" in parsed.words


def test_runs_are_listed_with_their_ids(found, page):
    rows = Page(page).rows
    assert {row[-1] for row in rows if len(row) == 6} >= set(found.trials["run_id"])


def test_columns_that_say_nothing_are_left_out(found):
    titles = [column.title for column in configuration_columns(found)]
    assert not {"runs", "parameters", "on its own test images", "configuration"} & set(titles)
    repeated = drawn_trials(grid(a=[1, 2], seed=[0, 1]), 0.1)
    trials = [replace(one, parameters=number) for number, one in enumerate(repeated)]
    trials[0] = replace(trials[0], predictions=trials[0].predictions.iloc[:300])
    titles = [column.title for column in configuration_columns(compare(trials))]
    assert {"runs", "parameters", "on its own test images"} <= set(titles)


def test_a_page_of_one_run_stands(page):
    found = compare([trial(errors(90, 3), {"dropout": 0.3})])
    words = Page(page_of(comparison_report(found, "one"))).words
    assert words[2].startswith("One run, dropout=0.3")
    assert "Again" not in words
    assert not any("tied with it" in word for word in words)


@pytest.mark.parametrize(
    ("configurations", "words"),
    [
        (grid(dropout=[0.1, 0.3]), "hold for these trained models"),
        (grid(dropout=[0.1, 0.3], seed=[0, 1, 2]), "4 degrees of freedom"),
        (grid(a=[1, 2, 3], b=[1, 2, 3]), "main effects of the factors"),
    ],
)
def test_the_method_says_what_is_known_of_training(configurations, words):
    assert any(words in paragraph for paragraph in method(compare(drawn_trials(configurations, 0.1))))


def test_markdown_begins_with_the_answer_and_keeps_names_literal(found):
    lines = markdown(comparison_report(found, "x")).splitlines()
    assert lines[0].startswith("**Of 12 configurations, ")
    assert "image\\_size=" in lines[0]
    header = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = [line for line in lines if line.startswith("|")]
    assert lines[header].startswith("| ratio | image\\_size | dropout | verdict | accuracy |")
    assert len(rows) == 2 + 10
    assert len({row.count("|") for row in rows}) == 1
    assert any("10 of 12" in line for line in lines)
    assert len(markdown(comparison_report(found, "x"))) < 5000


def test_the_tables_and_figures_are_files(found):
    report = comparison_report(found, "x", sweep_figures(found))
    assert {path for path, _ in artifacts.texts(report)} == {"cells.csv", "settings.csv"}
    drawn = {path for path, _ in artifacts.drawings(report)}
    assert drawn == {"scores.png", "effects.png", "ranking.png", "cost.png"}
