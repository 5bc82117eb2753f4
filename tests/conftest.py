"""Fixtures: small drawn image folders, composed configs, and commands as users type them."""

import contextlib
import io
import logging
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from crackexp.config.options import conf_dir
from crackexp.data.synthetic import draw_patch
from crackexp.utils.signals import STOPS

Command = Callable[..., subprocess.CompletedProcess[str]]
TINY = [
    "backbone.alpha=0.35",
    "backbone.weights=null",
    "image_size=32",
    "batch_size=8",
    "epochs=2",
    "evaluation.resamples=20",
    "inference=xla",
]
"""Overrides that make the main job a matter of seconds, with the numbers of JAX."""


LISTENING = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('crackexp.train', run_name='__main__', alter_sys=True)"
)
"""``python -m crackexp.train`` that hears Ctrl-C also where a shell started the tests in the background."""


def write_patches(root: Path, classes: tuple[str, str], each: int, size: int = 48) -> Path:
    """Writes `each` drawn patches a class below `root`; the second class is the cracked one."""
    for cracked, name in enumerate(classes):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(each):
            patch = draw_patch(7, number, bool(cracked), size)
            cv2.imwrite(str(folder / f"{number:03}.jpg"), patch[..., ::-1])
    return root


@pytest.fixture(scope="session")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 30 Negative and 30 Positive patches; not to be changed."""
    return write_patches(tmp_path_factory.mktemp("patches"), ("Negative", "Positive"), 30)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that all tests of a session share, as a user's runs do, whichever worker they run in."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"


@pytest.fixture
def compose_config(tmp_path: Path, cache: Path) -> Iterator[Callable[..., DictConfig]]:
    """Composes a root config with overrides; outputs go to the test's own folder."""

    def composed(*overrides: str, root: str = "train") -> DictConfig:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = compose(
                root,
                [
                    f"paths.root={tmp_path}",
                    f"paths.cache={cache}",
                    f"paths.output={tmp_path / 'output'}",
                    *overrides,
                ],
                return_hydra_config=True,
            )
        HydraConfig.instance().set_config(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        return cfg

    yield composed
    GlobalHydra.instance().clear()


@pytest.fixture
def command(tmp_path: Path, cache: Path) -> Command:
    """Runs ``python -m crackexp.NAME ARGUMENTS`` in the test's own folder, as a user would."""

    def run(name: str, *arguments: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", f"crackexp.{name}", *arguments],
            cwd=tmp_path,
            env={**os.environ, "CRACKEXP_CACHE": str(cache), **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@contextlib.contextmanager
def commands_here(folder: Path, cache: Path | None) -> Iterator[Command]:
    """Runs what ``python -m crackexp.NAME ARGUMENTS`` runs in `folder`, in this process: without seconds of imports.

    Its own are, as in a process: the working folder, where modules are found too, the environment, the standard
    streams, the signal handlers, Hydra's singletons and the handlers of the root logger.

    Args:
        folder: working folder of the commands.
        cache: the cache that CRACKEXP_CACHE names; the variable is not set where it is None.
    """
    root, listeners = logging.getLogger(), {number: signal.getsignal(number) for number in STOPS}
    handlers, level = list(root.handlers), root.level
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        if cache is None:
            patch.delenv("CRACKEXP_CACHE", raising=False)
        else:
            patch.setenv("CRACKEXP_CACHE", str(cache))
        patch.setenv("HYDRA_FULL_ERROR", "1")  # crackexp sets it
        patch.setattr(logging, "_handlerList", [])  # Hydra's logging closes all in it, and absl's closes its stream

        def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
            words = ["python", "-m", f"crackexp.{name}", *arguments]
            for key, value in environment.items():
                patch.setenv(key, value)
            patch.setattr(sys, "argv", [name, *arguments])
            out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="", write_through=True) for _ in range(2))
            code = 0
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    with warnings.catch_warnings():
                        warnings.filterwarnings("ignore", "'crackexp.* found in sys.modules", RuntimeWarning)
                        # other workers use and evict the same compiled programs; JAX compiles what it cannot read
                        warnings.filterwarnings("ignore", "Error .*persistent compilation cache", UserWarning)
                        runpy.run_module(f"crackexp.{name}", run_name="__main__", alter_sys=True)
                except SystemExit as end:
                    code = end.code if isinstance(end.code, int) else int(end.code is not None)
                except Exception:  # as an interpreter ends by it
                    traceback.print_exc()
                    code = 1
                finally:
                    HydraConfig.instance().cfg = None
                    GlobalHydra.instance().clear()
                    for handler in [handler for handler in root.handlers if handler not in handlers]:
                        handler.close()
                    root.handlers, root.level = list(handlers), level
            printed, complained = (stream.buffer.getvalue().decode() for stream in (out, err))
            return subprocess.CompletedProcess(words, code, printed, complained)

        try:
            yield run
        finally:
            for number, listener in listeners.items():
                signal.signal(number, listener)
            for module in set(sys.modules) - known:
                if Path(getattr(sys.modules[module], "__file__", None) or "/").is_relative_to(folder):
                    del sys.modules[module]


@pytest.fixture
def command_here(tmp_path: Path, cache: Path) -> Iterator[Command]:
    """Runs what `command` runs in the test's own folder, in this process."""
    with commands_here(tmp_path, cache) as run:
        yield run


@pytest.fixture(scope="module")
def serve_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts ``mlflow COMMAND ARGUMENTS`` on a free port of loopback and returns its address."""
    folder = tmp_path_factory.mktemp("server")
    started: list[subprocess.Popen[bytes]] = []

    def serve(command: str, *arguments: str) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = [sys.executable, "-m", "mlflow", *command.split(), "--port", str(port), "--workers", "1", *arguments]
        started.append(subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            except OSError:
                time.sleep(0.5)
            else:
                return f"http://127.0.0.1:{port}"
        raise TimeoutError(f"mlflow {command} does not answer on port {port}")

    yield serve
    for process in started:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images that CRACKEXP_REAL_DATA names."""
    folder = os.environ.get("CRACKEXP_REAL_DATA")
    if not folder:
        pytest.skip("CRACKEXP_REAL_DATA is not set: no real images here")
    return Path(folder)
