"""An image that is changed, removed or replaced while a run reads it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.faults.conftest import Start, Tally
from tests.faults.test_kills import runs

FINETUNE = [*TINY, "trainer=finetune", "epochs=1", "trainer.epochs=6", "trainer.unfreeze_from=block_16_expand"]
CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": lambda file: file.write_bytes(file.read_bytes()[:-400] + bytes(400)),
    "removed": Path.unlink,
    "replaced": lambda file: shutil.copy(file.with_name("000.jpg"), file),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_an_image_that_does_not_stay_the_same_ends_the_run(
    start: Start, tally: Tally, patches: Path, cache: Path, tmp_path: Path, change: str
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(patches, tree)
    (tmp_path / "cache").mkdir()
    (cache / "programs").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "programs").symlink_to(cache / "programs")  # not of interest here, and dear to compile
    words = [*FINETUNE, "dataset=folder", f"dataset.path={tree}", f"paths.cache={tmp_path / 'cache'}"]
    process = start(tmp_path / "work", "train", *words)
    assert process.stdout
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("Epoch 2/"):
            for file in sorted((tree / "Positive").iterdir())[1:]:
                CHANGES[change](file)
    text = "".join(printed)
    states = [run.info.status for run in runs(tmp_path / "work")]
    named = "changed since" in text or "No such file" in text
    held = process.wait(60) == 2 and named and "Traceback" not in text and states == ["FAILED"]
    tally(f"An image {change} during a run", held)
    assert held, (process.returncode, states, text[-3000:])
