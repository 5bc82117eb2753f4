"""The gate of the registry: which of two runs' models becomes champion, and what is said of it."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
from scipy.stats import binomtest

from crackexp.data.classes.decisions import Classes
from crackexp.data.index import ImageIndex
from crackexp.evaluation.tables import predictions_table
from crackexp.metrics import STANDARD
from crackexp.models.backbone import SmallCNN
from crackexp.models.classifier import build_classifier
from crackexp.models.heads import build_head
from crackexp.reporting.formatting import p_text
from crackexp.tracking import registry
from crackexp.tracking.models import load
from crackexp.tracking.registry import Registry, register_run
from crackexp.tracking.sweeps import SweepStore
from tests.tracking.test_logger import make_logger

CLASSES = ("Negative", "Positive")
N = 400
ROWS = range(N)

Run = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of its own; making its database takes seconds."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return build_classifier(SmallCNN([4]).build(32, 0), build_head(4, 2, 0.3, 0))


@pytest.fixture
def client(store: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(make_logger(store).store)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A registered model of the test's own."""
    return str(request.node.name)


@pytest.fixture
def run(store: Path, classifier: keras.Model, name: str) -> Run:
    """Logs a run as `crackexp.train` does, without training, and registers it; returns its id and what is said."""

    def logged(
        wrong: Sequence[int],
        tested: Sequence[int] = ROWS,
        seen: Sequence[int] = (),
        classes: Sequence[str] = CLASSES,
        positive: str = "Positive",
        relabelled: bool = False,
        sure: float = 0.9,
        metric: str = "accuracy",
        register: str | None = name,
        tags: dict[str, str] | None = None,
        model: bool = True,
    ) -> tuple[str, str]:
        labels = (np.array(tested) + relabelled) % 2
        right = np.where(np.isin(tested, wrong), 1 - sure, sure)
        probabilities = np.where(np.eye(2, dtype=bool)[labels], right[:, None], 1 - right[:, None])
        digests = np.array([f"d{item}" for item in tested])
        index = ImageIndex(Path(), digests, labels, digests, tuple(classes), (classes[1],))
        table = predictions_table(index, probabilities)
        parts = [("test", item) for item in tested] + [("val" if item % 5 else "train", item) for item in seen]
        manifest = "".join(f"{part},{classes[item % 2]},{item}.jpg,d{item}\n" for part, item in parts)

        logger = make_logger(store)
        with logger.run("a run", tags or {}):
            logger.log_params({"dataset.name": "patches", "split.seed": 1337, "split.ratio": [0.7, 0.2, 0.1]})
            logger.log_text(f"split,class,file,digest\n{manifest}", "data/manifest.csv")
            logger.log_text(table.to_csv(index=False), "test/predictions.csv")
            facts = {"class_names": list(classes), "positive": positive, "threshold": 0.5, "unsure_from": 0.5}
            uri = logger.log_model(classifier, facts) if model else None
            logger.log_text(json.dumps({"model_uri": uri}), "result.json")
            said = register_run(logger, register, STANDARD[metric], 0.95) if register else None
        assert logger.run_id
        return logger.run_id, said or ""

    return logged


def champion(client: mlflow.MlflowClient, name: str) -> str:
    return str(client.get_model_version_by_alias(name, "champion").version)


def versions(client: mlflow.MlflowClient, name: str) -> int:
    return len(client.search_model_versions(f"name = '{name}'"))


def tagged(client: mlflow.MlflowClient, name: str, version: str, run_id: str) -> set[str]:
    """The verdict as it stands on a version and on a run."""
    on_version = client.get_model_version(name, version).tags["registry.verdict"]
    return {on_version, client.get_run(run_id).data.tags["registry.verdict"]}


def test_the_first_model_becomes_champion(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    run_id, said = run(wrong=range(40))
    assert said == f"{name} version 1 becomes champion: there was none."
    assert champion(client, name) == "1"
    assert client.get_model_version(name, "1").run_id == run_id
    assert tagged(client, name, "1", run_id) == {said}
    found = load(f"models:/{name}@champion", client.tracking_uri, "model")
    assert (found.run_id, found.classes) == (run_id, Classes(tuple(CLASSES), ("Positive",)))


def test_a_better_model_takes_the_place_of_the_champion(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    run(wrong=range(15))
    run_id, said = run(wrong=range(4))
    p = p_text(binomtest(0, 11).pvalue)
    assert said == (
        f"{name} version 2 becomes champion: 4 errors on the 400 test images that both share, "
        f"15 errors by version 1, which is worse ({p})."
    )
    assert champion(client, name) == "2"
    assert tagged(client, name, "2", run_id) == {said}


def test_a_tie_leaves_the_champion(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    """Five images less are wrong: not enough for a sign test at this level."""
    run(wrong=range(15))
    run_id, said = run(wrong=range(10))
    p = binomtest(0, 5).pvalue
    assert p > 0.05
    assert said == (
        f"{name} version 2 does not become champion: 10 errors on the 400 test images that both share, "
        f"15 errors by version 1, statistically tied ({p_text(p)})."
    )
    assert champion(client, name) == "1"
    assert tagged(client, name, "2", run_id) == {said}


def test_a_worse_model_leaves_the_champion(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    run(wrong=range(4))
    _, said = run(wrong=range(15))
    assert "does not become champion: 15 errors" in said
    assert f"4 errors by version 1, which is better ({p_text(binomtest(0, 11).pvalue)})." in said
    assert champion(client, name) == "1"


def test_models_with_equal_errors_differ_by_log_loss(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    run(wrong=range(4), sure=0.7)
    _, said = run(wrong=range(4), sure=0.9)
    assert "statistically tied (p = 1.00)" in said
    _, said = run(wrong=range(4), sure=0.9, metric="log_loss")
    losses = [-(396 * np.log(sure) + 4 * np.log(1 - sure)) / N for sure in (0.9, 0.7)]
    assert f"becomes champion: log loss {losses[0]:.4f} on the 400 test images" in said
    assert f"log loss {losses[1]:.4f} by version 1, which is worse" in said
    assert champion(client, name) == "3"


def test_only_images_that_are_new_to_both_count(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    """The champion has learned what it is wrong about nowhere else: without these images it is worse."""
    run(wrong=range(20), tested=range(300), seen=range(300, 400))
    _, said = run(wrong=range(300, 400), tested=range(400))
    assert said == (
        f"{name} version 2 becomes champion: no errors on the 300 test images that both share (100 of its 400 are left "
        "out: a model was trained or validated on them), 20 errors by version 1, which is worse (p < 0.001)."
    )


def test_an_image_that_the_new_model_knows_does_not_count(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    """Copies of a test image in its own training are no merit."""
    run(wrong=range(20))
    _, said = run(wrong=[], seen=range(20))
    assert "no errors on the 380 test images that both share (20 of its 400 are left out" in said
    assert "no errors by version 1, statistically tied" in said
    assert champion(client, name) == "1"


@pytest.mark.parametrize(("seen", "words"), [(ROWS, "(400 of its 400 are left out"), ((), "validated on; to have")])
def test_without_shared_new_images_the_champion_stays(
    run: Run, client: mlflow.MlflowClient, name: str, seen: Sequence[int], words: str
) -> None:
    run(wrong=range(400, 500), tested=range(400, 800), seen=seen)
    run_id, said = run(wrong=[])
    assert "does not become champion: there is no test image that both were tested on" in said
    assert words in said
    assert "train on the dataset patches with split.ratio=[0.7,0.2,0.1] split.seed=1337." in said
    assert champion(client, name) == "1"
    assert tagged(client, name, "2", run_id) == {said}


@pytest.mark.parametrize(
    ("classes", "positive", "words"),
    [
        (("Crack", "Sound"), "Crack", "Crack, Sound apart, where Crack means a crack"),
        (CLASSES, "Negative", "Negative, Positive apart, where Negative means a crack"),
    ],
)
def test_a_champion_of_other_classes_stays(
    run: Run, client: mlflow.MlflowClient, name: str, classes: Sequence[str], positive: str, words: str
) -> None:
    run(wrong=range(100), classes=classes, positive=positive)
    _, said = run(wrong=[])
    assert "does not become champion: it tells Negative, Positive apart, where Positive means a crack" in said
    assert f"version 1 {words}; register it under a name of its own." in said
    assert champion(client, name) == "1"


def test_runs_that_disagree_about_images_are_not_compared(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    run(wrong=range(100))
    _, said = run(wrong=[], relabelled=True)
    assert "does not become champion: the runs do not agree about the class of 400 images that they share" in said
    assert champion(client, name) == "1"


def test_nothing_is_registered_that_was_not_asked_for(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    assert run(wrong=[], register=None)[1] == ""
    assert not versions(client, name)


def test_a_champion_whose_run_is_gone_stays(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    first, _ = run(wrong=range(100))
    client.delete_run(first)
    _, said = run(wrong=[])
    assert "does not become champion: the run of version 1 or a part of it is gone" in said
    assert "by hand" in said
    assert champion(client, name) == "1"
    client.delete_registered_model_alias(name, "champion")
    assert "version 3 becomes champion: there was none" in run(wrong=[])[1]


def test_a_champion_whose_predictions_are_gone_stays(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    first, _ = run(wrong=range(100))
    artifacts = Path(client.get_run(first).info.artifact_uri.removeprefix("file://"))
    (artifacts / "test" / "predictions.csv").unlink()
    assert "or a part of it is gone" in run(wrong=[])[1]
    assert champion(client, name) == "1"


def enter(store: Path, name: str, *run_ids: str) -> str:
    return Registry(SweepStore(make_logger(store)), name).enter(run_ids, STANDARD["accuracy"], 0.95)


def test_a_run_gets_one_version_however_often_it_is_entered(
    store: Path, run: Run, client: mlflow.MlflowClient, name: str
) -> None:
    first, said = run(wrong=range(15))
    second, tied = run(wrong=range(14))
    assert enter(store, name, second) == tied
    assert enter(store, name, first) == f"{name} version 1 is champion already."
    assert versions(client, name) == 2
    assert tagged(client, name, "1", first) == {said}


def test_the_best_of_several_runs_is_registered(store: Path, run: Run, client: mlflow.MlflowClient, name: str) -> None:
    trials = [run(wrong=range(errors), register=None)[0] for errors in (40, 10, 30)]
    trials.append(run(wrong=[], register=None, model=False)[0])
    said = enter(store, name, *trials)
    assert said == (
        f"{name} version 1 (a run, the best of 3 trials; 1 more logged no model) becomes champion: there was none."
    )
    assert client.get_model_version(name, "1").run_id == trials[1]
    assert "is champion already" in enter(store, name, *trials)
    assert versions(client, name) == 1


def test_the_best_of_many_runs_must_beat_the_champion_against_the_odds_of_all(
    store: Path, run: Run, client: mlflow.MlflowClient, name: str
) -> None:
    """Alone it would win; as the best of three, it may be so by luck."""
    run(wrong=range(20))
    best, *others = [run(wrong=range(errors), register=None)[0] for errors in (14, 18, 30)]
    p = binomtest(0, 6).pvalue
    assert p < 0.05 < 3 * p
    assert enter(store, name, best, *others) == (
        f"{name} version 2 (a run, the best of 3 trials) does not become champion: 14 errors on the 400 test images "
        f"that both share, 20 errors by version 1, statistically tied ({p_text(3 * p)} as the best of 3)."
    )
    assert champion(client, name) == "1"
    assert "version 2 becomes champion" in enter(store, name, best)


def test_the_best_cell_is_chosen_on_all_images_that_the_cells_share(
    store: Path, run: Run, client: mlflow.MlflowClient, name: str
) -> None:
    """On the images that the champion shares the other one errs less."""
    run(wrong=range(50), tested=range(100))
    worst, best = (run(wrong=wrong, register=None)[0] for wrong in (range(200, 300), range(20)))
    said = enter(store, name, worst, best)
    assert "becomes champion: 20 errors on the 100 test images that both share, 50 errors by version 1" in said
    assert client.get_model_version_by_alias(name, "champion").run_id == best


def test_without_a_model_nothing_is_registered(store: Path, run: Run, name: str) -> None:
    trial = run(wrong=[], register=None, model=False)[0]
    assert enter(store, name, trial, trial) == (
        f"Nothing is registered as {name}: no run has finished with its model logged."
    )


def test_cells_without_a_common_test_image_are_not_ranked(store: Path, run: Run, name: str) -> None:
    trials = [run(wrong=[], tested=part, register=None)[0] for part in (range(200), range(200, 400))]
    said = enter(store, name, *trials)
    assert said.startswith(f"Nothing is registered as {name}: the best of the trials cannot be told, for there is no")
    assert said.endswith("; sweep with one split.seed.")


def test_a_cell_is_left_to_its_sweep(run: Run, client: mlflow.MlflowClient, name: str) -> None:
    _, said = run(wrong=[], tags={"sweep.settings": "{}"})
    assert said == f"The sweep of this run registers the best of its trials as {name} when it ends."
    assert not versions(client, name)


def test_a_champion_that_changes_meanwhile_is_the_one_to_beat(
    run: Run, client: mlflow.MlflowClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a server keeps the registry, and another machine moves the alias during the comparison."""
    run(wrong=range(100))
    run(wrong=range(4))
    client.set_registered_model_alias(name, "champion", "1")
    decide_promotion, calls = registry.decide_promotion, []

    def slow(*arguments: Any) -> Any:
        calls.append(arguments)
        ruling = decide_promotion(*arguments)
        client.set_registered_model_alias(name, "champion", "2")
        return ruling

    monkeypatch.setattr(registry, "decide_promotion", slow)
    _, said = run(wrong=range(30))
    assert len(calls) == 2
    assert "does not become champion: 30 errors" in said
    assert "by version 2" in said
    assert champion(client, name) == "2"


@pytest.mark.parametrize("first", [0, 1])
def test_two_at_once_take_turns(
    store: Path, run: Run, client: mlflow.MlflowClient, name: str, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Both beat the champion; the better one of the two must be champion in the end, whichever comes first."""
    run(wrong=range(100))
    good, better = run(wrong=range(30), register=None)[0], run(wrong=range(4), register=None)[0]
    decide_promotion, inside, most = registry.decide_promotion, [], []

    def slow(*arguments: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.5)
        inside.pop()
        return decide_promotion(*arguments)

    monkeypatch.setattr(registry, "decide_promotion", slow)
    order = [good, better] if first else [better, good]
    threads = [threading.Thread(target=enter, args=(store, name, run_id)) for run_id in order]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert client.get_model_version_by_alias(name, "champion").run_id == better
