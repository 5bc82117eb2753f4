"""A trial, which is one job of a multirun.

Its console output goes to a file, a finished result is used again, and a failure is recorded in the store.
"""

import contextlib
import functools
import gc
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
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from pydantic import BaseModel, field_validator

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
"""The name of the file with the outcome of a trial. Sweeps of earlier versions have left files of this name too."""


class Outcome(BaseModel, extra="forbid"):
    """The outcome of a trial, which the launching process reads from the file `OUTCOME` in the folder of the trial.

    Attributes:
        overrides: The overrides of the trial.
        state: "finished", "failed", or "kept" where the result of an earlier run was used.
        accuracy: The accuracy on the test images; None where it was not measured.
        error: The error by which the trial failed; "" for none.
        seconds: The seconds that the trial took.
        incomplete: Whether the trial left out files that may be images.
    """

    overrides: list[str] = []
    state: Literal["finished", "kept", "failed"]
    accuracy: float | None = None
    error: str = ""
    seconds: float
    incomplete: bool = False

    @field_validator("overrides")
    @classmethod
    def _are_overrides(cls, overrides: list[str]) -> list[str]:
        """Refuses what Hydra cannot read, as it stands in a damaged file."""
        try:
            OverridesParser.create().parse_overrides(overrides)
        except HydraException as error:
            raise ValueError(str(error)) from error
        return overrides


class SingleRun:
    """A run that is not part of a sweep, and the base class of those that are.

    Attributes:
        name: The name of the run; None for a name that is made from its config.
        parent: The run id of the sweep; None for a single run.
        levels: The levels of the swept keys.
        tags: The tags of the run.
        kept: Whether the result of a finished run was used instead of a training.
    """

    name: str | None = None
    parent: str | None = None
    levels: Mapping[str, Any] = MappingProxyType({})
    tags: Mapping[str, str] = MappingProxyType({})
    kept = False

    def finished(self, training_digest: str, output: Path) -> RunResult | None:
        """Returns the result of a finished run of the same training, or None where there is none.

        Args:
            training_digest: The digest of the training; see `crackexp.sweep.identity.training_digest`.
            output: The folder to which the result is then written, as ``result.json``.
        """
        return None

    def failed(self, error: Exception) -> None:
        """Records that the run failed with `error`."""


class SweepTrial(SingleRun):
    """A trial of a sweep that is kept in a store.

    Args:
        store: The store that holds the sweep.
        parent: The run id of the sweep.
        levels: The levels of the swept keys.
        rerun: Whether only results of this sweep may be used again; otherwise any run of the experiment counts.
    """

    def __init__(self, store: "SweepStore", parent: str, levels: dict[str, Any], rerun: bool) -> None:
        self.store = store
        self.parent: str = parent
        self.levels = levels
        self.rerun = rerun
        self.name: str = grid.name(levels)
        self.tags = {"sweep.settings": json.dumps(levels)}  # the name by which runs of earlier versions are found
        self.begun = time.time_ns() // 1_000_000

    def finished(self, training_digest: str, output: Path) -> RunResult | None:
        own = self.store.finished(training_digest, self.parent)
        other = None if own or self.rerun else self.store.finished(training_digest)
        run = own or other
        result = self.store.result(run) if run else None
        if result is None:
            return None
        if other:
            self.store.adopt(other, self.parent, self.name, self.tags)
        write_text(output / RESULT, result.text())
        self.kept = True
        return result

    def failed(self, error: Exception) -> None:
        self.store.record_failure(self.parent, self.name, self.tags, self.begun, error)


_current = SingleRun()


def current() -> SingleRun:
    """Returns the trial or the single run that this process runs."""
    return _current


@contextlib.contextmanager
def job(composed: DictConfig, account: Account) -> Iterator[None]:
    """Wraps one job of a multirun; does nothing in a single run.

    In a multirun, what the job prints is written to ``console.log`` in its folder, and its outcome to ``cell.json``,
    for which the launching process waits. An error is recorded in the store and raised again.

    Args:
        composed: The config of the job, as Hydra composed it.
        account: The account of the files that the job reads, which the job fills.
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
        except Exception as error:  # any error is recorded and raised again
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
            _current = SingleRun()
            _forget_network()


def _find(composed: DictConfig, hydra_config: HydraConf) -> SingleRun:
    """Returns the trial of the sweep that the launching process opened in the store, or a single run without one."""
    tracking = instantiate(composed.tracking)
    if tracking.store is None:
        return SingleRun()
    from crackexp.tracking.sweeps import SweepStore

    store = SweepStore(tracking)
    parent = store.find_parent(hydra_config.sweep.dir)
    if parent is None:
        return SingleRun()
    levels = grid.configuration(parent.keys, task_overrides(hydra_config))
    return SweepTrial(store, parent.run_id, levels, composed.sweep.rerun)


@contextlib.contextmanager
def _console_to(file: Path) -> Iterator[None]:
    """Sends everything that is printed and logged to the terminal to `file` instead."""
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
    """Frees the memory of the network of this trial, where one was built."""
    if keras := sys.modules.get("keras"):
        keras.backend.clear_session()
        _leave_out_survivors()


@functools.cache
def _leave_out_survivors() -> None:
    """Has the garbage collector leave out what is left of the first trial, which later trials use again.

    It would go through these 300,000 objects twice in each trial, which took half a second.
    """
    gc.freeze()
