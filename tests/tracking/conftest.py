"""A database of MLflow that is made once; making one takes seconds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.store import open_experiment
from tests.tracking.test_logger import make_logger

Store = Callable[[Path], MlflowLogger]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a store without experiments; not to be changed."""
    root = tmp_path_factory.mktemp("made")
    open_experiment(make_logger(root))
    return root / "mlruns" / "mlflow.db"


@pytest.fixture
def store_at(empty_database: Path) -> Store:
    """Puts a new store below a folder, and returns its logger."""

    def put(root: Path) -> MlflowLogger:
        (root / "mlruns").mkdir(parents=True)
        shutil.copy(empty_database, root / "mlruns" / "mlflow.db")
        return make_logger(root)

    return put
