"""What training says of test images that it has seen."""

import io
from pathlib import Path

import cv2
import mlflow
import pandas as pd
import pytest

from crackexp.data.images.decode import load_image
from tests.conftest import TINY, Command, write_patches


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 patches a class, each with a mirrored copy."""
    root = write_patches(tmp_path_factory.mktemp("doubled"), ("Negative", "Positive"), 20)
    for file in list(root.rglob("*.jpg")):
        assert cv2.imwrite(str(file.with_suffix(".png")), load_image(file)[:, ::-1, ::-1])
    return root


@pytest.mark.slow
@pytest.mark.parametrize("split", ["ratio", "grouped"])
def test_a_split_that_leaks_is_told_and_logged(
    command_here: Command, doubled: Path, tmp_path: Path, split: str
) -> None:
    done = command_here("train", "dataset=folder", f"dataset.path={doubled}", f"split={split}", *TINY, "epochs=1")
    assert done.returncode == 0, done.stderr
    (run,) = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db").search_runs(["1"])
    text = (Path(run.info.artifact_uri.removeprefix("file://")) / "data" / "leaks.csv").read_text()
    rows = pd.read_csv(io.StringIO(text))
    copies = int(run.data.params["data.test_copies_in_train"])
    assert "data.test_photos_in_train" not in run.data.params
    assert len(rows) == copies
    if split == "grouped":
        assert copies == 0
        assert "have a copy in train" not in done.stdout
    else:
        assert copies >= 3
        assert f"{copies} have a copy in train" in done.stdout
        assert "split=grouped" in done.stdout
        assert (rows["kind"] == "mirrored left-right").all()
        assert [Path(file).stem for file in rows["file"]] == [Path(mate).stem for mate in rows["mate"]]
