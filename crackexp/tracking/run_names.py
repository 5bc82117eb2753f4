"""Names by which users call runs and models: ``latest``, a run name, the beginning of an id, or ``best:SWEEP``.

A name is looked up before a command imports anything slow, so that an unknown one is refused at once.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from omegaconf import DictConfig, read_write

from crackexp.config.checking import instantiate
from crackexp.tracking.logger import Logger
from crackexp.tracking.registered_names import require_registered
from crackexp.tracking.server import require_server
from crackexp.tracking.stored_runs import BEST_TAG, RUN_ID, StoredRun, StoredRuns, open_runs, short
from crackexp.utils.errors import ConfigError, UserError
from crackexp.utils.store_uri import database_file

LATEST = "latest"
READY = "ready"
"""The name of the model that crackexp comes with."""
BEST = "best:"
BEGINNING = re.compile("[0-9a-f]{4,31}")
"""The form of the beginning of a run id, which has at least as many digits as git asks for."""
SEARCHED = 1000
"""The number of the newest runs among which the nearest names are looked for."""


@dataclass(frozen=True)
class Kind:
    """A kind of run that a command asks for.

    Attributes:
        noun: What is asked for, such as "model".
        label: What the printed line begins with that says which run was found.
        fits: Whether a run can be taken.
        is_latest: Whether ``latest`` stands for a run, if it is the newest of those.
        lacks: Why a run that does not fit cannot be taken, as the predicate of a sentence.
    """

    noun: str
    label: str
    fits: Callable[[StoredRun], bool]
    is_latest: Callable[[StoredRun], bool]
    lacks: str


def _is_sweep(run: StoredRun) -> bool:
    return "sweep.key" in run.tags


def _is_training(run: StoredRun) -> bool:
    return "cell.id" in run.tags


def _is_comparable(run: StoredRun) -> bool:
    return _is_sweep(run) or (_is_training(run) and run.status == "FINISHED")


def _is_interrupted(run: StoredRun) -> bool:
    return _is_training(run) and run.status != "FINISHED"


MODEL = Kind(
    noun="model",
    label="Model: run",
    fits=lambda run: run.has_model,
    is_latest=lambda run: run.has_model and run.status == "FINISHED",
    lacks="has logged no model",
)
COMPARABLE = Kind(
    noun="run",
    label="Comparing",
    fits=_is_comparable,
    is_latest=lambda run: _is_comparable(run) and not run.parent,
    lacks="is neither a sweep nor a training run that finished",
)
INTERRUPTED = Kind(
    noun="run",
    label="Resuming",
    fits=_is_interrupted,
    is_latest=lambda run: _is_interrupted(run) and not run.parent,
    lacks="is no training run that was interrupted",
)
SWEEP = Kind(noun="sweep", label="", fits=_is_sweep, is_latest=_is_sweep, lacks="is no sweep")


def with_model(cfg: DictConfig, key: str = "model") -> DictConfig:
    """Returns a checked config in which the name of a model is replaced by the id of its run.

    The name of the model that crackexp comes with, folders, and addresses such as ``models:/NAME@champion`` stay as
    they are; see `find` for all other names.

    Raises:
        UserError: The name stands for no model, or for several.
    """
    name, logger = cfg[key], instantiate(cfg.tracking)
    if name == READY or in_folder(name, logger.store, key):
        return cfg
    assert logger.store is not None
    if ":/" in name:
        require_server(logger.store)
        if file := database_file(logger.store):
            received = f"Received: {key}={name}"
            _require_store(file, MODEL, received)
            with open_runs(logger.store):
                require_registered(name, file, received)
        return cfg
    found = cfg.copy()
    with read_write(found):
        found[key] = find(name, logger, MODEL, f"{key}=")
    return found


def in_folder(name: str, uri: str | None, key: str) -> bool:
    """Returns whether the name of a model is that of a folder that holds one.

    Args:
        name: The name that the user typed.
        uri: The address of the store; None where there is none.
        key: The config key whose value is `name`, for messages.

    Raises:
        UserError: It is the name of another folder, or there is no store in which other names could be found.
    """
    if Path(name, "MLmodel").is_file():
        return True
    if Path(name).is_dir() and not RUN_ID.fullmatch(name):
        raise UserError(
            f"The folder holds no logged model: it has no file MLmodel. Type {key}=FOLDER of a logged model, or "
            f"{key}=RUN_ID. Received: {key}={name}"
        )
    if uri is None:
        raise UserError(
            f"The logger of the config has no store in which a model could be found. Type tracking=local, or "
            f"{key}=FOLDER of a logged model. Received: {key}={name}"
        )
    return False


def find(name: str, logger: Logger, kind: Kind, before: str) -> str:
    """Returns the id of the run that a name stands for, and prints which one it is unless the name is the whole id.

    A name is, in the order of precedence: the id of a run; ``latest``, the newest run of the experiment that fits;
    ``best:SWEEP``, the best trial of a sweep that is given by any of these; the name of a run; or the beginning of an
    id, of four digits or more. Runs of the experiment of `logger` come before those of other experiments. Deleted runs
    do not count.

    Args:
        name: The name that the user typed.
        logger: The logger of the command, which has a store.
        kind: The kind of run that the command asks for.
        before: What the user typed before the name, such as ``resume=``, for messages.

    Raises:
        UserError: No run of this kind has the name, several have it, or the store cannot be read.
    """
    assert logger.store is not None
    require_server(logger.store)
    file = database_file(logger.store)
    if file is None and RUN_ID.fullmatch(name):
        return name  # the command itself asks the server for it
    if file:
        _require_store(file, kind, f"Received: {before}{name}")
    with open_runs(logger.store) as runs:
        found = _Search(runs, logger).one(name, kind, before)
    if found.run_id != name:
        from crackexp.reporting.terminal import print_plain

        print_plain(f"{kind.label} {found.shown_name} ({short(found.run_id)}), started {found.start_text}")
    return found.run_id


def _require_store(file: Path, kind: Kind, received: str) -> None:
    """Raises UserError where there is no database, before MLflow is imported to say so."""
    if not file.exists() or (file.is_file() and not file.stat().st_size):
        raise UserError(
            f"There is no MLflow store at {file}, so it holds no such {kind.noun}. Stand in the folder where the model "
            f"was trained, or type tracking.uri=URI. {received}"
        )


class _Search:
    """The search for a run in a store.

    Args:
        runs: The runs of the store.
        logger: The logger of the command.
    """

    def __init__(self, runs: StoredRuns, logger: Logger) -> None:
        self.runs = runs
        self.logger = logger

    def one(self, name: str, kind: Kind, before: str) -> StoredRun:
        """Returns the run of a kind that has a name, before which the user typed `before`."""
        received = f"Received: {before}{name}"
        if RUN_ID.fullmatch(name):
            found = list(self.runs.with_id(name))
            if found and kind is not SWEEP:  # whether it fits is for the command to say, which knows more of it
                return self._original(found[0]) if kind is MODEL else found[0]
        elif name == LATEST:
            newest = filter(kind.is_latest, self.runs.newest(self.logger.experiment))
            if run := next(newest, None):
                return run
            raise UserError(
                f"The experiment {self.logger.experiment} of the store at {self.logger.store} holds no such "
                f"{kind.noun}. Type tracking.experiment=NAME for another one. {received}"
            )
        elif name.startswith(BEST) and kind is not SWEEP:
            sweep = self.one(name.removeprefix(BEST), SWEEP, f"{before}{BEST}")
            found = [self._best(sweep, received)]
        else:
            found = list(self.runs.named(name))
            if not found and BEGINNING.fullmatch(name):
                found = list(self.runs.with_id(name))
        if not found:
            raise self._unknown(name, kind, before)
        if kind is MODEL:
            found = list({run.run_id: run for run in map(self._original, found)}.values())
        fitting = [run for run in found if kind.fits(run)]
        if not fitting:
            raise UserError(f"The run {_listed(found[:1])} {kind.lacks}. {received}")
        here = [run for run in fitting if run.experiment == self.logger.experiment] or fitting
        if len(here) > 1:
            raise UserError(
                f"{len(here)} runs of the store have this name: {_listed(here)}. Type "
                f"{before}{short(here[0].run_id)} for the newest of them. {received}"
            )
        return here[0]

    def _original(self, run: StoredRun) -> StoredRun:
        """Returns the run that logged the model, which is another one where `run` is a copy of its result."""
        return run if run.original == run.run_id else next(self.runs.with_id(run.original), run)

    def _best(self, sweep: StoredRun, received: str) -> StoredRun:
        """Returns the best trial of a sweep, as the report at its end has told it.

        Sweeps of earlier versions have not logged it. Their best trial is the one whose verdict is "best".
        """
        trials = list(self.runs.children(sweep.run_id))
        best = [run for run in trials if run.run_id == sweep.tags.get(BEST_TAG)]
        if BEST_TAG not in sweep.tags:
            best = [run for run in trials if run.tags.get("sweep.verdict") == "best"]
        if len(best) == 1:
            return best[0]
        several = f"has several best trials: {_listed(best)}" if best else "has no best trial"
        raise UserError(
            f"The sweep {_listed([sweep])} {several}. Let it end by the command that began it, or type the id of one "
            f"of its trials. {received}"
        )

    def _unknown(self, name: str, kind: Kind, before: str) -> ConfigError:
        others = [run for run in islice(self.runs.newest(self.logger.experiment), SEARCHED) if kind.fits(run)]
        if difflib.get_close_matches(name, [LATEST], cutoff=0.7):
            hint = f" Did you mean {LATEST}?"
        elif near := _nearest(name, others):
            hint = f" Did you mean {_listed(near)}?"
        elif others:
            hint = f" The newest are {_listed(others[:3])}."
        else:
            hint = f" The experiment {self.logger.experiment} holds none."
        ways = f"{before}{LATEST}, the name of a run, or the first digits of its id"
        return ConfigError(
            f"The store at {self.logger.store} holds no such {kind.noun}.{hint} Type {ways}. Received: {before}{name}"
        )


def _nearest(name: str, runs: Iterable[StoredRun]) -> list[StoredRun]:
    """Returns up to three runs, the newest first, whose names or ids are similar to `name`."""
    called: dict[str, StoredRun] = {}
    for run in runs:
        called.setdefault(run.name, run)
        if re.fullmatch("[0-9a-f]{4,40}", name):
            called.setdefault(run.run_id[: len(name)], run)
    close = difflib.get_close_matches(name, called, n=3, cutoff=0.6)
    return list({called[word].run_id: called[word] for word in close}.values())


def _listed(runs: list[StoredRun]) -> str:
    """Returns up to five runs with the beginnings of their ids and their starts, as a list in a sentence."""
    texts = [f"{run.shown_name} ({short(run.run_id)}, {run.start_text})" for run in runs[:5]]
    return ", ".join(texts) + (f" and {len(runs) - 5} more" if len(runs) > 5 else "")
