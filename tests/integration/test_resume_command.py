"""``python -m crackexp.train resume=RUN_ID`` as users type it, after real kills."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from tests.conftest import TINY, Command

FROZEN = [*TINY, "epochs=6", "callbacks=plateau", "dropout=0.5", "optimizer.learning_rate=0.01"]
FINETUNE = [*TINY, "trainer=finetune", "epochs=2", "trainer.epochs=3", "trainer.unfreeze_from=block_16_expand"]
DIES_LOGGING = (
    "import os, runpy, signal; from crackexp.evaluation import report; "
    "report.log_evaluation = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL); "
    "runpy.run_module('crackexp.train', run_name='__main__', alter_sys=True)"
)
"""``python -m crackexp.train`` that is killed when the training is over and the test is logged."""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def data(patches: Path) -> list[str]:
    return ["dataset=folder", f"dataset.path={patches}"]


@pytest.fixture
def start(tmp_path: Path, cache: Path, data: list[str]) -> Start:
    """Starts a Python command on the patches, in the test's own folder."""

    def begin(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words, *data],
            cwd=tmp_path,
            env={**os.environ, "CRACKEXP_CACHE": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return begin


@pytest.fixture
def client(tmp_path: Path) -> mlflow.MlflowClient:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    return mlflow.MlflowClient()


def stop_at(process: subprocess.Popen[str], line: str, stop: signal.Signals) -> str:
    """Sends `stop` when the program prints `line`, and returns what it printed."""
    with process:
        assert process.stdout
        printed = []
        for text in process.stdout:
            printed.append(text)
            if text.startswith(line):
                process.send_signal(stop)
        assert process.wait(60) != 0
    return "".join(printed)


def the_run() -> Any:
    (run,) = mlflow.search_runs(experiment_names=["crackexp"], output_format="list")
    return run


def result(client: mlflow.MlflowClient, run_id: str) -> dict[str, float]:
    text = mlflow.artifacts.load_text(f"{client.get_run(run_id).info.artifact_uri}/result.json")
    return {name: value for name, value in json.loads(text)["metrics"].items() if not name.startswith("time/")}


def curves(client: mlflow.MlflowClient, run_id: str) -> dict[str, list[tuple[int, float]]]:
    names = [name for name in client.get_run(run_id).data.metrics if not name.startswith("time/")]
    return {name: [(m.step, m.value) for m in client.get_metric_history(run_id, name)] for name in names}


def assert_as_undisturbed(client: mlflow.MlflowClient, run_id: str, run: Command, job: list[str]) -> None:
    """The run ended as the same command does that nobody stops."""
    done = run("train", *job)
    assert done.returncode == 0, done.stderr
    newest, resumed = mlflow.search_runs(experiment_names=["crackexp"], output_format="list")
    assert resumed.info.run_id == run_id
    assert result(client, run_id) == result(client, newest.info.run_id)
    assert curves(client, run_id) == curves(client, newest.info.run_id)
    assert resumed.info.status == "FINISHED"
    assert "error" not in resumed.data.tags
    assert resumed.data.params == newest.data.params
    assert resumed.data.tags["cell.id"] == newest.data.tags["cell.id"]


@pytest.mark.slow
@pytest.mark.parametrize(("job", "epoch"), [(FROZEN, "Epoch 4/6"), (FINETUNE, "Epoch 4/5")], ids=["frozen", "finetune"])
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(
    command_here: Command,
    start: Start,
    client: mlflow.MlflowClient,
    cache: Path,
    data: list[str],
    job: list[str],
    epoch: str,
) -> None:
    stop_at(start("-m", "crackexp.train", *job), epoch, signal.SIGKILL)
    run = the_run()
    run_id = run.info.run_id
    assert run.info.status == "RUNNING"
    assert (cache / "states" / run_id / "state.npz").is_file()

    done = command_here("train", "resume=latest")
    assert done.returncode == 0, done.stderr
    assert run_id[:8] in done.stdout.splitlines()[0]
    assert "Epoch 1/" not in done.stdout
    assert not (cache / "states" / run_id).exists()
    assert_as_undisturbed(client, run_id, command_here, [*job, *data])

    again = command_here("train", f"resume={run_id}")
    assert again.returncode == 2
    assert "has finished" in again.stderr


@pytest.mark.slow
def test_a_run_that_is_stopped_says_how_to_resume_it(
    command_here: Command, start: Start, client: mlflow.MlflowClient, data: list[str]
) -> None:
    printed = stop_at(start("-m", "crackexp.train", *FROZEN), "Epoch 3/6", signal.SIGTERM)
    run_id = the_run().info.run_id
    assert the_run().info.status == "KILLED"
    (line,) = [text for text in printed.splitlines() if text.startswith("Resume it")]
    words = shlex.split(line.removeprefix("Resume it"))
    assert words == ["python", "-m", "crackexp.train", f"resume={run_id}"]
    assert command_here("train", *words[3:]).returncode == 0
    assert_as_undisturbed(client, run_id, command_here, [*FROZEN, *data])


@pytest.mark.slow
def test_a_run_killed_after_its_training_is_tested_and_logged(
    command_here: Command, start: Start, client: mlflow.MlflowClient, data: list[str]
) -> None:
    with start("-c", DIES_LOGGING, *FROZEN) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    run_id = the_run().info.run_id
    done = command_here("train", f"resume={run_id}")
    assert done.returncode == 0, done.stderr
    assert "Epoch" not in done.stdout
    assert_as_undisturbed(client, run_id, command_here, [*FROZEN, *data])


@pytest.mark.slow
def test_a_run_that_is_trained_by_another_process_is_refused(
    command_here: Command, start: Start, client: mlflow.MlflowClient
) -> None:
    with start("-m", "crackexp.train", *FROZEN, "epochs=100000", "callbacks=none") as process:
        try:
            assert process.stdout
            next(line for line in process.stdout if line.startswith("Epoch 2/"))
            run_id = the_run().info.run_id
            refused = command_here("train", f"resume={run_id}")
        finally:
            process.kill()
    assert refused.returncode == 2
    assert "another process" in refused.stderr
    assert client.get_run(run_id).info.status == "RUNNING"
    assert "error" not in client.get_run(run_id).data.tags


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("resume=nothing", ["holds no such run", "Received: resume=nothing"]),
        ("resume=nothing dropout=0.1", ["Type python -m crackexp.train resume=nothing", "Received: dropout=0.1"]),
        ("resume=nothing tracking=none", ["Type tracking=local", "Received: tracking=none"]),
        (
            "resume=nothing tracking=server tracking.uri=http://127.0.0.1:9",
            ["No tracking server answers", "127.0.0.1:9"],
        ),
    ],
)
def test_what_cannot_be_resumed_is_refused_in_a_sentence(
    command_here: Command, arguments: str, words: list[str]
) -> None:
    done = command_here("train", *arguments.split())
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_run_of_another_kind_is_refused(command_here: Command, client: mlflow.MlflowClient) -> None:
    experiment = client.create_experiment("other")
    run_id = client.create_run(experiment).info.run_id
    client.set_terminated(run_id, "KILLED")
    done = command_here("train", f"resume={run_id}")
    assert done.returncode == 2
    assert "no training run" in done.stderr
