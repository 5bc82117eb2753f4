"""Checkpoints of a training run, kept as it goes, so that an interrupted run goes on bit for bit."""

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

from crackexp.training.history import TrainingHistory
from crackexp.utils.distributed import is_first_process
from crackexp.utils.errors import DamagedFileError, DataError
from crackexp.utils.pytree import is_pytree, load_pytree, save_pytree


@dataclass
class Checkpoint:
    """The state of a training at the end of an epoch, or within one.

    Attributes:
        dataset: The fingerprint of the images.
        identity: The digest of config, data, code and devices at the beginning of the run.
        phase: The phase that the epoch belongs to.
        batch: How many batches of the epoch are done; 0 at its end.
        stopped: Whether a callback has ended the phase.
        history: The metrics so much.
        seconds: The seconds spent so much, by section.
        variables: The variables of the network, its random streams among them.
        optimizer: The variables of the optimizer: slots, iterations, learning rate.
        metrics: The variables of the metrics: sums over the batches of the epoch that are done.
        callbacks: The `callback_state` of each callback, in order.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    dataset: str
    identity: str
    phase: str
    batch: Annotated[int, Field(ge=0)]
    stopped: bool
    history: TrainingHistory
    seconds: dict[str, float]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]
    metrics: list[np.ndarray]
    callbacks: list[dict[str, Any]]

    def restore(self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Gives the compiled and built `model` and the callbacks the values of this checkpoint.

        Raises:
            DataError: Their shapes or classes are others, because the code changed.
        """
        pairs = [
            (model.variables, self.variables),
            (model.optimizer.variables, self.optimizer),
            (model.metrics_variables, self.metrics),
        ]
        same = all(_shapes(variables) == _shapes(values) for variables, values in pairs)
        if not same or [state["class"] for state in self.callbacks] != [type(c).__name__ for c in callbacks]:
            raise DataError(
                "The code or its libraries changed so much that the run cannot continue from its saved state. "
                f"Start a new run. Received: {len(self.variables)} variables, {len(self.callbacks)} callbacks"
            )
        for variables, values in pairs:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        for callback, state in zip(callbacks, self.callbacks, strict=True):
            vars(callback).update(state["values"])


def callback_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Returns the class and the state of a callback.

    Keras' callbacks have no method that returns their state, such as the epochs without improvement that
    `EarlyStopping` has counted. They keep it in plain attributes, of which some are private, and reset these in
    `on_train_begin`. So the state is every attribute that is a pytree, except for those that hold an argument of the
    constructor, which the config sets, and those that Keras sets. `Checkpoint.restore` puts the attributes back after
    `on_train_begin`. A callback with other attributes after an update of Keras is no danger: a checkpoint belongs to
    the versions of the libraries, and a run warns when it goes on with others.
    """
    arguments = inspect.signature(type(callback).__init__).parameters
    values = {
        name: value
        for name, value in vars(callback).items()
        if name not in arguments and name not in ("_model", "params") and is_pytree(value)
    }
    return {"class": type(callback).__name__, "values": values}


def values_of(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns the values of Keras variables on the host."""
    return [np.asarray(variable.value) for variable in variables]


class Checkpointer:
    """Keeps the newest checkpoint of one run in ``<cache>/states/<run id>``, which one process at a time holds.

    Args:
        cache: The folder that holds ``states/``. If several processes train one run, the first one writes there.
        run_id: The id of the run to go on with; None if it is a new one.
        dataset: The fingerprint of the images.
        identity: The digest of config, data, code and devices.

    Attributes:
        restored: The checkpoint to go on from; None if the run starts from its beginning.
        folder: The folder of the run; None before `open`.

    Raises:
        DataError: Another process trains the run, its checkpoint is damaged, or its images changed.
    """

    def __init__(self, cache: str, run_id: str | None, dataset: str, identity: str) -> None:
        self.cache = Path(cache)
        self.dataset = dataset
        self.identity = identity
        self.restored: Checkpoint | None = None
        self.folder: Path | None = None
        self._lock: FileLock | None = None
        if run_id:
            if is_first_process():
                self._acquire(run_id)
            self.restored = self._load(run_id)

    @property
    def code_changed(self) -> bool:
        """Whether code, libraries or devices are not those that the run began with."""
        return self.restored is not None and self.restored.identity != self.identity

    @contextlib.contextmanager
    def open(self, run_id: str | None) -> Iterator[None]:
        """Holds the checkpoints of a run for the `with` block; without an id nothing is kept."""
        if run_id and self.folder is None:
            self._acquire(run_id)
        try:
            yield
        finally:
            if self._lock:
                self._lock.release()

    def save(self, checkpoint: Checkpoint) -> None:
        """Keeps `checkpoint` in place of the one before."""
        if self.folder:
            state = vars(checkpoint) | {"history": vars(checkpoint.history)}
            save_pytree(self.folder / "state.npz", state)

    def remove(self) -> None:
        """Removes the checkpoint of a run that is over."""
        if self.folder:
            shutil.rmtree(self.folder)

    def _acquire(self, run_id: str) -> None:
        self.folder = self.cache / "states" / run_id
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DataError(
                f"The run is being trained by another process. Wait for its end, or stop it first. Received: {run_id}"
            ) from None

    def _load(self, run_id: str) -> Checkpoint | None:
        folder = self.cache / "states" / run_id
        file = folder / "state.npz"
        if not file.exists():
            return None
        remedy = f"Type rm -r {folder} and the same command again: the run then starts from its beginning."
        try:
            checkpoint = TypeAdapter(Checkpoint).validate_python(load_pytree(file))
        except DamagedFileError as error:
            raise DamagedFileError(
                f"The saved state of the run cannot be read: {error}. {remedy} Received: resume={run_id}"
            ) from error
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:3])
            raise DataError(
                f"The saved state {file} was written by another version of crackexp ({problems}). Go on with that "
                f"version, or start over. {remedy} Received: resume={run_id}"
            ) from error
        if checkpoint.dataset != self.dataset:
            raise DataError(
                "The images are not those that the run began with. Bring them back, or start a new run. "
                f"Received: dataset {self.dataset} instead of {checkpoint.dataset}"
            )
        return checkpoint


def _shapes(arrays: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]
