"""``register=NAME`` as users type it: who becomes champion, in one run and in a sweep, and who loads it then."""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from omegaconf import DictConfig

from crackexp.evaluate import evaluate
from crackexp.predict import predict
from crackexp.survey import survey
from tests.conftest import commands_here

JOB = [
    "backbone=small_cnn", "backbone.widths=[8,16]", "trainer=scratch", "augmentation=none", "callbacks=none",
    "image_size=48", "batch_size=16", "epochs=30", "optimizer.learning_rate=0.01", "evaluation.resamples=20",
    "dataset=synthetic", "dataset.count=240", "dataset.size=48", "split.ratio=[0.5,0.1,0.4]",
]  # fmt: skip
"""A network of a few thousand weights that learns to see most drawn cracks in seconds."""

HANDICAPPED = "optimizer.learning_rate=1e-9"
RATES = f"{HANDICAPPED},0.01"
Compose = Callable[..., DictConfig]


def train(root: Path, cache: Path, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """Returns what the command prints."""
    with commands_here(root, cache) as run:
        done = run("train", *options, *JOB, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def client_of(root: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder in which the job ran, and then ran with a handicap; with what the two printed."""
    root = tmp_path_factory.mktemp("registered")
    (root / "first.txt").write_text(train(root, cache, "register=tiny"))
    (root / "second.txt").write_text(train(root, cache, "register=tiny", HANDICAPPED))
    return root


@pytest.mark.slow
def test_the_first_run_becomes_champion_and_a_poorer_one_does_not(registered: Path) -> None:
    client = client_of(registered)
    first, second = (str(client.get_model_version("tiny", number).tags["registry.verdict"]) for number in ("1", "2"))
    assert first == "tiny version 1 becomes champion: there was none."
    assert second.startswith("tiny version 2 does not become champion: 48 errors on the 96 test images that both share")
    assert "by version 1, which is better (p < 0.001)." in second
    assert f"Registry    {first}\n" in (registered / "first.txt").read_text()
    assert f"Registry    {second}\n" in (registered / "second.txt").read_text()
    run = client.get_run(client.get_model_version("tiny", "2").run_id)
    assert (run.info.status, run.data.tags["registry.verdict"]) == ("FINISHED", second)
    assert str(client.get_model_version_by_alias("tiny", "champion").version) == "1"


@pytest.mark.slow
def test_the_champion_is_evaluated_asked_and_surveyed_by_its_alias(
    registered: Path, patches: Path, compose_config: Compose, tmp_path: Path
) -> None:
    client = client_of(registered)
    store, champion = f"tracking.uri={client.tracking_uri}", client.get_model_version("tiny", "1").run_id
    name = "models:/tiny@champion"
    evaluate(compose_config(f"run={name}", "dataset=folder", f"dataset.path={patches}", store, root="evaluate"))
    judged = json.loads((tmp_path / "output" / "result.json").read_text())["run_id"]
    assert client.get_run(judged).data.tags["mlflow.parentRunId"] == champion

    out = tmp_path / "table.csv"
    words = [f"model={name}", f"input={patches}", f"out={out}", store]
    assert predict(compose_config(*words, root="predict")).exit_status == 0
    assert pd.read_csv(out)["decision"].isin(["crack", "sound"]).all()

    photo, folder = patches / "Positive" / "000.jpg", tmp_path / "survey"
    words = [f"model={name}", f"input={photo}", f"out={folder}", "tile.size=48", store]
    assert survey(compose_config(*words, root="survey")).exit_status == 0
    assert list(folder.glob("*.html"))


@pytest.mark.slow
def test_the_champion_is_served_by_its_alias(
    registered: Path, patches: Path, serve_mlflow: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client_of(registered).tracking_uri)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    server = serve_mlflow("models serve", "--model-uri", "models:/tiny@champion", "--env-manager", "local")
    photo = base64.b64encode((patches / "Positive" / "000.jpg").read_bytes()).decode()
    data, headers = json.dumps({"inputs": [photo]}).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{server}/invocations", data, headers), timeout=60) as answer:
        (row,) = json.load(answer)["predictions"]
    assert row["decision"] in ("crack", "sound")


@pytest.mark.slow
def test_a_sweep_of_kept_cells_registers_none_again(registered: Path, cache: Path) -> None:
    """The two runs before are found again as trials of the sweep; the best is the champion that stands."""
    client = client_of(registered)
    printed = train(registered, cache, "register=tiny", RATES, options=("-m",))
    assert printed.count("kept from before") == 2
    said = "tiny version 1 (learning_rate=0.01, the best of 2 trials) is champion already."
    assert f"Registry    {said}\n" in printed
    assert len(client.search_model_versions("name = 'tiny'")) == 2


@pytest.mark.slow
def test_a_sweep_registers_its_best_trial(registered: Path, cache: Path) -> None:
    client = client_of(registered)
    printed = train(registered, cache, "register=other", RATES, "dropout=0.2", options=("-m",))
    said = "other version 1 (learning_rate=0.01, the best of 2 trials) becomes champion: there was none."
    assert f"Registry    {said}\n" in printed
    (version,) = client.search_model_versions("name = 'other'")
    assert version.tags["registry.verdict"] == said
    trial = client.get_run(version.run_id)
    assert trial.data.params["optimizer.learning_rate"] == "0.01"
    assert trial.data.tags["registry.verdict"] == said
    assert client.get_run(trial.data.tags["mlflow.parentRunId"]).data.tags["registry.verdict"] == said
    consoles = "".join(file.read_text() for file in registered.glob("multirun/**/console.log"))
    assert consoles.count("The sweep of this run registers the best of its trials as other when it ends.") == 2


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["register=tiny,other"], "All trials of a sweep share register."),
        (["register=tiny", "dropout=0.1,0.2", "tracking=none"], "Received: register=tiny tracking=none"),
    ],
)
def test_a_sweep_that_cannot_register_is_refused_at_its_start(
    command_here: Callable[..., subprocess.CompletedProcess[str]], words: list[str], answer: str
) -> None:
    done = command_here("train", "-m", *words)
    assert done.returncode == 2
    assert answer in done.stderr
    assert "Received:" in done.stderr
    assert "Traceback" not in done.stderr
