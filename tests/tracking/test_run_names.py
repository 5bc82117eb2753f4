"""Names of runs and models that users type: which run they stand for, and how an unknown one is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from omegaconf import DictConfig

from crackexp.predicting.loading import model_name
from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.registered_names import require_registered
from crackexp.tracking.run_names import COMPARABLE, INTERRUPTED, MODEL, Kind, find
from crackexp.tracking.store import open_experiment
from crackexp.tracking.stored_runs import LocalRuns, ServerRuns, short
from crackexp.utils.errors import UserError
from tests.tracking.conftest import Store
from tests.tracking.test_logger import make_logger

TRAINING = {"cell.id": "a digest"}


class Filled:
    """A store with runs, whose ids are kept by words of the tests."""

    def __init__(self, logger: MlflowLogger) -> None:
        self.logger = logger
        self.client = MlflowClient(logger.store)
        self.experiment = open_experiment(logger)
        self.ids: dict[str, str] = {}

    def add(
        self,
        word: str,
        name: str,
        tags: dict[str, str] = TRAINING,
        *,
        model: bool = False,
        status: str = "FINISHED",
        parent: str = "",
        experiment: str | None = None,
    ) -> None:
        """Adds a run a minute after the one before."""
        every = {**tags, **({"mlflow.parentRunId": self.ids[parent]} if parent else {})}
        where, begun = experiment or self.experiment, 1_800_000_000_000 + 60_000 * len(self.ids)
        run_id = self.client.create_run(where, begun, every, name).info.run_id
        if model:
            logged = self.client.create_logged_model(where, "model", run_id)
            self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
        if status != "RUNNING":
            self.client.set_terminated(run_id, status)
        self.ids[word] = run_id


@pytest.fixture(scope="module")
def filled(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    root = tmp_path_factory.mktemp("named")
    (root / "mlruns").mkdir()
    (root / "mlruns" / "mlflow.db").write_bytes(empty_database.read_bytes())
    store = Filled(make_logger(root))
    other = store.client.create_experiment("other")
    store.add("elsewhere", "bridge", model=True, experiment=other)
    store.add("alone elsewhere", "tunnel", model=True, experiment=other)
    store.add("wall", "wall", model=True)
    store.add("first twin", "twin", model=True)
    store.add("second twin", "twin", model=True)
    store.add("bridge", "bridge", model=True)
    store.add("sweep", "dropout", {"sweep.key": "k"})
    store.add("low", "dropout=0.1", {**TRAINING, "sweep.verdict": "best"}, model=True, parent="sweep")
    store.add("high", "dropout=0.3", {**TRAINING, "sweep.verdict": "worse"}, model=True, parent="sweep")
    store.add("again", "dropout again", {"sweep.key": "l"})
    store.add("copy", "dropout=0.1", {**TRAINING, "sweep.reused_from": store.ids["low"]}, parent="again")
    store.client.set_tag(store.ids["again"], "sweep.best", store.ids["copy"])
    store.add("stopped", "stopped", status="KILLED")
    store.add("stopped trial", "dropout=0.5", status="KILLED", parent="sweep")
    store.add("judged", "evaluate-wall", {}, parent="wall")
    store.add("going on", "going on", model=True, status="RUNNING")
    store.add("deleted", "gone", model=True)
    store.client.delete_run(store.ids["deleted"])
    store.client.create_registered_model("walls")
    store.client.create_model_version("walls", store.logger.artifacts or "")
    store.client.set_registered_model_alias("walls", "champion", "1")
    return store


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("wall", MODEL, "wall"),
        ("latest", MODEL, "high"),
        ("best:dropout", MODEL, "low"),
        ("best:dropout again", MODEL, "low"),
        ("best:latest", MODEL, "low"),
        ("best:latest", COMPARABLE, "copy"),
        ("dropout=0.1", MODEL, "low"),
        ("bridge", MODEL, "bridge"),
        ("tunnel", MODEL, "alone elsewhere"),
        ("going on", MODEL, "going on"),
        ("latest", COMPARABLE, "again"),
        ("dropout", COMPARABLE, "sweep"),
        ("latest", INTERRUPTED, "going on"),
        ("stopped", INTERRUPTED, "stopped"),
    ],
)
def test_a_name_stands_for_a_run_and_it_is_told_which(
    filled: Filled, name: str, kind: Kind, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = filled.ids[found]
    assert find(name, filled.logger, kind, "model=") == run_id
    printed = capsys.readouterr().out
    assert f"({short(run_id)})" in printed
    assert filled.client.get_run(run_id).info.run_name in printed


def test_the_beginning_of_an_id_is_enough_and_a_whole_id_prints_nothing(
    filled: Filled, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("wall", "alone elsewhere"):
        run_id = filled.ids[word]
        assert find(short(run_id), filled.logger, MODEL, "model=") == run_id
        assert short(run_id) in capsys.readouterr().out
        assert find(run_id, filled.logger, MODEL, "model=") == run_id
        assert capsys.readouterr().out == ""
    beginning = f"best:{short(filled.ids['sweep'])}"
    assert find(beginning, filled.logger, MODEL, "model=") == filled.ids["low"]


def test_reports_show_the_name_of_a_model_with_the_beginning_of_its_id(
    filled: Filled, compose_config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    for model, shown in [
        (filled.ids["low"], f"dropout=0.1 ({short(filled.ids['low'])})"),
        ("models:/walls@champion", "models:/walls@champion"),
        (str(tmp_path), str(tmp_path)),
        ("0" * 32, "0" * 32),
    ]:
        cfg = compose_config(f"model='{model}'", f"tracking.uri={filled.logger.store}", root="survey")
        assert model_name(cfg) == shown


def test_the_copy_of_a_result_leads_to_the_run_that_logged_the_model(filled: Filled) -> None:
    assert find(filled.ids["copy"], filled.logger, MODEL, "model=") == filled.ids["low"]
    assert find(filled.ids["copy"], filled.logger, COMPARABLE, "") == filled.ids["copy"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("wal", MODEL, ["no such model", "Did you mean wall (", "{wall}", "model=latest"]),
        ("lates", MODEL, ["Did you mean latest?"]),
        ("nothing like it", MODEL, ["no such model", "The newest are going on ("]),
        ("best:dropuot", MODEL, ["no such sweep", "Did you mean dropout (", "model=best:latest", "=best:dropuot"]),
        ("best:{wall}", MODEL, ["{wall}", "is no sweep"]),
        ("best:wall", MODEL, ["{wall}", "is no sweep"]),
        ("twin", MODEL, ["2 runs", "{first twin}", "{second twin}", "Type model={second twin}"]),
        ("evaluate-wall", MODEL, ["{judged}", "has logged no model"]),
        ("gone", MODEL, ["no such model"]),
        ("0" * 32, MODEL, ["no such model"]),
        ("evaluate-wall", COMPARABLE, ["neither a sweep nor a training run"]),
        ("wall", INTERRUPTED, ["no training run that was interrupted"]),
    ],
)
def test_what_stands_for_no_single_run_is_refused_with_what_to_type(
    filled: Filled, name: str, kind: Kind, words: list[str]
) -> None:
    name = name.format_map(filled.ids)
    with pytest.raises(UserError) as refused:
        find(name, filled.logger, kind, "model=")
    assert f"Received: model={name}" in str(refused.value)
    for word in words:
        assert word.format_map({key: short(run_id) for key, run_id in filled.ids.items()}) in str(refused.value)


def test_latest_of_an_empty_experiment_is_refused(filled: Filled) -> None:
    logger = MlflowLogger(filled.logger.store, experiment="nothing in it")
    with pytest.raises(UserError, match=r"nothing in it.*Received: model=latest"):
        find("latest", logger, MODEL, "model=")


def test_a_sweep_that_has_not_ended_has_no_best_trial(tmp_path: Path, store_at: Store) -> None:
    store = Filled(store_at(tmp_path))
    store.add("sweep", "size", {"sweep.key": "k"}, status="RUNNING")
    store.add("trial", "size=1", model=True, parent="sweep")
    with pytest.raises(UserError, match=r"no best trial.*Received: model=best:size"):
        find("best:size", store.logger, MODEL, "model=")


@pytest.mark.parametrize(
    "read",
    [
        lambda runs, ids: runs.newest("test"),
        lambda runs, ids: runs.newest("other"),
        lambda runs, ids: runs.newest("no experiment"),
        lambda runs, ids: runs.named("bridge"),
        lambda runs, ids: runs.named("it's"),
        lambda runs, ids: runs.with_id(short(ids["high"])),
        lambda runs, ids: runs.children(ids["sweep"]),
    ],
)
def test_a_local_database_is_read_as_mlflow_reads_it(filled: Filled, read: Callable[..., Any]) -> None:
    file = Path(filled.logger.store.removeprefix("sqlite:///"))
    by_mlflow = list(read(ServerRuns(filled.client), filled.ids))
    assert list(read(LocalRuns(file), filled.ids)) == by_mlflow


def test_a_store_is_read_without_being_changed_or_made(filled: Filled, tmp_path: Path) -> None:
    folder = Path(filled.logger.store.removeprefix("sqlite:///")).parent
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    find("latest", filled.logger, MODEL, "model=")
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
    with pytest.raises(UserError, match=r"no MLflow store at .*no such model.*Received: model=latest"):
        find("latest", make_logger(tmp_path), MODEL, "model=")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_refused_as_ever(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_text("not a database\n" * 1000)
    with pytest.raises(UserError, match="not a database"):
        find("latest", make_logger(tmp_path), MODEL, "model=")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("models:/wals/1", "Did you mean 'walls'"),
        ("models:/walls@champoin", "Did you mean 'champion'"),
        ("models:/walls/3", "no version 3"),
    ],
)
def test_the_address_of_a_registered_model_is_checked(filled: Filled, address: str, problem: str) -> None:
    file = Path(filled.logger.store.removeprefix("sqlite:///"))
    for known in ("models:/walls/1", "models:/walls@champion", "models:/walls/latest", "models:/m-0123"):
        require_registered(known, file, "")
    with pytest.raises(UserError, match=f"no such model.*{problem}.*Received: model={address}"):
        require_registered(address, file, f"Received: model={address}")


REFUSED = """
import contextlib, io, runpy, sys
from hydra.core.global_hydra import GlobalHydra
for name, *words in [line.split() for line in sys.stdin]:
    sys.argv = [name, *words]
    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            runpy.run_module(f"crackexp.{name}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        print(name, end.code, "Did you mean wall (" in heard.getvalue(), heard.getvalue())
    GlobalHydra.instance().clear()
print([module for module in ("keras", "jax", "mlflow", "pandas") if module in sys.modules])
"""


def test_every_command_refuses_an_unknown_name_before_it_imports_what_takes_seconds(
    filled: Filled, tmp_path: Path
) -> None:
    place = f"tracking.uri={filled.logger.store} tracking.experiment=test"
    typed = ["app model=wal", "export model=wal", "calibrate model=wal dataset=folder dataset.path=patches"]
    typed += [f"{name} model=wal input=photos out=made" for name in ("survey", "explain")]
    typed += ["predict model=wal input=photos", "evaluate run=wal", "compare wal"]
    done = subprocess.run(
        [sys.executable, "-c", REFUSED], input="\n".join(f"{words} {place}" for words in typed),
        cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in typed:
        assert f"{words.split()[0]} 2 True" in done.stdout, done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_beginning_of_an_id_that_is_printed_is_no_number_to_hydra() -> None:
    assert short("0123456789abcdef0123456789abcdef") == "0123456789a"
    assert short("12345e78c9be4d0f9dc3d2d9ba3f8c11") == "12345e78c"
    assert short("my logger's own id") == "my logger's own id"
