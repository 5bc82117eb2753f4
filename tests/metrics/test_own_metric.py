"""A metric of the user's own: one class outside the package, and one YAML file or one override."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from crackexp.config.checking import check
from crackexp.metrics import STANDARD, Bootstrap, MeanMetric, Metric, Predictions, evaluate_predictions
from crackexp.metrics.build import build_metrics
from crackexp.training.config import TrainConfig
from crackexp.utils.errors import ConfigError
from tests.conftest import TINY, Command

MODULE = """
import numpy as np

from crackexp.metrics import MeanMetric, Metric


class Specificity(Metric):
    lowest, highest = 0.0, 1.0

    def compute(self, predictions):
        sound = predictions.labels != predictions.positive
        return predictions.correct[sound].mean() if sound.any() else np.nan


class TrueClass(MeanMetric):
    title = "probability of the true class"
    lowest, highest = 0.0, 1.0

    def per_image(self, predictions):
        return predictions.given


class Missed(MeanMetric):
    higher_is_better = False
    lowest, highest = 0.0, 1.0
    proportion = True

    def per_image(self, predictions):
        return (predictions.labels == predictions.positive) & ~predictions.correct
"""
CONFIG = """
defaults:
  - default
  - _self_
specificity:
  _target_: own_metrics.Specificity
true_class:
  _target_: own_metrics.TrueClass
missed:
  _target_: own_metrics.Missed
"""
OWN = ["--config-dir", "own", "metrics=site"]
SMALL = [*TINY, "dataset.count=64", "dataset.size=48", "epochs=1"]


@pytest.fixture
def own_metrics(tmp_path: Path) -> Path:
    (tmp_path / "own" / "metrics").mkdir(parents=True)
    (tmp_path / "own_metrics.py").write_text(MODULE)
    (tmp_path / "own" / "metrics" / "site.yaml").write_text(CONFIG)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("own_metrics")
def test_a_metric_of_ones_own_is_measured_logged_printed_and_optimized(command_here: Command, tmp_path: Path) -> None:
    done = command_here(
        "train", *OWN, *SMALL, "optimized_metric=test/specificity", "evaluation.corruptions=[blur]", "hydra.run.dir=out"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    metrics = result["metrics"]
    run = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}").get_run(result["run_id"])
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    table = pd.read_csv(folder / "test" / "predictions.csv")
    sound = table["label"] == "Negative"
    expected = {
        "specificity": table["correct"][sound].mean(),
        "true_class": np.where(table["correct"], table["confidence"], 1 - table["confidence"]).mean(),
        "missed": (~sound & ~table["correct"]).mean(),
    }
    measured = pd.read_csv(folder / "test" / "metrics.csv", index_col="metric")
    for name, value in expected.items():
        assert metrics[f"test/{name}"] == pytest.approx(value, abs=1e-6)
        assert metrics[f"corruption/blur_1/{name}"] == run.data.metrics[f"corruption/blur_1/{name}"]
        assert run.data.metrics[f"test/{name}"] == metrics[f"test/{name}"] == measured.loc[name, "value"]
        assert name in done.stdout
    for name in ("true_class", "missed"):
        assert metrics[f"test/{name}_low"] < metrics[f"test/{name}"] < metrics[f"test/{name}_high"]


@pytest.mark.slow
@pytest.mark.usefixtures("own_metrics")
def test_runs_and_sweeps_are_compared_by_a_metric_of_ones_own(command_here: Command, tmp_path: Path) -> None:
    by = ["sweep.metric=true_class", "sweep.name=own"]
    done = command_here("train", "-m", *OWN, *SMALL, "seed=0,1", "optimizer.learning_rate=0.001,0.03", *by)
    assert done.returncode == 0, done.stderr
    assert "probability of the true class" in done.stdout
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    (experiment,) = (one for one in client.search_experiments() if one.name != "Default")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "sweep.key" in run.data.tags)
    children = [run for run in runs if "sweep.settings" in run.data.tags]
    scores = {run.info.run_id: run.data.metrics["test/true_class"] for run in children}
    for run in children:
        assert run.data.metrics["sweep/true_class"] == pytest.approx(run.data.metrics["test/true_class"], abs=1e-6)
    by_rate: dict[str, list[float]] = {}
    for run in children:
        by_rate.setdefault(run.data.params["optimizer.learning_rate"], []).append(scores[run.info.run_id])
    best = max(np.mean(values) for values in by_rate.values())
    assert parent.data.metrics["sweep/best_true_class"] == pytest.approx(best, abs=1e-6)

    ids = sorted(scores, key=scores.__getitem__)[:: len(scores) - 1]
    for metric, title in {"true_class": "probability of the true class", "missed": "missed"}.items():
        done = command_here("compare", *ids, *OWN, f"metric={metric}")
        assert done.returncode == 0, done.stderr
        assert title in done.stdout
    done = command_here("compare", *ids, *OWN, "metric=specificity")
    assert done.returncode == 2
    assert "accuracy, log_loss, brier, true_class, missed" in done.stderr


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+metrics.mine={_target_: own_metrics.Specificity}", "sweep.metric=mine"], ("sweep.metric=mine", "accuracy")),
        (["sweep.metric=f1"], ("sweep.metric=f1", "log_loss")),
        (["sweep.metric=nothing"], ("sweep.metric=nothing", "log_loss")),
        (["optimized_metric=test/mine"], ("optimized_metric=test/mine", "f1")),
        (["metrics.accuracy=null"], ("metrics.accuracy",)),
        (["+metrics.mine_low={_target_: own_metrics.Specificity}"], ("metrics.mine_low",)),
        (["+metrics.mine={_target_: own_metrics.np}"], ("metrics.mine._target_=own_metrics.np",)),
        (["+metrics.mine={_target_: own_metrics.Metric}"], ("compute",)),
        (["metrics.recall_at_fpr_5.fpr=1.5"], ("metrics.recall_at_fpr_5.fpr=1.5",)),
        (["metrics.f1.beta=2"], ("beta",)),
    ],
)
@pytest.mark.usefixtures("own_metrics")
def test_a_mistake_about_metrics_is_refused_before_work_starts(
    command_here: Command, overrides: list[str], words: tuple[str, ...]
) -> None:
    done = command_here("train", *SMALL, "tracking=none", *overrides)
    assert done.returncode == 2, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_the_standard_metrics_are_those_of_the_config(compose_config) -> None:
    found = build_metrics(check(compose_config(), TrainConfig).metrics)
    assert list(found) == list(STANDARD)
    for name, metric in found.items():
        assert type(metric) is type(STANDARD[name])
        assert vars(metric) == vars(STANDARD[name])


def test_the_bootstrap_of_a_metric_of_ones_own_is_that_of_a_standard_one() -> None:
    class Mine(Metric):
        lowest, highest = 0.0, 1.0

        def compute(self, predictions: Predictions) -> float:
            return STANDARD["roc_auc"].compute(predictions)

    rng = np.random.default_rng(0)
    labels, score = rng.integers(0, 2, 80), rng.random(80)
    metrics = {"mine": Mine(), "unbounded": type("Free", (Mine,), {"lowest": -np.inf})(), **STANDARD}
    for groups in (None, np.arange(80) // 10):
        predictions = Predictions(labels, np.stack([1 - score, score], 1), 1, groups)
        found = evaluate_predictions(predictions, Bootstrap(3, resamples=60), metrics)
        assert found["mine"].value == found["roc_auc"].value
        assert found["roc_auc"].low <= found["mine"].low < found["mine"].value
        assert found["mine"].value < found["mine"].high <= found["roc_auc"].high
        assert found["unbounded"].low < found["unbounded"].value < found["unbounded"].high <= 1


def test_a_value_of_each_image_that_is_none_is_refused() -> None:
    class Short(MeanMetric):
        def per_image(self, predictions: Predictions) -> np.ndarray:
            return predictions.given[:-1]

    predictions = Predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), 1)
    with pytest.raises(ConfigError, match=r"Received: shape \(1,\)"):
        evaluate_predictions(predictions, Bootstrap(0, resamples=20), {"short": Short()})
