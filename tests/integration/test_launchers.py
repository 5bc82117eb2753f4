"""The same sweep through each launcher: the same metrics, in other processes, in the user's folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.conftest import TINY

Launch = Callable[..., subprocess.CompletedProcess[str]]
CALLBACK = """
import json, os, uuid
from pathlib import Path
import keras

class Mark(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        Path("marks").mkdir(exist_ok=True)
        mark = {"pid": os.getpid(), "cores": sorted(os.sched_getaffinity(0)), "cache": os.environ["CRACKEXP_CACHE"]}
        Path("marks", uuid.uuid4().hex).write_text(json.dumps(mark))
"""
CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def launch(patches: Path, cache: Path) -> Launch:
    """Runs a sweep of three small trials in a folder, each with a callback of the user's own from that folder."""

    def run(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (root / "mine.py").write_text(CALLBACK)
        own = ["+callbacks.mark={_target_: mine.Mark}", "dataset=folder", f"dataset.path={patches}", "tracking=none"]
        words = [
            sys.executable,
            "-m",
            "crackexp.train",
            "-m",
            *TINY,
            "epochs=1",
            *own,
            "dropout=0.1,0.2,0.4",
            *arguments,
        ]
        return subprocess.run(
            words,
            cwd=root,
            env={**os.environ, "CRACKEXP_CACHE": str(cache), "RAY_AUTH_MODE": "disabled", **environment},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def expected(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """The metrics of each trial as Hydra's own launcher gives them, in one process after the other."""
    root = tmp_path_factory.mktemp("basic")
    done = launch(root)
    assert done.returncode == 0, done.stderr[-3000:]
    return metrics(root)


def metrics(root: Path) -> dict[str, dict[str, float]]:
    """Metrics of each trial but for its seconds, by its number."""
    files = sorted(root.glob("multirun/train/*/*/*/result.json"))
    results = {file.parent.name: json.loads(file.read_text())["metrics"] for file in files}
    return {
        trial: {key: value for key, value in result.items() if not key.startswith("time/")}
        for trial, result in results.items()
    }


def marks(root: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in (root / "marks").iterdir()]


def check(
    root: Path, done: subprocess.CompletedProcess[str], expected: dict[str, dict[str, float]], cache: Path
) -> None:
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    found = metrics(root)
    assert found.keys() == expected.keys() == {"0", "1", "2"}
    for trial, values in expected.items():
        assert found[trial] == pytest.approx(values, rel=1e-4, abs=1e-5), trial
    assert len(marks(root)) == 3, "the callback stands in the folder of the command"
    assert {mark["cache"] for mark in marks(root)} == {str(cache)}
    assert "Warning" not in done.stderr, done.stderr


@pytest.mark.slow
def test_joblib_gives_each_process_its_cores(
    launch: Launch, expected: dict[str, dict[str, float]], tmp_path: Path, cache: Path
) -> None:
    done = launch(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")

    check(tmp_path, done, expected, cache)
    cores = {mark["pid"]: mark["cores"] for mark in marks(tmp_path)}
    assert len(cores) == 2
    half = len(CORES) // 2
    assert sorted(cores.values()) == [CORES[: max(1, half)], CORES[half:]]


@pytest.mark.slow
def test_one_process_of_joblib_has_the_machine_for_itself(
    launch: Launch, expected: dict[str, dict[str, float]], tmp_path: Path, cache: Path
) -> None:
    done = launch(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=1")

    check(tmp_path, done, expected, cache)
    assert {(mark["pid"], tuple(mark["cores"])) for mark in marks(tmp_path)} == {
        (marks(tmp_path)[0]["pid"], tuple(CORES))
    }


@pytest.mark.slow
def test_no_ray_cluster_is_told_in_a_sentence(launch: Launch, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'crackexp[launchers]'")
    done = launch(tmp_path, "hydra/launcher=ray", RAY_TMPDIR=str(tmp_path))

    assert done.returncode == 2
    assert "There is no Ray cluster here. Type ray start --head" in done.stderr
    assert "Traceback" not in done.stderr


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of two nodes on this machine, a core each."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'crackexp[launchers]'")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    words = [sys.executable, "-c", CLUSTER]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    yield next(line.split()[1] for line in process.stdout if line.startswith("address"))
    process.communicate("", timeout=60)


@pytest.mark.slow
def test_ray_runs_trials_on_both_nodes_of_a_cluster(
    launch: Launch, expected: dict[str, dict[str, float]], tmp_path: Path, cache: Path, ray_cluster: str
) -> None:
    done = launch(tmp_path, "hydra/launcher=ray", f"hydra.launcher.ray.init.address={ray_cluster}")

    check(tmp_path, done, expected, cache)
    places = [OmegaConf.load(file).hydra.job.id for file in tmp_path.glob("multirun/train/*/*/*/.hydra/hydra.yaml")]
    assert len({place.split("-")[0] for place in places}) == 2, places
    assert {len(mark["cores"]) for mark in marks(tmp_path)} == {1}


@pytest.mark.slow
def test_a_ray_worker_that_dies_is_one_failed_trial(launch: Launch, tmp_path: Path, ray_cluster: str) -> None:
    (tmp_path / "deadly.py").write_text(
        "import os\nimport keras\nclass Die(keras.callbacks.Callback):\n"
        "    def on_train_begin(self, logs=None):\n        if not os.path.exists('died'):\n"
        "            open('died', 'w').close()\n            os._exit(1)\n"
    )
    done = launch(
        tmp_path,
        "hydra/launcher=ray",
        f"hydra.launcher.ray.init.address={ray_cluster}",
        "+callbacks.die={_target_: deadly.Die}",
    )

    assert done.returncode != 0
    assert len(metrics(tmp_path)) == 2


@pytest.mark.slow
def test_submitit_runs_trials_as_jobs(
    launch: Launch, expected: dict[str, dict[str, float]], tmp_path: Path, cache: Path
) -> None:
    done = launch(tmp_path, "hydra/launcher=submitit_local")

    check(tmp_path, done, expected, cache)
    assert len({mark["pid"] for mark in marks(tmp_path)}) == 3


@pytest.mark.slow
def test_slurm_runs_trials_as_jobs(
    launch: Launch, expected: dict[str, dict[str, float]], tmp_path: Path, cache: Path
) -> None:
    if not shutil.which("sbatch") or subprocess.run(["sinfo"], capture_output=True, check=False).returncode:
        pytest.skip("There is no SLURM cluster here")
    small = ["hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=3"]
    done = launch(tmp_path, "hydra/launcher=slurm", *small)

    check(tmp_path, done, expected, cache)
    assert {len(mark["cores"]) for mark in marks(tmp_path)} == {1}


@pytest.mark.slow
def test_a_search_goes_on_after_its_trials(launch: Launch, tmp_path: Path) -> None:
    space = ["+sweep=search", "optimizer.learning_rate=0.001", "dropout=interval(0.0,0.6)", "augmentation=none"]
    for trials in (1, 2):
        done = launch(tmp_path, *space, f"hydra.sweeper.n_trials={trials}", "hydra.sweeper.study_name=one")
        assert done.returncode == 0, done.stderr[-3000:]

    sweeps = sorted(tmp_path.glob("multirun/train/*/*"))
    assert [len(list(sweep.glob("*/result.json"))) for sweep in sweeps] == [1, 1]
    losses = [
        json.loads(file.read_text())["metrics"]["val/loss"]
        for file in tmp_path.glob("multirun/train/*/*/*/result.json")
    ]
    assert OmegaConf.load(sweeps[-1] / "optimization_results.yaml").best_value == pytest.approx(min(losses))
