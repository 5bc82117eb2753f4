"""Checks the packages, devices, weights, folders and store that crackexp uses here: ``python -m crackexp.check``."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import DictConfig
from packaging.requirements import Requirement

from crackexp import __version__
from crackexp.cli.main import leave, run
from crackexp.config.checking import check, instantiate
from crackexp.config.commands import next_command
from crackexp.config.settings import CommandConfig
from crackexp.reporting import Column, Report, Section, Table
from crackexp.reporting.terminal import print_report
from crackexp.tracking.logger import Logger
from crackexp.tracking.server import require_server
from crackexp.utils.errors import UserError
from crackexp.utils.store_uri import database_file

FREE = 2e9
"""The bytes that a disk should have: the compiled programs alone may take as many."""
SHOWN = {"keras": "Keras", "jax": "JAX", "mlflow": "MLflow"}
"""The packages whose versions are always shown; others are where they do not fit."""
OFFERED = ("app", "engines", "export", "gpu", "launchers", "search")
"""The extras of crackexp that a user may want."""


class CheckConfig(CommandConfig):
    """The config of ``python -m crackexp.check``."""

    groups: ClassVar = ("paths", "tracking")


@dataclass(frozen=True)
class Finding:
    """A thing that was looked at.

    Attributes:
        name: What it is.
        found: What was found.
        problem: What is wrong and how to mend it; "" where all is well.
    """

    name: str
    found: str
    problem: str = ""


def run_checks(composed: DictConfig) -> None:
    """Prints what is found, part by part, and ends with exit status 1 where something is wrong.

    Args:
        composed: The config that Hydra composed from ``conf/check.yaml``.

    Raises:
        ConfigError: The config has a mistake.
    """
    cfg = check(composed, CheckConfig)
    tracking = instantiate(cfg.tracking)
    parts = {
        "Packages": packages(),
        "Computing": computing(),
        "Weights": weights(),
        "Files": [*folders(cfg, tracking), store(tracking)],
    }
    problems = []
    for title, findings in parts.items():
        found = list(findings)
        print_report(Report("", [Section(title, tables=[_table(found)])]))
        sys.stdout.flush()
        problems += [f"{finding.name}: {finding.problem}" for finding in found if finding.problem]
    mending = [Section("To mend", problems, tone="danger")] if problems else []
    print_report(Report("", mending, answer=[f"{len(problems)} wrong" if problems else "All is well."]))
    leave(1 if problems else 0)


def packages() -> Iterator[Finding]:
    """Yields the versions of Python, crackexp and its packages, with those that do not fit what crackexp requires."""
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield Finding("crackexp", f"{__version__}, {Path(__file__).parent}")
    try:
        metadata = importlib.metadata.metadata("crackexp")
    except importlib.metadata.PackageNotFoundError:
        for name, title in SHOWN.items():
            yield _package(Requirement(name), title)
        return
    for requirement in _requirements("crackexp"):
        finding = _package(requirement, SHOWN.get(requirement.name, requirement.name))
        if finding.problem or requirement.name in SHOWN:
            yield finding
    extras = [extra for extra in metadata.get_all("Provides-Extra") or [] if extra in OFFERED]
    unmet = [extra for extra in extras if any(map(_unmet, _requirements("crackexp", extra)))]
    there = ", ".join(extra for extra in extras if extra not in unmet) or "none"
    more = f"; more with pip install 'crackexp[{','.join(unmet)}]'" if unmet else ""
    yield Finding("extras", f"{there}{more}")


def computing() -> Iterator[Finding]:
    """Yields the devices of JAX, on which a small program is run, and the engine that the commands compute with."""
    try:
        import jax
        import keras
        import loky

        from crackexp.inference.auto import installed
        from crackexp.inference.xla import Xla

        jax.jit(lambda rows: rows @ rows)(jax.numpy.ones((8, 8))).block_until_ready()
        devices, backend = jax.devices(), jax.default_backend()
    except Exception as error:  # of any kind, since drivers and libraries of a GPU fail in many ways
        advice = "Type JAX_PLATFORMS=cpu in front of the command to compute on the CPU"
        yield Finding("JAX devices", "none", f"JAX and Keras cannot compute: {_first_line(error)}. {advice}.")
        return
    kinds = [device.device_kind for device in devices]
    unused = backend == "cpu" and "JAX_PLATFORMS" not in os.environ and Path("/proc/driver/nvidia/version").exists()
    yield Finding(
        "JAX devices",
        ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)),
        "There is an NVIDIA GPU that JAX does not use. Type pip install 'crackexp[gpu]', or JAX_PLATFORMS=cpu in front "
        "of the command to compute on the CPU."
        if unused
        else "",
    )
    at_once = f"{loky.cpu_count()} batches at a time, one for each core" if backend == "cpu" else "2 batches a device"
    yield Finding("engine", f"Keras on JAX, {backend}; {at_once}; {keras.config.dtype_policy().name}")
    yield Finding("engines", ", ".join(f"{engine.name} {engine.version}" for engine in [*installed(), Xla()]))


def weights() -> Iterator[Finding]:
    """Yields the pretrained weights on this computer."""
    from crackexp.models.weight_files import bundled_weights

    try:
        yield Finding("bundled, MobileNetV2", str(bundled_weights()))
    except UserError as error:
        yield Finding("bundled, MobileNetV2", "none", str(error))
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    names = ", ".join(sorted(file.name for file in home.glob("*.h5")))
    yield Finding("of other backbones", names or f"none in {home}; Keras downloads them where they are used")


def folders(cfg: DictConfig, tracking: Logger) -> Iterator[Finding]:
    """Yields the cache, and the free space of the disks of the cache, the outputs and the store."""
    cache, root = Path(cfg.paths.cache).absolute(), Path(cfg.paths.root).absolute()
    other = "Choose another folder by paths.cache=FOLDER or the environment variable CRACKEXP_CACHE."
    size = 0
    for path in cache.rglob("*"):
        with suppress(FileNotFoundError):  # a running process may remove it
            size += path.lstat().st_size
    found = f"{cache}, {_gigabytes(size)}" if cache.is_dir() else f"{cache}, not there yet"
    yield Finding("cache", found, f"{problem} {other}" if (problem := _unwritable(cache)) else "")
    yield Finding("outputs", str(root), f"{problem} Stand in another folder." if (problem := _unwritable(root)) else "")
    database = database_file(tracking.store or "")
    places = [place for place in (cache, root, database and database.absolute().parent) if place]
    for place in {_existing(place).stat().st_dev: place for place in reversed(places)}.values():
        free = shutil.disk_usage(_existing(place)).free
        clearing = next_command("cache", "clear=all")
        yield Finding(
            "disk",
            f"{_gigabytes(free)} free for {place}",
            f"Less than {_gigabytes(FREE)} are free. Make room, for example by {clearing}" if free < FREE else "",
        )


def store(tracking: Logger) -> Finding:
    """Returns whether the MLflow store can be used. A local one need not exist yet."""
    uri = tracking.store
    if uri is None:
        return Finding("MLflow store", "none, as the logger keeps no runs")
    try:
        require_server(uri)
    except UserError as error:
        return Finding("MLflow store", uri, str(error))
    from crackexp.tracking.store import NoStoreError, answering, connect

    try:
        client = connect(uri)
        with answering(uri):
            names = [experiment.name for experiment in client.search_experiments()]
    except NoStoreError:
        problem = _unwritable((database_file(uri) or Path()).absolute().parent)
        return Finding("MLflow store", f"{uri}, not there yet", problem)
    except UserError as error:
        return Finding("MLflow store", uri, str(error))
    known = "" if tracking.experiment in names else "no "
    return Finding("MLflow store", f"{uri}, with {known}experiment {tracking.experiment}")


def _requirements(package: str, extra: str = "") -> list[Requirement]:
    """Returns what a package requires here; of an extra, what it requires in addition."""
    requirements = map(Requirement, importlib.metadata.requires(package) or [])
    if not extra:
        return [each for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    return [
        each
        for each in requirements
        if each.marker and each.marker.evaluate({"extra": extra}) and not each.marker.evaluate({"extra": ""})
    ]


def _unmet(requirement: Requirement) -> str:
    """Returns why a requirement is not met, or "" where it is."""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return "It is not installed."
    if not requirement.specifier.contains(version, prereleases=True):
        return f"crackexp needs {requirement.specifier}."
    inner = [each for extra in requirement.extras for each in _requirements(requirement.name, extra)]
    return next(filter(None, map(_unmet, inner)), "")


def _package(requirement: Requirement, title: str) -> Finding:
    try:
        found = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    wanted = f"{requirement.name}{requirement.specifier}"
    problem = _unmet(requirement)
    return Finding(title, found, f"{problem} Type pip install '{wanted}'" if problem else "")


def _unwritable(folder: Path) -> str:
    """Returns why no file can be written to a folder, or to the one in which it would be made; "" where one can."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return ""
    except OSError as error:
        return f"No file can be written to {folder}: {error.strerror}."


def _existing(folder: Path) -> Path:
    """Returns the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")


def _table(findings: Iterable[Finding]) -> Table:
    rows = list(findings)
    return Table(
        [
            Column("what", [finding.name for finding in rows]),
            Column("found", [finding.found for finding in rows]),
            Column("state", ["wrong" if finding.problem else "ok" for finding in rows]),
        ],
        tones=["danger" if finding.problem else "" for finding in rows],
    )


if __name__ == "__main__":
    run(run_checks, "check", CheckConfig)
