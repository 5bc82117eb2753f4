"""What the launching process tells of trials that end, wherever they run."""

import json
import re
from pathlib import Path

import pytest

from crackexp.sweep.watch import Watch


def ends(folder: Path, number: int, **outcome: object) -> None:
    trial = folder / str(number)
    trial.mkdir()
    (trial / "cell.json").write_text(json.dumps({"seconds": 2.0, **outcome}))


def test_a_line_for_each_trial_with_the_time_of_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(tmp_path, 4, ["dropout", "split.ratio"])
    watch.start()
    ends(tmp_path, 0, overrides=["+experiment=mobilenet", "dropout=0.1"], state="kept", accuracy=0.98)
    ends(tmp_path, 1, overrides=["split.ratio=[0.7,0.3]"], state="finished", accuracy=0.9925)
    ends(tmp_path, 2, overrides=["dropout=2"], state="failed", error="ConfigError: dropout")
    watch.stop()
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\[  1/4\] dropout=0.1  kept from before  test accuracy 0.9800\s*", lines[0])
    assert re.fullmatch(r"\[  2/4\] ratio=0.7/0.3  test accuracy 0.9925  2.0 s  ends about \d\d:\d\d", lines[1])
    assert lines[2].startswith("[  3/4] dropout=2  FAILED  ConfigError: dropout")
    assert [outcome.state for outcome in watch.ended.values()] == ["kept", "finished", "failed"]


def test_a_search_tells_no_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(tmp_path, None, ["dropout"])
    watch.start()
    ends(tmp_path, 0, overrides=["+experiment=mobilenet", "dropout=0.1"], state="finished", accuracy=None)
    watch.stop()
    assert capsys.readouterr().out.startswith("[  1/?] dropout=0.1")


def test_an_outcome_that_hydra_cannot_read_counts_as_failed(tmp_path: Path) -> None:
    watch = Watch(tmp_path, 1, ["dropout"])
    watch.start()
    ends(tmp_path, 0, overrides=[">ropout=0.1"], state="finished", accuracy=0.9)
    watch.stop()
    (outcome,) = watch.ended.values()
    assert (outcome.state, "damaged" in outcome.error) == ("failed", True)
