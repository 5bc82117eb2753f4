"""Tables in three formats, written part by part."""

from pathlib import Path

import pandas as pd
import pytest

from crackexp.predicting.tables import writing

READ = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": lambda file: pd.read_json(file, lines=True)}
PARTS = [
    pd.DataFrame({"path": pd.array(["a,b", 'ä"'], "string"), "reason": pd.array([None, None], "string")}),
    pd.DataFrame({"path": pd.array(["c/d\n"], "string"), "reason": pd.array(["damaged"], "string")}),
]


@pytest.mark.parametrize("suffix", READ)
def test_parts_become_one_table(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "new" / f"table{suffix}"
    with writing(file) as write:
        for part in PARTS:
            write(part)
    table = READ[suffix](file)
    assert table["path"].tolist() == ["a,b", 'ä"', "c/d\n"]
    assert table["reason"].isna().tolist() == [True, True, False]
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("suffix", READ)
def test_a_table_that_was_there_stays_when_the_work_fails(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"table{suffix}"
    file.write_text("before")
    with pytest.raises(AttributeError), writing(file) as write:
        list(map(write, [PARTS[0], None]))
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
