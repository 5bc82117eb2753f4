"""``evaluation.also`` and ``evaluation.corruptions`` as users type them: what is judged, left out and logged."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mlflow
import pandas as pd
import pytest
from omegaconf import DictConfig, OmegaConf

from crackexp.config.checking import check
from crackexp.data.classes.decisions import Classes
from crackexp.data.synthetic import draw_patch
from crackexp.evaluation.extra_datasets import ExtraDatasets
from crackexp.sweep.identity import training_digest
from crackexp.training.config import TrainConfig
from crackexp.utils.errors import ConfigError, DataError
from tests.conftest import TINY, Command, commands_here
from tests.integration.test_train_command import artifacts, last_result, store_of

Compose = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches of two walls and two decks, twelve photos in all, as SDNET2018 keeps them."""
    root = tmp_path_factory.mktemp("site")
    for surface in "DW":
        for cracked, name in enumerate(("U", "C")):
            folder = root / surface / f"{name}{surface}"
            folder.mkdir(parents=True)
            for number in range(24):
                patch = draw_patch(ord(surface), number, bool(cracked), 48)
                cv2.imwrite(str(folder / f"70{number % 6:02}-{number}.jpg"), patch[..., ::-1])
    return root


@pytest.fixture(scope="module")
def words(patches: Path, site: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The overrides of a run that is judged elsewhere too: at a site, and on its own images."""
    same = tmp_path_factory.mktemp("same") / "same"
    shutil.copytree(patches, same)
    also = f"[{{sdnet2018:{{path:{site},surfaces:[decks,walls]}}}},{{folder:{{path:{same},name:same}}}}]"
    corruptions = "evaluation.corruptions=[jpeg,shadow]"
    return ["dataset=folder", f"dataset.path={patches}", *TINY, f"evaluation.also={also}", corruptions]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, words: list[str], cache: Path) -> Path:
    """A folder in which such a run was trained, and what it printed."""
    root = tmp_path_factory.mktemp("judged")
    with commands_here(root, cache) as run:
        done = run("train", *words)
    assert done.returncode == 0, done.stderr
    (root / "printed.txt").write_text(done.stdout)
    return root


def read(store: mlflow.MlflowClient, run_id: str, path: str) -> pd.DataFrame:
    folder = store.get_run(run_id).info.artifact_uri.removeprefix("file://")
    return pd.read_csv(f"{folder}/{path}")


@pytest.mark.slow
def test_a_run_is_judged_on_other_datasets(judged: Path) -> None:
    store, result = store_of(judged), last_result(judged)
    run = store.get_run(result["run_id"])
    metrics = run.data.metrics
    assert metrics["also/sdnet2018/accuracy_low"] < metrics["also/sdnet2018/accuracy_high"]
    assert result["metrics"]["also/sdnet2018/roc_auc"] == metrics["also/sdnet2018/roc_auc"]

    table = read(store, result["run_id"], "also/sdnet2018/predictions.csv")
    assert len(table) == 96
    assert (table["label"] == "Positive").sum() == 48
    assert table["correct"].mean() == pytest.approx(metrics["also/sdnet2018/accuracy"])
    for name in ("confusion_matrix.png", "roc_curve.png", "metrics.csv", "groups.png"):
        assert f"also/sdnet2018/{name}" in artifacts(store, result["run_id"])

    groups = read(store, result["run_id"], "also/sdnet2018/groups.csv").set_index("name")
    assert set(table["group"]) == set(groups.index[groups["kind"] == "photo"])
    assert groups["kind"].value_counts().to_dict() == {"photo": 12, "surface": 2, "set": 1}
    rows = table["path"].str.startswith("W/")
    assert groups.loc["walls", "accuracy"] == pytest.approx(table["correct"][rows].mean())
    assert groups.loc["walls", "photos"] == 6


@pytest.mark.slow
def test_images_of_train_and_val_are_left_out_and_counted(judged: Path) -> None:
    store, result = store_of(judged), last_result(judged)
    params = store.get_run(result["run_id"]).data.params
    test = read(store, result["run_id"], "test/predictions.csv")
    same = read(store, result["run_id"], "also/same/predictions.csv")
    assert set(same["digest"]) == set(test["digest"])
    assert int(params["data.also.same.left_out"]) == 60 - len(test)
    assert int(params["data.also.sdnet2018.left_out"]) == 0
    printed = (judged / "printed.txt").read_text()
    assert f"left out {60 - len(test)} " in printed
    assert result["metrics"]["also/same/accuracy"] == result["metrics"]["test/accuracy"]


@pytest.mark.slow
def test_sets_stand_side_by_side(judged: Path) -> None:
    store, result = store_of(judged), last_result(judged)
    sets = read(store, result["run_id"], "also/sets.csv")
    surfaces = ["sdnet2018: decks", "sdnet2018: walls"]
    assert sets["name"].tolist() == ["folder, test", "sdnet2018", *surfaces, "same", "mean of 2 sets"]
    each = [result["metrics"][f"also/{name}/roc_auc"] for name in ("sdnet2018", "same")]
    assert result["metrics"]["also/mean/roc_auc"] == pytest.approx(sum(each) / 2)
    note = store.get_run(result["run_id"]).data.tags["mlflow.note.content"]
    printed = (judged / "printed.txt").read_text()
    (walls,) = [line for line in note.splitlines() if line.startswith("| sdnet2018: walls ")]
    assert "48 images, 6 photos" in walls
    assert "over the 12 photos" in note
    for text in ("side by side", "12 photos", "over the 12 photos"):
        assert text in printed
    assert "also/sets.png" in artifacts(store, result["run_id"])


@pytest.mark.slow
def test_the_test_images_are_judged_under_corruptions(judged: Path) -> None:
    store, result = store_of(judged), last_result(judged)
    names = {name.split("/")[1] for name in result["metrics"] if name.startswith("corruption/")}
    assert names == {"jpeg_1", "jpeg_2", "jpeg_3", "shadow_1", "shadow_2", "shadow_3", "mean"}
    table = read(store, result["run_id"], "corruption/scores.csv")
    assert len(table) == 8
    assert table["accuracy"][1:7].mean() == pytest.approx(result["metrics"]["corruption/mean/accuracy"])
    assert table["accuracy"][0] == pytest.approx(result["metrics"]["test/accuracy"])
    assert {"corruption/accuracy.png", "corruption/sheet.png"} <= artifacts(store, result["run_id"])
    assert "without corruption" in (judged / "printed.txt").read_text()


@pytest.mark.slow
def test_a_second_run_reads_all_embeddings(
    judged: Path, words: list[str], command_here: Command, tmp_path: Path
) -> None:
    done = command_here("train", *words, "tracking=none")
    assert done.returncode == 0, done.stderr
    again = last_result(tmp_path)["metrics"]
    first = last_result(judged)["metrics"]
    assert again["time/embedded_images"] == 0
    assert {k: v for k, v in again.items() if "time/" not in k} == {k: v for k, v in first.items() if "time/" not in k}


@pytest.mark.slow
def test_a_logged_model_is_judged_on_several_sets(
    judged: Path, site: Path, patches: Path, command_here: Command, tmp_path: Path
) -> None:
    run_id = last_result(judged)["run_id"]
    (tmp_path / "mlruns").symlink_to(judged / "mlruns")
    done = command_here(
        "evaluate", f"run={run_id}", "dataset=sdnet2018", f"dataset.path={site}", "dataset.surfaces=[decks,walls]",
        "evaluation.resamples=20",
        f"evaluation.also=[{{folder:{{path:{patches}}}}}]", "evaluation.corruptions=[jpeg]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store, here, there = store_of(judged), last_result(tmp_path), last_result(judged)
    assert "train or val" in done.stdout
    test = read(store, run_id, "test/predictions.csv")
    assert set(read(store, here["run_id"], "also/folder/predictions.csv")["digest"]) == set(test["digest"])
    for name in ("accuracy", "roc_auc"):
        assert here["metrics"][f"test/{name}"] == pytest.approx(there["metrics"][f"also/sdnet2018/{name}"], abs=1e-6)
        assert here["metrics"][f"also/folder/{name}"] == pytest.approx(there["metrics"][f"test/{name}"], abs=1e-6)
    assert {"test/groups.png", "corruption/sheet.png"} <= artifacts(store, here["run_id"])

    alone = command_here(
        "evaluate", f"run={run_id}", "dataset=folder", f"dataset.path={patches}", "evaluation.resamples=20"
    )
    assert "of the 60 images of folder are in the model's train or val" in alone.stdout


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "Positive" / "bad.jpg").write_bytes(b"none"), ["bad in evaluation.also", "bad.jpg"]),
        (
            lambda folder: (folder / "Positive").rename(folder / "Sprung"),
            ["bad in evaluation.also", "dataset.positive="],
        ),
        (lambda folder: shutil.copytree(folder / "Positive", folder / "Third"), ["bad in evaluation.also", "Third"]),
    ],
    ids=["a damaged image", "unknown classes", "a class too many"],
)
def test_bad_data_is_refused_before_training(
    command_here: Command, patches: Path, tmp_path: Path, spoil: Callable[[Path], Any], words: list[str]
) -> None:
    shutil.copytree(patches, tmp_path / "bad")
    spoil(tmp_path / "bad")
    also = "evaluation.also=[{folder:{path:bad,name:bad}}]"
    done = command_here("train", "dataset=folder", f"dataset.path={patches}", *TINY, also)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "mlruns").exists()


CLASSES = Classes(("Negative", "Positive"), ("Positive",))


def test_a_set_whose_images_were_all_trained_on_is_refused(compose_config: Compose, patches: Path) -> None:
    cfg = check(compose_config(f"evaluation.also=[{{folder:{{path:{patches}}}}}]"), TrainConfig)
    others = ExtraDatasets(cfg)
    others.prepare(CLASSES, ())
    digests = others.indexes["folder"].digests.tolist()
    others.prepare(CLASSES, digests[:10])
    assert (len(others.indexes["folder"]), others.left_out["folder"]) == (50, 10)
    with pytest.raises(DataError, match=r"All images .*train or val"):
        others.prepare(CLASSES, digests)


def test_a_checked_config_is_checked_again_without_a_change(compose_config: Compose, site: Path) -> None:
    once = check(compose_config(f"evaluation.also=[synthetic,{{sdnet2018:{{path:{site},limit:40}}}}]"), TrainConfig)
    assert [list(item) for item in once.evaluation.also] == [["synthetic"], ["sdnet2018"]]
    node = once.evaluation.also[1].sdnet2018
    assert (node.limit, node.surfaces, node.cache) == (40, ["decks", "pavements", "walls"], once.paths.cache)
    assert check(OmegaConf.create(OmegaConf.to_yaml(once)), TrainConfig) == once


def test_the_table_of_the_docs_is_a_config(compose_config: Compose) -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    cfg = check(OmegaConf.merge(compose_config(), OmegaConf.create(block)), TrainConfig)
    assert [node.name for item in cfg.evaluation.also for node in item.values()] == ["synthetic", "sdnet2018", "site"]
    assert cfg.evaluation.also[1].sdnet2018.limit == 5000


@pytest.mark.slow
def test_a_dataset_option_of_ones_own_is_found(command_here: Command, patches: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / "dataset").mkdir(parents=True)
    (tmp_path / "mine" / "dataset" / "bridge.yaml").write_text(
        f"defaults: [folder, _self_]\nname: bridge\npath: {patches}\nlimit: 40\n"
    )
    done = command_here(
        "train", "--config-dir", "mine", "dataset=synthetic", "dataset.count=60", "dataset.size=48", *TINY, "epochs=1",
        "evaluation.also=[bridge]", "tracking=none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Also bridge: 40 images, 20 cracked" in done.stdout


def test_no_set_may_have_the_name_of_their_mean(compose_config: Compose, patches: Path) -> None:
    cfg = check(compose_config(f"evaluation.also=[{{folder:{{path:{patches},name:mean}}}}]"), TrainConfig)
    with pytest.raises(ConfigError, match=r"another name.*Received: a set named mean in evaluation\.also"):
        ExtraDatasets(cfg)


def test_what_other_sets_hold_is_part_of_what_a_run_is(compose_config: Compose, site: Path) -> None:
    cfg = check(compose_config(f"evaluation.also=[{{sdnet2018:{{path:{site}}}}}]"), TrainConfig)
    ids = {training_digest(cfg, "data", {"sdnet2018": content}) for content in ("a", "b")}
    assert len(ids | {training_digest(cfg, "data")}) == 3
