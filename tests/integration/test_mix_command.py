"""Training on several datasets at once, as users type it: what is printed and logged, swept and resumed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from crackexp.tracking.runs import training_digests
from tests.conftest import TINY, Command, write_patches

DIES_TESTING = (
    "import os, runpy, signal; from crackexp.training import run_log; "
    "run_log.log_training = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL); "
    "runpy.run_module('crackexp.train', run_name='__main__', alter_sys=True)"
)
"""``python -m crackexp.train`` that is killed when the training is over."""
MIX = "mix=[{folder:{path:SITE,name:site,weight:0.5}},{synthetic:{count:12,size:48,cracks:thin}}]"


@pytest.fixture
def job(patches: Path, tmp_path: Path) -> list[str]:
    """A small job that mixes in 12 drawn patches and 40 of a site, 9 of which are copies of images in val and test."""
    site = write_patches(tmp_path / "site", ("sound", "crack"), 5, size=50)
    for number in range(30):
        held = patches / "Positive" / f"{number:03}.jpg"
        (site / "crack" / f"copy{number}.jpg").write_bytes(held.read_bytes())
    return ["dataset=folder", f"dataset.path={patches}", *TINY, MIX.replace("SITE", str(site))]


@pytest.mark.slow
def test_several_datasets_train_one_model(command_here: Command, job: list[str], tmp_path: Path) -> None:
    done = command_here("train", *job)
    assert done.returncode == 0, done.stderr
    assert "left out 9 of 40 images of site: they are in val or test" in done.stdout + done.stderr
    assert "of them site, weight 0.5" in done.stdout

    store = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = store.search_runs([store.get_experiment_by_name("crackexp").experiment_id])
    assert run.info.run_name.startswith("folder+site+synthetic-")
    params = run.data.params
    assert params["data.train_images"] == str(42 + 31 + 12)
    assert (params["data.val_images"], params["data.test_images"]) == ("12", "6")
    assert params["data.mixed_images.site"] == "31"
    assert params["mix.1.synthetic.cracks"] == "thin"
    inputs = {one.dataset.name: one for one in run.inputs.dataset_inputs}
    assert {name: json.loads(one.dataset.profile)["images"] for name, one in inputs.items()} == {
        "folder": 60,
        "site": 40,
        "synthetic": 12,
    }
    assert [tag.value for tag in inputs["site"].tags] == ["mixed"]
    assert len({one.dataset.digest for one in inputs.values()}) == 3
    # train and val, 10 images of the site that are no copies of those, and the drawn ones
    assert len(training_digests(run.info.run_id, f"sqlite:///{tmp_path}/mlruns/mlflow.db") or ()) == 42 + 12 + 10 + 12


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_its_mix(
    job: list[str], command_here: Command, tmp_path: Path, cache: Path
) -> None:
    subprocess.run(
        [sys.executable, "-c", DIES_TESTING, *job],
        cwd=tmp_path,
        env={**os.environ, "CRACKEXP_CACHE": str(cache)},
        capture_output=True,
        check=False,
    )
    store = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = store.search_runs([store.get_experiment_by_name("crackexp").experiment_id])
    done = command_here("train", f"resume={run.info.run_id}")
    assert done.returncode == 0, done.stderr
    assert store.get_run(run.info.run_id).info.status == "FINISHED"


@pytest.mark.slow
def test_a_mix_stands_in_an_experiment_file_and_in_a_sweep(
    command_here: Command, patches: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own" / "experiment"
    own.mkdir(parents=True)
    item: dict[str, Any] = {"synthetic": {"count": 12, "size": 48, "cracks": "thin", "weight": 0.5}}
    (own / "mine.yaml").write_text("# @package _global_\n" + yaml.safe_dump({"mix": [item]}))
    words = ["--config-dir", str(own.parent), "+experiment=mine", "dataset=folder", f"dataset.path={patches}", *TINY]
    done = command_here("train", *words, "tracking=none")
    assert done.returncode == 0, done.stderr
    assert "of them synthetic, weight 0.5" in done.stdout

    swept = command_here("train", "-m", *words, "mix=[],[{synthetic:{count:12,size:48}}]")
    assert swept.returncode == 0, swept.stderr
    store = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    runs = store.search_runs([store.get_experiment_by_name("crackexp").experiment_id], "params.data.train_images != ''")
    assert sorted(run.data.params["data.train_images"] for run in runs) == ["42", "54"]
