"""One job of a multirun: its console is kept in a file, a finished result is kept, a failure is recorded."""

import contextlib
import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from pydantic import BaseModel

from crackexp.config.checking import instantiate
from crackexp.config.overrides import task_overrides
from crackexp.data.accounting import Account
from crackexp.sweep import grid
from crackexp.sweep.resources import share_machine
from crackexp.tracking.result import RESULT, RunResult, read_result
from crackexp.utils.files import write_text
from crackexp.utils.signals import heed

if TYPE_CHECKING:
    from crackexp.tracking.sweeps import SweepStore

OUTCOME = "cell.json"


class Outcome(BaseModel, extra="forbid"):
    """How a cell ended, as its folder tells the launching process in a file named `OUTCOME`.

    Attributes:
        overrides: of the cell.
        state: "kept" where the result of an earlier run stood in for it.
        accuracy: on the test images, where it was measured.
        error: by which it failed.
        seconds: that it took.
        incomplete: whether it left out files that may be images.
    """

    overrides: list[str] = []
    state: Literal["finished", "kept", "failed"]
    accuracy: float | None = None
    error: str = ""
    seconds: float
    incomplete: bool = False


class Alone:
    """A run that is no cell of a sweep.

    Attributes:
        name: of the run; None: after its config.
        parent: run id of the sweep.
        levels: of the swept keys.
        tags: of the run.
        kept: whether a finished run stood in for this one.
    """

    name: str | None = None
    parent: str | None = None
    levels: Mapping[str, Any] = MappingProxyType({})
    tags: Mapping[str, str] = MappingProxyType({})
    kept = False

    def finished(self, cell_id: str, output: Path) -> RunResult | None:
        """Returns what ``result.json`` holds of a run of this very cell that finished, or None where there is none.

        Args:
            cell_id: digest of config, data and code.
            output: folder that ``result.json`` is then written to.
        """
        return None

    def failed(self, error: Exception) -> None:
        """Records that the cell ended by `error`."""


class SweepCell(Alone):
    """One cell of a sweep that a store remembers.

    Args:
        store: holds the sweep.
        parent: run id of the sweep.
        levels: of the swept keys.
        rerun: looks for finished results in this sweep alone.
    """

    def __init__(self, store: "SweepStore", parent: str, levels: dict[str, Any], rerun: bool) -> None:
        self.store = store
        self.parent: str = parent
        self.levels = levels
        self.rerun = rerun
        self.name: str = grid.name(levels)
        self.tags = {"sweep.settings": json.dumps(levels)}
        self.begun = time.time_ns() // 1_000_000

    def finished(self, cell_id: str, output: Path) -> RunResult | None:
        run = self.store.finished(cell_id, self.parent)
        elsewhere = None if run or self.rerun else self.store.finished(cell_id)
        found = run or elsewhere
        result = self.store.result(found) if found else None
        if result is None:
            return None
        if elsewhere:
            self.store.adopt(elsewhere, self.parent, self.name, self.tags)
        write_text(output / RESULT, result.text())
        self.kept = True
        return result

    def failed(self, error: Exception) -> None:
        self.store.record_failure(self.parent, self.name, self.tags, self.begun, error)


_current = Alone()


def current() -> Alone:
    """Returns the cell that this process is running."""
    return _current


@contextlib.contextmanager
def job(composed: DictConfig, account: Account) -> Iterator[None]:
    """Frames one job; does nothing in a run of its own.

    In a multirun, what the job prints goes to ``console.log`` of its folder, and how it ended to ``cell.json``, which
    the launching process waits for. An error is recorded in the store and raised again.

    Args:
        composed: config of the job, as Hydra composed it.
        account: What became of the files that the job reads; filled by the job.
    """
    global _current
    hydra_config = HydraConfig.get()
    if hydra_config.mode != RunMode.MULTIRUN:
        yield
        return
    output = Path(hydra_config.runtime.output_dir)
    started = time.perf_counter()
    outcome: dict[str, Any] = {}
    with _console_to(output / "console.log"):
        try:
            share_machine(hydra_config)
            _current = _find(composed, hydra_config)
            yield
            accuracy = read_result(output).metrics.get("test/accuracy")
            outcome |= {"state": "kept" if _current.kept else "finished", "accuracy": accuracy}
        except Exception as error:  # of whatever kind: it is noted and raised again
            heed()
            traceback.print_exc()
            outcome |= {"state": "failed", "error": f"{type(error).__name__}: {error}"}
            _current.failed(error)
            raise
        finally:
            if "state" in outcome:
                ended = Outcome(
                    overrides=task_overrides(hydra_config),
                    seconds=time.perf_counter() - started,
                    incomplete=bool(account.exit_status),
                    **outcome,
                )
                write_text(output / OUTCOME, ended.model_dump_json())
            _current = Alone()
            _forget_network()


def _find(composed: DictConfig, hydra_config: HydraConf) -> Alone:
    """Returns the cell of the sweep that the launching process opened in the store, if it opened one."""
    tracking = instantiate(composed.tracking)
    if tracking.store is None:
        return Alone()
    from crackexp.tracking.sweeps import SweepStore

    store = SweepStore(tracking)
    parent = store.find_parent(hydra_config.sweep.dir)
    if parent is None:
        return Alone()
    levels = grid.settings(parent.keys, task_overrides(hydra_config))
    return SweepCell(store, parent.run_id, levels, composed.sweep.rerun)


@contextlib.contextmanager
def _console_to(file: Path) -> Iterator[None]:
    """Sends to `file` what is printed and logged to the terminal."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handlers = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    streams = [handler.stream for handler in handlers]
    with file.open("w", buffering=1) as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        for handler in handlers:
            handler.setStream(stream)
        try:
            yield
        finally:
            for handler, before in zip(handlers, streams, strict=True):
                handler.setStream(before)


def _forget_network() -> None:
    """Frees the memory of this cell's network, where one was built."""
    if keras := sys.modules.get("keras"):
        keras.backend.clear_session()
