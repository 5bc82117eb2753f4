"""What the commands do with a dataset that comes with a split."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from omegaconf import DictConfig

from crackexp.audit import audit
from crackexp.calibrate import calibrate
from crackexp.config.checking import check
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.evaluate import evaluate
from crackexp.train import train
from crackexp.training.config import TrainConfig
from crackexp.training.parts import build_parts
from crackexp.utils.errors import ConfigError, DataError
from tests.conftest import TINY, write_patches

Compose = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def presplit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of drawn patches: 12 a class to train, 4 to validate, 5 to test."""
    root = tmp_path_factory.mktemp("presplit")
    write_patches(root / "all", ("no_crack", "crack"), 21)
    for name in ("no_crack", "crack"):
        for number, file in enumerate(sorted((root / "all" / name).iterdir())):
            part = "train" if number < 12 else "val" if number < 16 else "test"
            target = root / "set" / part / name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    return root / "set"


@pytest.mark.slow
def test_a_model_is_trained_on_train_and_judged_on_test(
    compose_config: Compose, presplit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["dataset=folder", f"dataset.path={presplit}"]
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    store = [f"tracking.uri={uri}", f"tracking.artifacts={tmp_path}/artifacts"]
    train(compose_config(*place, "split=given", *TINY, *store, "epochs=1"))
    result = json.loads((tmp_path / "output" / "result.json").read_text())
    client = mlflow.MlflowClient(uri)
    run = client.get_run(result["run_id"])
    assert {part: run.data.params[f"data.{part}_images"] for part in ("train", "val", "test")} == {
        "train": "24",
        "val": "8",
        "test": "10",
    }
    manifest = pd.read_csv(f"{run.info.artifact_uri.removeprefix('file://')}/data/manifest.csv")
    assert (manifest["file"].str.split("/").str[0] == manifest["split"]).all()
    assert "crack (crack)" in capsys.readouterr().out

    judged = ["run=" + result["run_id"], "evaluation.resamples=20", *store]
    evaluate(compose_config(*judged, *place, root="evaluate"))
    (child,) = client.search_runs(["1"], "tags.mlflow.runName = 'evaluate-folder'")
    (logged,) = child.inputs.dataset_inputs
    assert json.loads(logged.dataset.profile)["images"] == 10
    evaluate(compose_config(*judged, *place, "dataset.merge_parts=true", root="evaluate"))
    assert "32 of the 42 images" in capsys.readouterr().out

    with pytest.raises(DataError, match="Received: 4 cracked, 4 sound"):  # those of val, which are one too few
        calibrate(compose_config("model=" + result["run_id"], *place, *store, root="calibrate"))


def test_an_audit_judges_the_given_split(compose_config: Compose, presplit: Path, tmp_path: Path) -> None:
    place = ["dataset=folder", f"dataset.path={presplit}", "tracking=none", "image_size=32"]
    tiny = ["backbone.alpha=0.35", "backbone.weights=null"]
    with pytest.raises(DataError, match="split=given"):
        audit(compose_config(*place, *tiny, root="audit"))
    audit(compose_config(*place, *tiny, "split=given", root="audit"))
    table = pd.read_csv(tmp_path / "output" / "images.csv")
    assert table["part"].value_counts().to_dict() == {"train": 24, "val": 8, "test": 10}


def test_mix_takes_train_and_also_takes_test(
    compose_config: Compose, presplit: Path, patches: Path, tmp_path: Path
) -> None:
    item = f"[{{folder:{{path:{presplit},name:site}}}}]"
    keys = ["dataset=folder", f"dataset.path={patches}", f"mix={item}", f"evaluation.also={item}", "tracking=none"]
    metrics = train(compose_config(*keys, *TINY, "epochs=1"))
    assert "also/site/accuracy" in metrics
    assert metrics["also/site/accuracy"] * 10 == pytest.approx(round(metrics["also/site/accuracy"] * 10))


@pytest.mark.parametrize("name", ["synthetic", "mendeley"])
def test_a_dataset_that_has_no_split_is_refused_before_it_is_made(compose_config: Compose, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} holds no split.*Received: split=given"):
        build_parts(check(compose_config(f"dataset={name}", "split=given"), TrainConfig))


def test_a_table_of_labels_is_trained_on(compose_config: Compose, presplit: Path, tmp_path: Path) -> None:
    listing = ImageFolder(
        name="x", path=presplit, positive=None, limit=None, on_bad_file="error", cache=tmp_path
    ).listing()
    rows = [
        f"{presplit / file};{name};{part}" for (file, name), part in zip(listing.members, listing.parts, strict=True)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["file;label;split", *rows]))
    keys = ["dataset=folder", f"dataset.path={tmp_path / 'labels.csv'}", "split=given", "tracking=none"]
    metrics = train(compose_config(*keys, *TINY, "epochs=1"))
    assert 0 <= metrics["test/accuracy"] <= 1
