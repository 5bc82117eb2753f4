"""The state of a training run, kept as it goes, so that an interrupted run goes on bit for bit."""

import contextlib
import inspect
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import keras
import numpy as np
from filelock import FileLock, Timeout
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from crackexp.errors import DamagedFileError, DataError
from crackexp.training import plain
from crackexp.training.processes import is_first


@dataclass
class TrainingState:
    """Where a training stands: at the end of an epoch, or within one.

    Attributes:
        dataset: fingerprint of the images.
        identity: digest of config, data, code and devices at the beginning of the run.
        phase: that the epoch belongs to.
        batch: how many batches of the epoch are done; 0 at its end.
        stopped: a callback asked for the end of the phase.
        phases: the epoch that each phase so far began at.
        before: metrics before training.
        history: metrics of all epochs by name, as Keras names them.
        curve: (step, metrics) of all that was to be logged.
        seconds: spent so far, by section.
        variables: of the network, its random streams among them.
        optimizer: its variables: slots, iterations, learning rate.
        metrics: sums over the batches of the epoch that are done.
        callbacks: their `callback_state`, in order.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    dataset: str
    identity: str
    phase: str
    batch: Annotated[int, Field(ge=0)]
    stopped: bool
    phases: list[int]
    before: dict[str, float]
    history: dict[str, list[float]]
    curve: list[list[Any]]
    seconds: dict[str, float]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]
    metrics: list[np.ndarray]
    callbacks: list[dict[str, Any]]

    def put_back(self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Gives the compiled and built `model` and the callbacks the values of this state.

        Raises:
            DataError: they are of other shapes or classes, since the code changed.
        """
        pairs = [
            (model.variables, self.variables),
            (model.optimizer.variables, self.optimizer),
            (model.metrics_variables, self.metrics),
        ]
        same = all(_shapes(variables) == _shapes(values) for variables, values in pairs)
        if not same or [state["class"] for state in self.callbacks] != [type(c).__name__ for c in callbacks]:
            raise DataError(
                "The code or its libraries changed so far that the run cannot go on with its saved state. "
                f"Start the run anew. Received: {len(self.variables)} variables, {len(self.callbacks)} callbacks"
            )
        for variables, values in pairs:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        for callback, state in zip(callbacks, self.callbacks, strict=True):
            vars(callback).update(state["values"])


def callback_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Returns the class and the state of a callback: its plain attributes but for those that its arguments set."""
    arguments = inspect.signature(type(callback).__init__).parameters
    values = {
        name: value
        for name, value in vars(callback).items()
        if name not in arguments and name not in ("_model", "params") and plain.is_plain(value)
    }
    return {"class": type(callback).__name__, "values": values}


def values_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns the values of Keras variables on the host."""
    return [np.asarray(variable.value) for variable in variables]


class TrainingStates:
    """The newest state of one run, in ``<cache>/states/<run id>``, which one process at a time holds.

    Args:
        cache: folder of the states of all runs; where several processes train one run, the first one writes there.
        run_id: of the run to go on with; None begins one.
        dataset: fingerprint of the images.
        identity: digest of config, data, code and devices.

    Attributes:
        saved: the state to go on from; None: from the beginning.

    Raises:
        DataError: the run is trained by another process, its state is damaged, or its images changed.
    """

    def __init__(self, cache: str, run_id: str | None, dataset: str, identity: str) -> None:
        self.cache = Path(cache)
        self.dataset = dataset
        self.identity = identity
        self.saved: TrainingState | None = None
        self.folder: Path | None = None
        self._lock: FileLock | None = None
        if run_id:
            if is_first():
                self._hold(run_id)
            self.saved = self._load(run_id)

    @property
    def changed(self) -> bool:
        """Whether code, libraries or devices are not those that the run began with."""
        return self.saved is not None and self.saved.identity != self.identity

    @contextlib.contextmanager
    def of(self, run_id: str | None) -> Iterator[None]:
        """Holds the states of the run for the `with` block; a run without id keeps none."""
        if run_id and self.folder is None:
            self._hold(run_id)
        try:
            yield
        finally:
            if self._lock:
                self._lock.release()

    def save(self, state: TrainingState) -> None:
        """Keeps `state` in place of the one before."""
        if self.folder:
            plain.save(self.folder / "state.npz", vars(state))

    def remove(self) -> None:
        """Forgets the run, which is over."""
        if self.folder:
            shutil.rmtree(self.folder)

    def _hold(self, run_id: str) -> None:
        self.folder = self.cache / "states" / run_id
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DataError(
                f"The run is being trained by another process. Wait for its end, or stop it first. Received: {run_id}"
            ) from None

    def _load(self, run_id: str) -> TrainingState | None:
        folder = self.cache / "states" / run_id
        file = folder / "state.npz"
        if not file.exists():
            return None
        anew = f"Type rm -r {folder} and the same command again: the run then starts from its beginning."
        try:
            state = TypeAdapter(TrainingState).validate_python(plain.load(file))
        except DamagedFileError as error:
            raise DamagedFileError(
                f"The saved state of the run cannot be read: {error}. {anew} Received: resume={run_id}"
            ) from error
        except ValidationError as errors:
            problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in errors.errors()[:3])
            raise DataError(
                f"The saved state {file} was written by another version of crackexp ({problems}). Go on with that "
                f"version, or start over. {anew} Received: resume={run_id}"
            ) from errors
        if state.dataset != self.dataset:
            raise DataError(
                "The images are not those that the run began with. Bring them back, or start a new run. "
                f"Received: dataset {self.dataset} instead of {state.dataset}"
            )
        return state


def _shapes(arrays: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]
