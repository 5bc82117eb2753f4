"""A local store that was copied or moved works with the artifacts beside it, and never touches those it came from."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking._tracking_service import utils

from crackexp.tracking.runs import find_run, training_digests
from crackexp.tracking.store import open_experiment
from crackexp.tracking.sweeps import SweepStore
from crackexp.utils.errors import UserError
from tests.tracking.conftest import Store
from tests.tracking.test_logger import make_logger

NOBODY = 65534


@pytest.fixture
def project(tmp_path: Path, store_at: Store) -> Path:
    """A project folder whose store holds a run, a registered version, and an experiment elsewhere in the folder."""
    root = tmp_path / "my project"
    logger = store_at(root)
    with logger.run("first", {}):
        logger.log_text("dropout: 0.3\n", "config/config.yaml")
        logger.log_text("split,digest\ntrain,abc\n", "data/manifest.csv")
        uri = mlflow.get_artifact_uri("model")
    client = mlflow.MlflowClient(logger.store)
    client.create_registered_model("tiny")
    client.create_model_version("tiny", uri, str(logger.run_id))
    (root / "results").mkdir()
    client.create_experiment("results", (root / "results").as_uri())
    (root / "run_id.txt").write_text(str(logger.run_id))
    utils._artifact_repos_cache.clear()  # a process remembers where the runs are that it logged; a copy is another's
    return root


def run_of(root: Path) -> str:
    return (root / "run_id.txt").read_text()


def content(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def places(root: Path) -> list[str]:
    """All that the database holds of places of artifacts."""
    query = (
        "SELECT artifact_location FROM experiments UNION SELECT artifact_uri FROM runs "
        "UNION SELECT source FROM model_versions UNION SELECT storage_location FROM model_versions"
    )
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as connection:
        return [place for (place,) in connection.execute(query)]


def forget_place(root: Path) -> None:
    """Leaves the database as an earlier version made it."""
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as connection:
        connection.execute("DROP TABLE crackexp_place")
        connection.commit()


@pytest.mark.parametrize("known", [True, False], ids=["", "of an earlier version"])
def test_a_copy_reads_and_writes_its_own_files_alone(project: Path, tmp_path: Path, known: bool) -> None:
    if not known:
        forget_place(project)
    copy = tmp_path / "it's a 裂縫 copy"
    shutil.copytree(project, copy)
    before = content(project)

    logger = make_logger(copy)
    assert training_digests(run_of(copy), logger.store) == {"abc"}
    with logger.run("again", {}, run_id=run_of(copy)):
        logger.log_text("dropout: 0.5\n", "config/config.yaml")
        logger.log_text("hello", "a.txt")
    assert find_run(run_of(copy), logger.store).config == "dropout: 0.5\n"
    with logger.run("second", {}):
        logger.log_text("hello", "a.txt")
    assert len(list(copy.glob("mlruns/artifacts/*/artifacts/a.txt"))) == 2
    assert content(project) == before
    assert [place for place in places(copy) if "my%20project" in place or "my project" in place] == []
    assert (copy / "results").as_uri() in places(copy)
    assert find_run(run_of(project), make_logger(project).store).config == "dropout: 0.3\n"


def test_a_moved_store_keeps_its_runs(project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "project"
    moved.parent.mkdir()
    project.rename(moved)
    store = SweepStore(make_logger(moved))
    assert store.split(store.client.get_run(run_of(moved)))["digest"].tolist() == ["abc"]
    version = store.client.get_model_version("tiny", "1")
    assert str(version.source).startswith((moved / "mlruns").as_uri())


def test_a_store_that_stays_is_left_as_it_is(project: Path) -> None:
    (project.parent / "link").symlink_to(project)
    before = places(project)
    for root in (project, project.parent / "link"):
        assert find_run(run_of(project), make_logger(root).store).config == "dropout: 0.3\n"
    assert places(project) == before


def test_artifacts_that_were_kept_elsewhere_stay_there(project: Path, tmp_path: Path) -> None:
    far = tmp_path / "large disk"
    mlflow.MlflowClient(make_logger(project).store).create_experiment("far", far.as_uri())
    far.mkdir()
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    open_experiment(make_logger(copy))
    assert far.as_uri() in places(copy)


def test_a_database_without_its_artifacts_is_refused(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "mlruns"
    copy.mkdir(parents=True)
    shutil.copy(project / "mlruns" / "mlflow.db", copy)
    with pytest.raises(UserError, match="without its artifacts") as refused:
        find_run(run_of(project), make_logger(copy.parent).store)
    assert f"cp -r '{project}/mlruns/artifacts' {copy}/artifacts" in str(refused.value)


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Lets nothing below `folder` be written in the `with` block, also where the tests run as root."""
    paths = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    ancestors = [path for path in folder.parents if path.stat().st_uid == os.getuid() and len(path.parts) > 2]
    open_modes = [path.stat().st_mode for path in ancestors]
    for path in ancestors:
        path.chmod(0o755)
    for path in reversed(paths):
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in zip([*paths, *ancestors], [*modes, *open_modes], strict=True):
            path.chmod(mode)


def test_a_copy_that_cannot_be_written_is_refused_with_what_to_type(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    before = content(copy)
    with without_rights(copy), pytest.raises(UserError, match="is a copy of the one in") as refused:
        find_run(run_of(copy), make_logger(copy).store)
    assert f"chmod -R u+w {copy}/mlruns" in str(refused.value)
    assert content(copy) == before


def test_a_store_that_may_only_be_read_is_read_and_not_written(project: Path) -> None:
    logger = make_logger(project)
    with without_rights(project):
        assert find_run(run_of(project), logger.store).config == "dropout: 0.3\n"
        with pytest.raises(UserError, match=r"cannot be used.*Permission denied"):
            open_experiment(logger)
