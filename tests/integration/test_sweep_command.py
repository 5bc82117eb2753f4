"""``python -m crackexp.train -m`` as users type it: kept trials, failed trials, kills, and the answer of the parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from filelock import FileLock
from mlflow.entities import Run

from tests.conftest import LISTENING, TINY, Command, commands_here

PLAIN = [*TINY, "dataset=synthetic", "dataset.count=80", "dataset.size=48"]
SMALL = [*PLAIN, "tracking.log_model=false"]
GRID = ["dropout=0.1,0.4", "seed=0,1"]


def runs(root: Path) -> list[Run]:
    client = mlflow.MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("crackexp")
    return list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"])) if experiment else []


def parents(root: Path) -> list[Run]:
    return [run for run in runs(root) if "sweep.key" in run.data.tags]


def children(root: Path) -> list[Run]:
    return [run for run in runs(root) if "sweep.settings" in run.data.tags]


def scores(root: Path) -> dict[str, dict[str, float]]:
    """The metrics of each finished trial but for its seconds and what the sweep says of it, by its name."""
    return {
        run.info.run_name: {
            key: value for key, value in run.data.metrics.items() if not key.startswith(("time/", "sweep/"))
        }
        for run in children(root)
        if run.info.status == "FINISHED"
    }


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder in which a sweep of four trials ran to its end."""
    root = tmp_path_factory.mktemp("sweep")
    done = sweep(root, cache, *GRID)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    (root / "printed.txt").write_text(done.stdout)
    return root


def sweep(root: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with commands_here(root, cache) as run:
        return run("train", "-m", *SMALL, *arguments)


def test_a_sweep_is_a_parent_with_a_child_a_trial(swept: Path) -> None:
    (parent,) = parents(swept)
    trials = children(swept)
    assert {trial.info.run_name for trial in trials} == {
        f"dropout={dropout}, seed={seed}" for dropout in (0.1, 0.4) for seed in (0, 1)
    }
    assert {trial.data.tags["mlflow.parentRunId"] for trial in trials} == {parent.info.run_id}
    assert {run.info.status for run in runs(swept)} == {"FINISHED"}
    assert {trial.data.params["dropout"] for trial in trials} == {"0.1", "0.4"}
    assert parent.data.metrics["sweep/cells"] == parent.data.metrics["sweep/finished"] == 4


def test_the_parent_tells_the_answer(swept: Path) -> None:
    (parent,) = parents(swept)
    note = parent.data.tags["mlflow.note.content"]
    client = mlflow.MlflowClient(f"sqlite:///{swept}/mlruns/mlflow.db")
    files = {file.path for file in client.list_artifacts(parent.info.run_id, "sweep")}
    assert {"sweep/report.html", "sweep/cells.csv"} <= files
    printed = (swept / "printed.txt").read_text()
    sentence = note.splitlines()[0].strip("*# ")
    assert sentence in " ".join(printed.split())
    assert "[  4/4]" in printed
    assert f"model=best:{parent.info.run_id[:8]}" in printed
    best = {run.info.run_id: run for run in children(swept)}[parent.data.tags["sweep.best"]]
    assert best.data.tags["sweep.verdict"] == "best"
    repeats = [run for run in children(swept) if run.data.params["dropout"] == best.data.params["dropout"]]
    assert best.data.metrics["sweep/accuracy"] == max(run.data.metrics["sweep/accuracy"] for run in repeats)


def test_the_same_command_again_computes_nothing(swept: Path, cache: Path) -> None:
    before = len(runs(swept))
    again = sweep(swept, cache, *GRID)
    assert again.returncode == 0, again.stderr[-2000:]
    assert again.stdout.count("kept from before") == 4
    assert len(runs(swept)) == before


@pytest.mark.slow
def test_a_larger_sweep_keeps_the_trials_of_a_smaller_one(swept: Path, cache: Path) -> None:
    before = scores(swept)
    larger = sweep(swept, cache, "dropout=0.1,0.2,0.4", "seed=0")
    assert larger.returncode == 0, larger.stderr[-2000:]
    assert larger.stdout.count("kept from before") == 2
    newest = parents(swept)[-1]
    trials = [trial for trial in children(swept) if trial.data.tags["mlflow.parentRunId"] == newest.info.run_id]
    adopted = next(trial for trial in trials if trial.data.params["dropout"] == "0.4")
    for name, value in before["dropout=0.4, seed=0"].items():
        assert adopted.data.metrics[name] == value
    original = next(run for run in runs(swept) if run.info.run_id == adopted.data.tags["sweep.reused_from"])
    assert adopted.data.tags["mlflow.note.content"] == original.data.tags["mlflow.note.content"]
    assert len(trials) == 3

    shown = len(children(swept))
    again = sweep(swept, cache, "dropout=0.1,0.2,0.4", "seed=0")
    assert again.stdout.count("kept from before") == 3
    assert len(children(swept)) == shown


@pytest.mark.slow
def test_a_trial_equals_the_same_run_alone(swept: Path, command: Command, tmp_path: Path) -> None:
    alone = command("train", *SMALL, "dropout=0.4", "seed=1", CRACKEXP_CACHE=str(tmp_path / "empty"))
    assert alone.returncode == 0, alone.stderr[-2000:]
    (run,) = runs(tmp_path)
    mine = {key: value for key, value in run.data.metrics.items() if not key.startswith("time/")}
    assert mine == scores(swept)["dropout=0.4, seed=1"]
    trial = next(trial for trial in children(swept) if trial.info.run_name == "dropout=0.4, seed=1")
    assert run.data.tags["cell.id"] == trial.data.tags["cell.id"]


@pytest.mark.slow
def test_rerun_computes_all_trials_again(command_here: Command, tmp_path: Path) -> None:
    words = ["-m", *SMALL, "dropout=0.1,0.4", "epochs=1"]
    for arguments in (words, [*words, "sweep.rerun=true"]):
        done = command_here("train", *arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "kept from before" not in done.stdout
    assert len(parents(tmp_path)) == 2
    assert len(children(tmp_path)) == 4


@pytest.mark.slow
def test_a_failing_trial_is_recorded_and_the_others_go_on(command_here: Command, tmp_path: Path) -> None:
    words = ["-m", *SMALL, "dropout=0.1,2,0.4", "epochs=1"]
    done = command_here("train", *words)
    assert done.returncode == 1
    status = {trial.info.run_name: trial.info.status for trial in children(tmp_path)}
    assert status == {"dropout=0.1": "FINISHED", "dropout=2": "FAILED", "dropout=0.4": "FINISHED"}
    failed = next(trial for trial in children(tmp_path) if trial.info.status == "FAILED")
    assert "dropout: must be less than 1" in failed.data.tags["error"]
    assert parents(tmp_path)[0].info.status == "FAILED"
    assert "crackexp.train -m" in done.stdout

    again = command_here("train", *words)
    assert again.returncode == 1
    assert again.stdout.count("kept from before") == 2


@pytest.mark.slow
def test_without_tracking_the_trials_just_run(command_here: Command, tmp_path: Path) -> None:
    done = command_here("train", "-m", *PLAIN, "tracking=none", "dropout=0.1,0.4", "epochs=1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[  2/2]" in done.stdout
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_sweep_goes_on_where_it_was(
    swept: Path, command_here: Command, cache: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    words = [sys.executable, "-c", LISTENING, "-m", *SMALL, *GRID]
    environment = {**os.environ, "CRACKEXP_CACHE": str(cache)}
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 200
    while len(list(tmp_path.glob("multirun/**/cell.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.7)
    process.send_signal(stop)
    process.wait(60)
    finished = {run.info.run_id for run in children(tmp_path) if run.info.status == "FINISHED"}
    assert len(finished) >= 2
    if stop != signal.SIGKILL:
        assert parents(tmp_path)[0].info.status == "KILLED"

    done = command_here("train", "-m", *SMALL, *GRID)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("kept from before") == len(finished)
    found, undisturbed = scores(tmp_path), scores(swept)
    assert len(found) == 4
    assert found == {name: undisturbed[name] for name in found}
    assert not [run for run in runs(tmp_path) if run.info.status == "RUNNING"]
    assert finished <= {run.info.run_id for run in children(tmp_path) if run.info.status == "FINISHED"}
    assert len(parents(tmp_path)) == 1


@pytest.mark.slow
def test_the_same_sweep_twice_at_once_is_refused(command_here: Command, tmp_path: Path) -> None:
    words = ["-m", *PLAIN, "dropout=2,3", "tracking=none", f"paths.cache={tmp_path / 'own'}"]
    done = command_here("train", *words)
    assert done.returncode == 1, done.stderr[-2000:]
    (lock,) = (tmp_path / "own" / "sweeps").glob("*.lock")
    with FileLock(lock):
        refused = command_here("train", *words)
    assert refused.returncode == 2
    assert "already running" in refused.stderr


@pytest.mark.slow
def test_compare_prints_the_same_answer(swept: Path) -> None:
    parent = parents(swept)[0]
    done = compare(swept, parent.info.run_id, "--html")
    assert done.returncode == 0, done.stderr[-2000:]
    sentence = parent.data.tags["mlflow.note.content"].splitlines()[0].strip("*# ")
    assert sentence in " ".join(done.stdout.split())
    assert "<html" in (swept / "comparison.html").read_text()


@pytest.mark.slow
def test_compare_takes_any_runs(swept: Path) -> None:
    ids = [trial.info.run_id for trial in children(swept) if trial.data.params["seed"] == "0"]
    done = compare(swept, *ids[:2])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "dropout" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("word", "answer"), [("0" * 32, "holds no such run"), ("metric=f1", "Type metric=NAME")])
def test_compare_refuses_in_a_sentence(swept: Path, word: str, answer: str) -> None:
    done = compare(swept, children(swept)[0].info.run_id, word)
    assert done.returncode == 2
    assert answer in done.stderr
    assert "Received:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_compare_refuses_runs_judged_on_other_images(swept: Path, cache: Path) -> None:
    with commands_here(swept, cache) as run:
        assert run("train", *SMALL, "dataset.draw_seed=9", "epochs=1").returncode == 0
    done = compare(swept, children(swept)[0].info.run_id, runs(swept)[-1].info.run_id)
    assert done.returncode == 2
    assert "Received:" in done.stderr


def compare(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    with commands_here(root, None) as run:
        return run("compare", *words)


def test_results_of_kept_trials_are_written(swept: Path) -> None:
    results = [json.loads(file.read_text()) for file in swept.glob("multirun/**/result.json")]
    assert len(results) >= 4
    assert all(0 <= result["metrics"]["test/accuracy"] <= 1 for result in results)
