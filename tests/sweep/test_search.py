"""The search: a Hydra app whose answer is known, searched by our sweeper with real Optuna."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf

from crackexp.config.options import conf_dir

APP = """
import json, os
from pathlib import Path
import hydra
from omegaconf import OmegaConf
from crackexp.utils.errors import UserError, refuse
os.environ["HYDRA_FULL_ERROR"] = "1"

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(cfg):
    values = OmegaConf.to_container(cfg)
    with Path("jobs.txt").open("a") as file:
        file.write(json.dumps(values["search"]) + "\\n")
    if cfg.dies and len(Path("jobs.txt").read_text().splitlines()) == cfg.dies:
        os._exit(9)
    search = cfg.search
    if search.kind == "bad" or search.x > cfg.fails_above:
        raise ValueError(f"x={search.x} is too much")
    return float("nan") if search.kind == "text" else (search.x - 0.3) ** 2

try:
    main()
except UserError as error:
    refuse(str(error))
"""
CONFIG = """
hydra:
  searchpath: [file://{conf}]
  output_subdir: null
  sweep:
    dir: sweeps/${{now:%H-%M-%S-%f}}
seed: 0
paths:
  root: {root}
search: {{x: 0.0, rate: 0.1, layers: 1, steps: 8, kind: plain, ratio: [0.7, 0.2, 0.1], note: null}}
fails_above: 99
dies: 0
"""
Search = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def search(tmp_path: Path) -> Search:
    """Runs a search of the app in the test's folder."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "config.yaml").write_text(CONFIG.format(conf=conf_dir(), root=tmp_path))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "app.py", "-m", "hydra/sweeper=optuna", *arguments]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    return run


def jobs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "jobs.txt").read_text().splitlines()]


def best(folder: Path) -> dict[str, Any]:
    file = max(folder.glob("sweeps/*/optimization_results.yaml"))
    return OmegaConf.to_container(OmegaConf.load(file))  # type: ignore[return-value]


def test_a_search_finds_the_smallest_value(search: Search, tmp_path: Path) -> None:
    done = search("hydra.sweeper.n_trials=12", "search.x=interval(-10.0,10.0)")

    assert done.returncode == 0, done.stderr
    values = [(job["x"] - 0.3) ** 2 for job in jobs(tmp_path)]
    assert len(values) == 12
    assert best(tmp_path)["best_value"] == min(values) < 1
    assert "12 of 12 trials finished" in done.stdout


@pytest.mark.slow
def test_each_kind_of_sweep_is_a_distribution_of_its_own(search: Search, tmp_path: Path) -> None:
    done = search(
        "hydra.sweeper.n_trials=25",
        "hydra.sweeper.sampler._target_=optuna.samplers.RandomSampler",
        "search.x=0.1,0.2",
        "search.rate=tag(log,interval(1e-6,1))",
        "search.layers=int(interval(1,3))",
        "search.steps=range(8,33,8)",
        "search.kind=choice(plain,'with space')",
        "search.ratio=choice([0.7,0.2,0.1],[0.6,0.2,0.2])",
        "search.note=null,1,true",
    )

    assert done.returncode == 0, done.stderr
    seen = {key: [job[key] for job in jobs(tmp_path)] for key in jobs(tmp_path)[0]}
    assert set(seen["x"]) == {0.1, 0.2}
    assert set(seen["layers"]) == {1, 2, 3}
    assert set(seen["steps"]) == {8, 16, 24, 32}
    assert set(seen["kind"]) == {"plain", "with space"}
    assert {tuple(ratio) for ratio in seen["ratio"]} == {(0.7, 0.2, 0.1), (0.6, 0.2, 0.2)}
    assert {str(note) for note in seen["note"]} == {"None", "1", "True"}
    assert all(1e-6 <= rate <= 1 for rate in seen["rate"])
    assert sum(rate < 1e-3 for rate in seen["rate"]) > 5, "half of a log scale lies below 1e-3"


@pytest.mark.slow
def test_the_same_search_goes_on_where_it_was_stopped(search: Search, tmp_path: Path) -> None:
    space = ("hydra.sweeper.study_name=mine", "search.x=interval(0.0,1.0)")
    killed = search("hydra.sweeper.n_trials=5", *space, "dies=3")
    assert killed.returncode == 9
    cut_off = jobs(tmp_path)[-1]

    done = search("hydra.sweeper.n_trials=5", *space)

    assert done.returncode == 0, done.stderr
    assert "goes on after 3 of 5 trials" in done.stdout
    assert jobs(tmp_path)[3] == cut_off, "the trial that was cut off runs again, with its values"
    assert len({job["x"] for job in jobs(tmp_path)}) == 5
    study = optuna.load_study(study_name="mine", storage=f"sqlite:///{tmp_path}/mlruns/search.db")
    assert [trial.state.name for trial in study.trials] == 5 * ["COMPLETE"]

    assert search("hydra.sweeper.n_trials=5", *space).returncode == 0
    assert len(jobs(tmp_path)) == 6, "nothing is left to run"
    assert search("hydra.sweeper.n_trials=6", *space).returncode == 0
    assert len(jobs(tmp_path)) == 7

    other_space = search("hydra.sweeper.n_trials=9", "hydra.sweeper.study_name=mine", "search.x=choice(0.1,0.2)")
    assert other_space.returncode == 2
    assert "Type another hydra.sweeper.study_name" in other_space.stderr


@pytest.mark.slow
def test_one_seed_makes_one_search(search: Search, tmp_path: Path) -> None:
    for seed in (0, 0, 1):
        words = ("hydra.sweeper.n_trials=3", "hydra.sweeper.storage=null", "search.x=interval(0.0,1.0)")
        assert search(*words, f"seed={seed}").returncode == 0
    values = [job["x"] for job in jobs(tmp_path)]
    assert values[:3] == values[3:6] != values[6:]


@pytest.mark.slow
def test_failed_trials_are_borne_up_to_the_rate(search: Search, tmp_path: Path) -> None:
    words = ("hydra.sweeper.n_trials=8", "search.x=range(0,8)", "fails_above=-1")
    borne = search(*words, "hydra.sweeper.max_failure_rate=1.0")
    assert borne.returncode == 0, borne.stderr
    assert "0 of 8 trials finished" in borne.stdout

    (tmp_path / "jobs.txt").unlink()
    ended = search(*words, "hydra.sweeper.max_failure_rate=0.25", "hydra.sweeper.study_name=again")
    assert ended.returncode == 1
    assert len(jobs(tmp_path)) == 3
    assert "3 of 3 trials failed" in ended.stdout
    assert "is too much" in ended.stderr


def test_a_value_that_is_no_number_is_a_failure(search: Search, tmp_path: Path) -> None:
    done = search("hydra.sweeper.n_trials=4", "hydra.sweeper.max_failure_rate=0", "search.kind=choice(text)")
    assert done.returncode == 2
    assert "must return a finite number" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "A search needs something to vary"),
        (["search.x=interval(0.0,1.0)", "hydra.sweeper.direction=down"], "hydra.sweeper.direction=minimize"),
    ],
)
def test_a_search_that_cannot_be_is_refused(search: Search, arguments: list[str], said: str) -> None:
    done = search(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_in_a_folder_that_would_be_read_as_another_is_refused(search: Search, tmp_path: Path) -> None:
    storage = f"hydra.sweeper.storage=sqlite:///{tmp_path}/100%20/search.db"
    refused = search("hydra.sweeper.n_trials=2", storage, "search.x=interval(0.0,1.0)")
    assert refused.returncode == 2, refused.stderr
    assert "'100%20'" in refused.stderr
    assert storage in refused.stderr
