"""Stores in folders whose names hold characters that addresses, filters and shells take for something else."""

import json
import shlex
from pathlib import Path

import mlflow
import pytest

from crackexp.config.schema import schema_of
from crackexp.tracking.store import open_experiment
from crackexp.tracking.sweeps import SweepStore
from crackexp.utils.errors import UserError
from crackexp.utils.store_uri import uri_problem
from tests.tracking.conftest import Store
from tests.tracking.test_logger import make_logger

NAMES = [
    "my project",
    "裂縫 數據",
    "a#b",
    "50% off",
    "it's",
    'say "x"',
    "(x)",
    "[x]",
    "{x}",
    "a&b;c",
    "a,b=c",
    "$HOME",
    "back\\slash",
    "~x",
    "*",
    "new\nline",
]
REFUSED = [("100%20", "%20"), ("a%3Fb", "%3F"), ("a?b", "?"), ("caf\udce9", "UTF-8")]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_logged_and_read_back_in_a_folder_of_any_name(tmp_path: Path, store_at: Store, name: str) -> None:
    logger = store_at(tmp_path / name)
    with logger.run("a run", {}):
        logger.log_text("hello", "notes/a.txt")
    (written,) = (tmp_path / name).glob("mlruns/artifacts/*/artifacts/notes/a.txt")
    assert written.read_text() == "hello"
    (line,) = [line for line in logger.where() if "mlflow ui" in line]
    assert shlex.split(line.removeprefix("Open it"))[-1] == logger.store
    run = mlflow.MlflowClient(logger.store).get_run(str(logger.run_id))
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/a.txt") == "hello"
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_finds_its_sweep_in_a_folder_of_any_name(tmp_path: Path, store_at: Store, name: str) -> None:
    store = SweepStore(store_at(tmp_path / name))
    folders = [str(tmp_path / name / "multirun" / number) for number in "01"]
    parents = [
        store.open_parent(
            "grid", {"sweep.key": folder[-1], "sweep.dir": folder, "sweep.varies": json.dumps(["seed"])}, False
        )
        for folder in folders
    ]
    found = [store.find_parent(folder) for folder in folders]
    assert [parent and parent.run_id for parent in found] == parents
    assert store.find_parent(str(tmp_path / "elsewhere")) is None


@pytest.mark.parametrize(("name", "character"), REFUSED)
def test_a_folder_that_mlflow_would_take_for_another_is_refused(tmp_path: Path, name: str, character: str) -> None:
    with pytest.raises(UserError) as refused:
        open_experiment(make_logger(tmp_path / name))
    assert name.encode(errors="backslashreplace").decode() in str(refused.value)
    assert character in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///mlruns/mlflow.db",
        "sqlite:////my project/裂縫.db",
        "http://127.0.0.1:5000",
        "https://user:word@tracking.example/mlflow",
        "postgresql://user:word@host/mlflow",
        "postgresql+psycopg2://user@host:5432/mlflow",
        "mysql+pymysql://user@host/mlflow",
        "mssql+pyodbc://user@host/mlflow?driver=ODBC+Driver+17",
        "databricks",
        "databricks://profile",
    ],
)
def test_addresses_that_mlflow_opens_are_accepted(uri: str) -> None:
    assert uri_problem(uri) is None
    node = {"_target_": "x", "uri": uri, "artifacts": None, "experiment": "x", "run_name": None, "log_model": True}
    checked = schema_of("crackexp.tracking.mlflow_logger.MlflowLogger").model_validate(node)
    assert checked.model_dump(by_alias=True)["uri"] == uri


@pytest.mark.parametrize(
    "uri", ["", "mlruns", "httpfoo", "http://", "http:/host", "sqlite", "sqlite:x.db", "sqlite://x.db", "databricksfoo"]
)
def test_other_addresses_are_refused_with_the_forms_that_are_not(uri: str) -> None:
    assert "sqlite:///FILE" in str(uri_problem(uri))


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(uri: str) -> None:
    assert uri_problem(uri)
