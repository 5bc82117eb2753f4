"""``python -m crackexp.predict`` as users type it: its table, what it prints, and how it ends."""

import io
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command


def test_a_folder_becomes_a_table(command_here: Command, model: str, patches: Path, tmp_path: Path) -> None:
    done = command_here("predict", f"model={model}", f"input={patches}", "out=table.parquet")
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "table.parquet")
    assert list(table) == ["path", "label", "probability", "decision", "reason", "doubt"]
    assert table["path"].tolist() == [str(file) for file in sorted(patches.rglob("*.jpg"))]
    assert table["probability"].between(0, 1).all()
    counts = table["decision"].value_counts()
    for decision in ("crack", "sound"):
        assert f"{decision:<12}{counts.get(decision, 0)}\n" in done.stdout
    assert "Table       table.parquet" in done.stdout


def test_a_model_is_called_by_the_name_of_its_run(
    command_here: Command, model: str, patches: Path, tmp_path: Path
) -> None:
    (store,) = (folder / "mlflow.db" for folder in Path(model).parents if folder.name == "mlruns")
    place = [f"tracking.uri=sqlite:///{store}", "tracking.experiment=test"]
    done = command_here("predict", "model=a run", f"input={patches}/Positive/000.jpg", "out=table.csv", *place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Model: run a run (")
    assert len(pd.read_csv(tmp_path / "table.csv")) == 1


def test_what_cannot_be_read_is_told_and_the_rest_is_done(
    command_here: Command, model: str, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.jpg").write_bytes(b"%PDF-1.7")
    names = f"{patches}/Negative\nletter.jpg\nnowhere\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(names.encode())))
    done = command_here("predict", f"model={model}", "input=-")
    assert done.returncode == 3, done.stderr
    (file,) = tmp_path.glob("outputs/predict/*/*/predictions.csv")
    table = pd.read_csv(file)
    assert len(table) == 32
    assert table["path"].tolist()[-2:] == ["letter.jpg", "nowhere"]
    assert table["reason"].notna().sum() == 2
    for words in ("unread      2", "letter.jpg: not a JPEG", "nowhere: there is no such file"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=MODEL", "input=empty"], ["input=FILES", "this folder holds no images"]),
        (["model=MODEL", "input=[]"], ["input"]),
        (["model=MODEL"], ["input has no value", "input=VALUE"]),
        (["model=MODEL", "input=PATCHES", "threshold=2"], ["threshold", "less than or equal to 1"]),
        (["model=MODEL", "input=PATCHES", "out=table.xlsx"], ["out", ".csv or .jsonl or .parquet", "table.xlsx"]),
        (["model=nothing", "input=PATCHES"], ["no such model", "Received: model=nothing"]),
        (["model=nothing", "input=PATCHES", "tracking=none"], ["tracking=local", "model=nothing"]),
        (["model=foreign", "input=PATCHES"], ["not logged by crackexp", "Received: model=foreign"]),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(
    command_here: Command, model: str, patches: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "MLmodel").write_text("flavors: {}\nmodel_uuid: abc\nrun_id: abc\n")
    typed = [word.replace("MODEL", model).replace("PATCHES", str(patches)) for word in arguments]
    done = command_here("predict", *typed)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.rglob("predictions.csv"))
