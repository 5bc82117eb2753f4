"""Command lines that are printed to be typed next find what the command that printed them wrote."""

import shlex
from pathlib import Path

import pytest

from tests.conftest import TINY, Command

JOB = [*TINY, "epochs=1", "dataset.count=80", "dataset.size=48", "callbacks=none"]


@pytest.mark.slow
@pytest.mark.parametrize("plus", ["", "++"])
def test_the_printed_command_finds_the_model_of_a_store_that_was_typed(
    command_here: Command, tmp_path: Path, patches: Path, plus: str
) -> None:
    uri, cache = f"{plus}tracking.uri=sqlite:///{tmp_path}/own/my store.db", f"paths.cache={tmp_path / 'kept'}"
    done = command_here("train", *JOB, uri, cache)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Evaluate it")]
    words = shlex.split(line.removeprefix("Evaluate it"))
    assert words[:3] == ["python", "-m", "crackexp.evaluate"]
    assert [word for word in (uri, cache) if word not in words] == []
    judged = command_here(
        "evaluate", *(word for word in words[3:] if not word.startswith("dataset")), "dataset.size=48"
    )
    assert judged.returncode == 0, judged.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Predict")]
    words = shlex.split(line.removeprefix("Predict").replace("PATCHES", f"{patches}/Positive/000.jpg"))
    predicted = command_here("predict", *words[3:])
    assert predicted.returncode == 0, predicted.stderr


def test_comparing_makes_no_store(command_here: Command, tmp_path: Path) -> None:
    done = command_here("compare", "0" * 32)
    assert done.returncode == 2
    assert "There is no MLflow store" in done.stderr
    assert not (tmp_path / "mlruns").exists()


def test_what_is_kept_elsewhere_is_cleared_by_the_printed_command(command_here: Command, tmp_path: Path) -> None:
    (tmp_path / "my cache" / "splits" / "a").mkdir(parents=True)
    place = f"paths.cache={tmp_path / 'my cache'}"
    shown = command_here("cache", place)
    assert shown.returncode == 0, shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("Clear with")]
    words = shlex.split(line.removeprefix("Clear with: ").partition(" (")[0])
    assert words == ["python", "-m", "crackexp.cache", "clear=NAME", place]
