"""``python -m crackexp.audit`` as users type it: what was planted in a dataset is found, told, written and logged."""

from collections.abc import Callable
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig

from crackexp.audit import audit
from crackexp.auditing.findings import MEASURED
from crackexp.data.images.decode import load_image
from crackexp.data.sources.image_folder import ImageFolder
from tests.conftest import Command, write_patches


def save(file: Path, image: np.ndarray) -> None:
    assert cv2.imwrite(str(file), np.ascontiguousarray(image[..., ::-1]))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 drawn patches a class; a mirrored copy, one of another class, a twin, a page of text, a broken file."""
    root = write_patches(tmp_path_factory.mktemp("planted") / "walls <1>", ("Negative", "Positive"), 50, size=160)
    save(root / "Positive" / "mirrored.png", load_image(root / "Positive" / "007.jpg")[:, ::-1])
    save(root / "Negative" / "contradicting.png", load_image(root / "Positive" / "011.jpg")[::-1])
    (root / "Negative" / "twin.jpg").write_bytes((root / "Negative" / "003.jpg").read_bytes())
    page = np.full((160, 160, 3), 250, np.uint8)
    for line in range(14, 160, 14):
        cv2.putText(page, "minutes of the meeting", (4, line), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (10, 10, 10))
    save(root / "Negative" / "text.png", page)
    (root / "Positive" / "broken.jpg").write_bytes(b"no picture")
    return root


def audited(command: Command, root: Path, *words: str, status: int = 3) -> str:
    """Audits a folder; by default one that holds a file which is no image."""
    done = command("audit", "dataset=folder", f"dataset.path='{root}'", "image_size=160", "out=audit", *words)
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.mark.slow
def test_what_was_planted_is_found(command: Command, planted: Path, tmp_path: Path) -> None:
    told = audited(command, planted)
    assert "Not readable as images: 1 file." in told
    assert "One picture in two classes: 1 pair of copies." in told
    assert "split=grouped" in told

    out = tmp_path / "audit"
    unreadable = pd.read_csv(out / "left_out.csv")
    assert unreadable["file"].tolist() == ["Positive/broken.jpg"]
    pairs = pd.read_csv(out / "pairs.csv")
    first = pairs.iloc[0]
    assert {first["file"], first["mate"]} == {"Negative/contradicting.png", "Positive/011.jpg"}
    assert first["contradicting"]
    # as many copies have either label, so the other images judge them
    assert "Labels were not judged" not in told
    assert first["favoured"] == "Positive"
    assert pairs["favoured"][1:].isna().all()
    assert not pairs["contradicting"][1:].any()
    assert pairs.set_index("file")["kind"].to_dict() == {
        "Negative/contradicting.png": "mirrored up-down",
        "Negative/003.jpg": "identical",
        "Positive/007.jpg": "mirrored left-right",
    }
    images = pd.read_csv(out / "images.csv").set_index("file")
    assert len(images) == 104
    assert images["distance"].idxmax() == "Negative/text.png"
    assert images.loc["Negative/twin.jpg", "copy_of"] == "Negative/003.jpg"
    assert images["part"].value_counts().sum() == 104
    assert images.loc["Negative/000.jpg", ["height", "width"]].tolist() == [160, 160]
    suspects = pd.read_csv(out / "suspects.csv")
    assert (suspects["suspected"] != suspects["class"]).all()
    assert suspects["probability"].is_monotonic_increasing
    findings = pd.read_csv(out / "findings.csv").set_index("looked for")
    assert findings.loc["suspected labels", "found"] == len(suspects)
    advice = findings.loc["contradicting labels", "what to do"]
    assert "delete neither" in advice
    tested = images.loc[[first["file"], first["mate"]], "part"].eq("test").sum()
    assert ("in test" in advice) == (tested > 0)

    page = (out / "report.html").read_text()
    assert "105 images" not in page
    assert "104 images" in page
    assert "walls &lt;1&gt;" in page
    assert "Copies with contradicting labels" in page
    assert "Positive/broken.jpg" in page
    assert "http" not in page

    (run,) = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db").search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["audit/images"] == 104
    assert run.data.metrics["audit/contradictions"] == 1
    assert run.data.metrics["audit/unreadable"] == 1
    assert run.data.metrics["audit/copies"] == 6
    logged = {file.name for file in (Path(run.info.artifact_uri.removeprefix("file://")) / "audit").iterdir()}
    assert {"report.html", "findings.csv", "pairs.csv", "contradictions.png", "outliers.png"} <= logged


@pytest.mark.slow
def test_another_split_or_none_can_be_judged(command: Command, planted: Path, tmp_path: Path) -> None:
    told = audited(command, planted, "split=grouped", "tracking=none")
    assert "none has a copy in train" in told
    pairs = pd.read_csv(tmp_path / "audit" / "pairs.csv")
    assert (pairs["part"] == pairs["mate_part"]).all()
    told = audited(command, planted, "~split", "tracking=none")
    assert "in train" not in told
    assert "part" not in pd.read_csv(tmp_path / "audit" / "images.csv")


@pytest.mark.slow
def test_a_clean_set_of_real_patches_has_no_suspects_and_one_with_flipped_labels_has(
    compose_config: Callable[..., DictConfig], real_data: Path, tmp_path: Path, cache: Path
) -> None:
    """400 real patches, as they are and with 3 % of the labels flipped."""
    source = real_data / "mendeley-sample"
    index = ImageFolder(name="real", path=source, positive=None, limit=400, on_bad_file="error", cache=cache).prepare()
    flipped = set(np.random.default_rng(0).choice(400, 12, replace=False).tolist())

    def listed(name: str, wrong: set[int]) -> pd.DataFrame:
        for row, file in enumerate(index.files.tolist()):
            true = file.split("/")[0]
            given = {"Positive": "Negative", "Negative": "Positive"}[true] if row in wrong else true
            (tmp_path / name / given).mkdir(parents=True, exist_ok=True)
            (tmp_path / name / given / f"{true}-{Path(file).name}").symlink_to(source / file)
        out = tmp_path / f"{name}-audit"
        words = ["dataset=folder", f"dataset.path={tmp_path / name}", "image_size=160", f"out={out}", "tracking=none"]
        found = audit(compose_config(*words, root="audit"))
        suspects = pd.read_csv(out / "suspects.csv")
        assert found["audit/suspects"] == len(suspects)
        assert MEASURED in (out / "findings.csv").read_text()
        return suspects

    assert listed("clean", set()).empty
    suspects = listed("flipped", flipped)
    true = suspects["file"].str.extract(r"/(\w+)-", expand=False)
    right = int((true == suspects["suspected"]).sum())
    assert right >= len(suspects) / 2
    assert right >= len(flipped) / 2
