"""``python -m crackexp.check``: what is found here, and what is wrong."""

import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

import crackexp.check
from crackexp.check import Finding, folders, packages, store
from crackexp.config.checking import instantiate
from crackexp.tracking.logger import NoLogger
from crackexp.tracking.mlflow_logger import MlflowLogger
from crackexp.tracking.store import open_experiment
from tests.conftest import Command


def by_name(findings: object) -> dict[str, Finding]:
    assert isinstance(findings, list)
    return {finding.name: finding for finding in findings}


@pytest.mark.slow
def test_all_is_well_here(command: Command, tmp_path: Path) -> None:
    done = command("check", COLUMNS="200")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in (
        "Python",
        "crackexp",
        "Keras",
        "JAX",
        "MLflow",
        "JAX devices",
        "bundled",
        "cache",
        "disk",
        "All is well",
    ):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_is_wrong_is_told_and_ends_with_status_1(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = command(
        "check", "tracking=server", "tracking.uri=http://127.0.0.1:9", f"paths.cache={tmp_path}/file/cache",
        JAX_PLATFORMS="cuda", COLUMNS="200",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    _, problems = done.stdout.split("To mend:")
    assert "JAX devices: " in problems
    assert "JAX_PLATFORMS=cpu" in problems
    assert "paths.cache=FOLDER" in problems
    assert "tracking.uri=http://127.0.0.1:9" in problems
    assert "3 wrong" in problems


def test_a_package_of_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [finding for finding in packages() if finding.problem]
    for name, version in [("keras", "2.0.0"), ("rich", "1.0")]:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = by_name(list(packages()))
    assert found["Keras"].found == "2.0.0"
    assert "pip install 'keras" in found["Keras"].problem
    assert "pip install 'rich" in found["rich"].problem
    assert not found["MLflow"].problem


def test_a_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = crackexp.check._requirements("crackexp")
    assert needed
    monkeypatch.setattr(sys, "path", [])
    found = crackexp.check._package(next(each for each in needed if each.name == "keras"), "Keras")
    assert found.found == "none"
    assert "not installed" in found.problem


def test_a_disk_without_room_is_told_once(
    compose_config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cfg = compose_config(f"paths.cache={tmp_path}/kept", root="check")
    tracking = instantiate(cfg.tracking)
    assert not [finding for finding in folders(cfg, tracking) if finding.problem]
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(10e9, 9e9, 1e9))
    (full,) = [finding for finding in folders(cfg, tracking) if finding.problem]
    assert full.found.startswith("1.0 GB free")
    assert "clear=all" in full.problem


@pytest.mark.slow
def test_a_store_is_there_or_made_later_or_wrong(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert "not there yet" in store(MlflowLogger(uri)).found
    assert not list(tmp_path.iterdir())
    open_experiment(MlflowLogger(uri))
    assert store(MlflowLogger(uri)).found.endswith("with experiment crackexp")
    assert store(MlflowLogger(uri, experiment="other")).found.endswith("with no experiment other")
    assert not store(NoLogger()).problem
    (tmp_path / "broken.db").write_text("this is no database at all")
    assert "cannot be used" in store(MlflowLogger(f"sqlite:///{tmp_path}/broken.db")).problem
