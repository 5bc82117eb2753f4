"""Names of files as text: nothing is lost that need not be, and nothing breaks."""

import io
import os
import subprocess
import sys

import pandas as pd
import pytest

from crackexp.utils.csv_text import csv_text, escaped, unescaped
from crackexp.utils.names import file_stem, on_one_line, visible
from tests.odd_names import ODD


def test_bytes_that_are_no_utf8_become_escapes_and_all_else_stays() -> None:
    assert visible(os.fsdecode(b"caf\xe9/\xff.jpg")) == "caf\\xe9/\\xff.jpg"
    assert visible("\ud800") == "\\ud800"
    assert visible("caf\u00e9\n\U0001f9f1") == "caf\u00e9\n\U0001f9f1"


@pytest.mark.parametrize("name", ODD)
def test_any_name_fits_a_line_and_begins_the_name_of_a_file(name: str) -> None:
    line = on_one_line(name)
    assert line.isprintable() or " " in line
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert "\u202e" not in line
    stem = file_stem(f"folder/{name}")
    assert len(stem.encode()) <= 100
    assert not set('<>:"/\\|?*#%\n\r\t') & set(stem)


def test_no_text_of_a_table_is_a_formula_and_all_texts_come_back() -> None:
    texts = [*(visible(name) for name in ODD), "'=1", "''-1", "'quoted'", "", "\n", "\uff1d1", "plain", None]
    table = pd.DataFrame(
        {
            "=name": pd.Series(texts, dtype=object),
            "kind": pd.array(["-1"] * len(texts), "string"),
            "number": -1.5,
            "share": pd.array([-0.25] * len(texts), "Float32"),
            "true": True,
        }
    )
    read = pd.read_csv(io.StringIO(csv_text(table)), dtype={"'=name": str, "kind": str}, keep_default_na=False)
    assert list(read) == ["'=name", "kind", "number", "share", "true"]
    for cell in (*read["'=name"], *read["kind"]):
        assert cell[:1] not in set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") - {""}
    assert read["'=name"].map(unescaped).tolist() == [text or "" for text in texts]
    assert set(read["kind"].map(unescaped)) == {"-1"}
    assert set(read["number"]) == {-1.5}
    assert set(read["share"]) == {-0.25}
    assert read["true"].all()


def test_what_is_no_text_is_no_formula_either() -> None:
    assert escaped(-1.5) == -1.5
    assert unescaped(None) is None


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_any_name_can_be_printed_and_read_from_standard_input(encoding: str) -> None:
    code = (
        "import sys; from crackexp.utils.names import set_up_streams; set_up_streams()\n"
        "import os; name = sys.stdin.readline().strip(); print(name, '\\U0001f9f1', file=sys.stderr); print(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"caf\xe9\n",
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert done.stdout in (b"caf\\xe9\n", b"caf\xe9\n")
    assert b"caf" in done.stderr
