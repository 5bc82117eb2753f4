"""A policy from training to the decisions of a loaded model, and ``python -m crackexp.calibrate`` on another site."""

import re
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from crackexp.data.classes.decisions import Thresholds
from crackexp.data.images.decode import load_image
from tests.conftest import TINY, Command, commands_here, write_patches
from tests.integration.test_train_command import last_result, store_of

ASKED = ["policy.recall=0.88", "policy.false_alarms=0.12", "policy.confidence=0.5", "+experiment=mobilenet"]
NETWORK = ["backbone.alpha=1", "backbone.weights=bundled", "image_size=48"]
LEARNING = ["epochs=3", "optimizer.learning_rate=0.001", *NETWORK]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, patches: Path, cache: Path) -> Path:
    """A folder in which a model with a policy was trained."""
    root = tmp_path_factory.mktemp("policy")
    words = ["dataset=folder", f"dataset.path={patches}", *TINY, *LEARNING, *ASKED]
    with commands_here(root, cache) as run:
        done = run("train", *words)
    assert done.returncode == 0, done.stderr
    (root / "printed.txt").write_text(done.stdout)
    return root


def thresholds_of(metrics: dict[str, float]) -> Thresholds:
    return Thresholds(metrics["policy/threshold"], metrics["policy/unsure_from"])


def logged_model(root: Path, run_id: str) -> str:
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlruns/mlflow.db")
    return f"runs:/{run_id}/model"


@pytest.mark.slow
def test_the_model_decides_as_its_policy_and_says_what_was_judged(
    trained: Path, command_here: Command, patches: Path, tmp_path: Path
) -> None:
    result = last_result(trained)
    metrics, thresholds = result["metrics"], thresholds_of(result["metrics"])
    assert metrics["policy/temperature"] != 1
    run = store_of(trained).get_run(result["run_id"])
    assert run.data.metrics["policy/threshold"] == thresholds.crack
    printed = (trained / "printed.txt").read_text()
    assert f"{thresholds}, calibrated with temperature" in printed
    judged = pd.read_csv(f"{run.info.artifact_uri.removeprefix('file://')}/test/predictions.csv").set_index("path")
    decided = thresholds.decide(judged["probability"].to_numpy())
    cracked = judged["label"] == "Positive"
    assert metrics["test/decided_recall"] == pytest.approx(np.mean(decided[cracked] != "sound"))
    assert metrics["test/decided_false_alarms"] == pytest.approx(np.mean(decided[~cracked] == "crack"))

    store = f"tracking.uri=sqlite:///{trained}/mlruns/mlflow.db"
    done = command_here("predict", f"model={result['run_id']}", f"input={patches}", store, "out=said.csv")
    assert done.returncode == 0, done.stderr
    said = pd.read_csv(tmp_path / "said.csv")
    said.index = said["path"].str.removeprefix(f"{patches}/")
    np.testing.assert_allclose(said.loc[judged.index, "probability"], judged["probability"], atol=1e-5)
    near = [thresholds.crack, thresholds.unsure]
    clear = np.abs(said["probability"].to_numpy()[:, None] - near).min(axis=1) > 1e-5
    np.testing.assert_array_equal(said["decision"][clear], thresholds.decide(said["probability"].to_numpy())[clear])

    loaded = mlflow.pyfunc.load_model(logged_model(trained, result["run_id"]))
    answers = loaded.predict(np.stack([load_image(Path(path)) for path in said["path"]]))
    assert answers["decision"][clear].tolist() == said["decision"][clear].tolist()
    one = loaded.predict([load_image(Path(said["path"].iloc[0]))], params={"threshold": 0.0})
    assert one["decision"].tolist() == ["crack"]


@pytest.mark.slow
def test_a_site_gets_a_model_of_its_own(trained: Path, command_here: Command, tmp_path: Path) -> None:
    site = write_patches(tmp_path / "site", ("sound", "cracks"), 12, size=64)
    before = last_result(trained)["run_id"]
    store = f"tracking.uri=sqlite:///{trained}/mlruns/mlflow.db"
    done = command_here("calibrate", f"model={before}", f"dataset.path={site}", store)
    assert done.returncode == 0, done.stderr
    assert "Fitted to 24 images of folder, 12 cracked" in done.stdout
    assert re.search(r"f1 +│ [01]\.\d+ +│ [01]\.\d+ ", done.stdout), done.stdout

    result = last_result(tmp_path)
    run = store_of(trained).get_run(result["run_id"])
    assert run.data.tags["mlflow.parentRunId"] == before
    assert run.info.status == "FINISHED"
    metrics = run.data.metrics
    info = mlflow.models.get_model_info(logged_model(trained, run.info.run_id))
    (step,) = info.metadata["calibrations"]
    assert info.metadata["threshold"] == metrics["policy/threshold"]
    assert step["from"] == before
    assert step["threshold_before"] == last_result(trained)["metrics"]["policy/threshold"]

    for name, model in (("old", before), ("new", run.info.run_id)):
        assert command_here("predict", f"model={model}", f"input={site}", store, f"out={name}.csv").returncode == 0
    old, new = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("old", "new"))
    odds, fitted = (np.log(table["probability"] / (1 - table["probability"])) for table in (old, new))
    np.testing.assert_allclose(fitted, step["scale"] * odds + step["shift"], atol=1e-3)
    assert (new["decision"] == "crack").equals(new["probability"] >= metrics["policy/threshold"])

    again = command_here("calibrate", f"model={run.info.run_id}", f"dataset.path={site}", store)
    assert again.returncode == 0, again.stderr
    second = mlflow.models.get_model_info(logged_model(trained, last_result(tmp_path)["run_id"]))
    assert [one["from"] for one in second.metadata["calibrations"]] == [before, run.info.run_id]
    assert second.metadata["trained_in"] == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tracking=none"], ["takes a store", "tracking=local"]),
        (["policy.recall=0.9"], ["takes 29 cracked images", "there are 12"]),
        (["dataset.limit=8"], ["5 cracked and 5 sound", "4 cracked"]),
        (["dataset.path=nowhere"], ["nowhere"]),
        (["batch_size=0"], ["batch_size", "greater than 0"]),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(
    trained: Path, command_here: Command, tmp_path: Path, words: list[str], told: list[str]
) -> None:
    site = write_patches(tmp_path / "site", ("sound", "cracks"), 12)
    store = f"tracking.uri=sqlite:///{trained}/mlruns/mlflow.db"
    count = len(store_of(trained).search_runs(["1"]))
    given = [f"model={last_result(trained)['run_id']}", f"dataset.path={site}"]
    done = command_here("calibrate", *given, *([] if words[0] == "tracking=none" else [store]), *words)
    assert done.returncode == 2, done.stdout + done.stderr
    for word in told:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert len(store_of(trained).search_runs(["1"])) == count
