"""A project beside crackexp, `tests/extension_project`: each part is a class and a YAML file, none of crackexp's."""

import re
import shutil
from pathlib import Path

import pytest

from crackexp.data.synthetic import draw_dataset
from tests.conftest import Command

PROJECT = Path(__file__).parents[1] / "extension_project"
PARTS = {
    "dataset": "jpegs",
    "split": "every_fifth",
    "augmentation": "invert",
    "backbone": "edges",
    "head": "two_layers",
    "loss": "distance",
    "metrics": "specificity",
    "report": "brightest",
    "callbacks": "count_epochs",
    "trainer": "pixels",
    "tracking": "lines",
}
SMALL = ["image_size=32", "batch_size=8", "epochs=2", "evaluation.resamples=20", "optimizer.learning_rate=0.01"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A copy of the project where the user stands, and the words that choose all of its parts."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    draw_dataset(tmp_path / "drawn", count=60, seed=0, size=48)
    (tmp_path / "photos").mkdir()
    for name, start in (("Positive", "crack"), ("Negative", "sound")):
        for file in (tmp_path / "drawn" / name).iterdir():
            file.rename(tmp_path / "photos" / f"{start}_{file.name}")
    chosen = {**PARTS, "dataset.path": "photos"}
    return ["--config-dir", "conf", *SMALL, *(f"{group}={option}" for group, option in chosen.items())]


def test_every_group_of_parts_is_extended_by_one_class_and_one_file() -> None:
    for group, option in PARTS.items():
        config = (PROJECT / "conf" / group / f"{option}.yaml").read_text()
        (module,) = re.findall(r"_target_: (wall\.\w+)\.\w+", config)
        code = (PROJECT / f"{module.replace('.', '/')}.py").read_text()
        assert len(re.findall(r"^class ", code, re.MULTILINE)) == 1


def test_a_run_of_own_parts_alone_trains_and_logs_its_own_metric(
    command_here: Command, project: list[str], tmp_path: Path
) -> None:
    done = command_here("train", *project, "optimized_metric=test/specificity", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    lines = [line.rsplit(" ", 1) for line in (tmp_path / "run" / "metrics.txt").read_text().splitlines()]
    metrics = {key: float(value) for key, value in lines}
    assert "test/specificity 0" in metrics
    assert metrics["val/loss 2"] != metrics["val/loss_before 0"], "nothing was trained"
    assert "The brightest images" in done.stdout
    assert (tmp_path / "run" / "epochs.txt").read_text() == "2"


@pytest.mark.slow
def test_own_parts_are_swept(command_here: Command, project: list[str], tmp_path: Path) -> None:
    done = command_here("train", *project, "-m", "head.units=4,8", "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "sweep").rglob("metrics.txt"))) == 2


@pytest.mark.slow
def test_fine_tuning_asks_for_the_layer_that_a_backbone_does_not_name(
    command_here: Command, project: list[str]
) -> None:
    done = command_here("train", *project, "trainer=finetune")
    assert done.returncode == 2
    assert "Type trainer.unfreeze_from=VALUE" in done.stderr
    done = command_here("train", *project, "trainer=finetune", "trainer.unfreeze_from=null", "trainer.epochs=1")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["KLDivergence", "BinaryFocalCrossentropy", "MeanSquaredError"])
def test_any_loss_of_keras_that_takes_probabilities_trains(
    command_here: Command, project: list[str], loss: str
) -> None:
    words = [word for word in project if not word.startswith("loss=")]
    done = command_here("train", *words, f"loss._target_=keras.losses.{loss}", "epochs=1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("typo", "says"),
    [
        ("head.unitz=4", "unitz"),
        ("+head.unitz=4", "Did you mean 'units'"),
        ("head.units=many", "head.units: must be a valid integer. The units of that layer."),
        ("+metrics.specificity.level=1", "metrics.specificity.level is no key"),
        ("backbone.width=4.5", "backbone.width"),
        ("report.brightest.count=many", "report.brightest.count: must be a valid integer"),
    ],
)
def test_a_mistake_in_an_own_part_is_told_before_it_is_imported(
    command_here: Command, project: list[str], tmp_path: Path, typo: str, says: str
) -> None:
    (tmp_path / "wall" / "__init__.py").write_text("raise SystemExit('imported')")
    done = command_here("train", *project, typo)
    assert done.returncode == 2
    assert says in done.stderr
    assert "imported" not in done.stderr
