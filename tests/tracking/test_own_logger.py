"""A logger of a user's own, outside the package: in a run, in a multirun, and where a store is needed."""

from pathlib import Path

import pytest

from tests.conftest import TINY, Command

CLASS = '''
from pathlib import Path

from crackexp.tracking.logger import Logger


class Printed(Logger):
    """Writes lines to a file; its argument has the name that the address of an MLflow store has elsewhere."""

    def __init__(self, uri):
        self.uri = uri

    def log_metrics(self, metrics, step=0):
        with Path(self.uri).open("a") as file:
            file.writelines(f"{name} {step} {value}\\n" for name, value in metrics.items())
'''
CONFIG = """
_target_: own_loggers.Printed
uri: ${paths.output}/metrics.txt
"""
DATA = ["dataset=synthetic", "dataset.count=64", "dataset.size=48", "epochs=1"]


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    """The overrides that choose the logger."""
    (tmp_path / "own_loggers.py").write_text(CLASS)
    (tmp_path / "own" / "tracking").mkdir(parents=True)
    (tmp_path / "own" / "tracking" / "printed.yaml").write_text(CONFIG)
    return ["--config-dir", "own", "tracking=printed"]


@pytest.mark.slow
def test_a_logger_of_ones_own_logs_a_run_and_each_cell_of_a_multirun(
    command_here: Command, own: list[str], tmp_path: Path
) -> None:
    single = command_here("train", *own, *TINY, *DATA, "hydra.run.dir=single")
    assert single.returncode == 0, single.stderr
    assert "test/accuracy 0 " in Path(tmp_path, "single", "metrics.txt").read_text()
    several = command_here("train", *own, *TINY, *DATA, "-m", "seed=0,1", "hydra.sweep.dir=several")
    assert several.returncode == 0, several.stderr
    files = sorted(Path(tmp_path, "several").rglob("metrics.txt"))
    assert len(files) == 2
    assert files[0].read_text() != files[1].read_text()
    assert not Path(tmp_path, "mlruns").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ui", []),
        ("compare", ["runs=[abc]"]),
        ("calibrate", ["model=abc", "dataset=folder", "dataset.path=."]),
        ("train", ["resume=abc"]),
    ],
)
def test_what_takes_a_store_is_refused_with_a_logger_that_has_none(
    command_here: Command, own: list[str], name: str, words: list[str]
) -> None:
    refused = command_here(name, *own, *words)
    assert refused.returncode == 2, refused.stderr
    assert "tracking=local" in refused.stderr
    assert "own_loggers.Printed" in refused.stderr
