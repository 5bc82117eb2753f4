"""An open run of an MLflow store, which is marked as FINISHED, FAILED or KILLED however it ends."""

import contextlib
import importlib.metadata
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import loky
import mlflow
from matplotlib.figure import Figure
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from crackexp.data.images import pixels
from crackexp.models import saved
from crackexp.reporting.png import BackgroundPng, png
from crackexp.tracking import model_facts
from crackexp.tracking.alive import Alive
from crackexp.tracking.artifacts import log_digest
from crackexp.tracking.dataset import ImageDataset
from crackexp.tracking.logger import Logger, require_store
from crackexp.tracking.model_facts import ModelFacts
from crackexp.tracking.store import answering, open_experiment
from crackexp.utils.names import visible
from crackexp.utils.quiet import quiet
from crackexp.utils.signals import answer, heed, uninterrupted

MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
MODEL_PACKAGES = (
    "mlflow",
    "keras",
    "jax",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pi-heif",
    "pillow",
    "pydantic",
)
"""The packages that a logged model needs where it is loaded."""

COPIED = {"pixels": pixels, "facts": model_facts, "saved": saved}
"""The modules that are copied beside a logged model, by which it works without crackexp."""


@contextlib.contextmanager
def open_run(
    logger: Logger, name: str, tags: Mapping[str, str], parent: str | None, run_id: str | None
) -> Iterator["MlflowRun"]:
    """Opens a run in the store of a logger for the `with` block; see `Logger.run`.

    Raises:
        UserError: The store cannot be reached.
    """
    store = require_store(logger, "An MLflow run is logged to a store")
    experiment_id = open_experiment(logger)
    tags = {key: visible(value) for key, value in tags.items()}
    if parent:
        tags = {**tags, MLFLOW_PARENT_RUN_ID: parent}
    alive = Alive(store)
    with alive.held() as mark:
        with answering(store):
            alive.mark_all_killed(mlflow.MlflowClient(), experiment_id)
            run = _reopened(run_id, {**tags, **mark}) if run_id else _new(name, {**tags, **mark}, experiment_id)
        run.in_background = parent is not None and loky.cpu_count() > 1
        try:
            yield run
            run.log_rendered()
            heed()
        except BaseException as error:
            stop = answer()
            killed = stop is not None or isinstance(error, (KeyboardInterrupt, SystemExit))
            run.fail("KILLED" if killed else "FAILED", error)
            if stop and isinstance(error, Exception):
                signal.raise_signal(stop)
            raise
        with uninterrupted(), answering(store):
            mlflow.end_run("FINISHED")


class MlflowRun:
    """The active run of MLflow in this process.

    Args:
        active: The run of MLflow.
        params: The names of the params that the run has already. They are not logged again, since they never change.
        logged: The name and the step of each metric that the run has already, which is not logged again.

    Attributes:
        in_background: Whether another process renders the figures, which are then logged with the next metrics or at
            the end of the run.
    """

    in_background = False

    def __init__(
        self, active: mlflow.ActiveRun, params: set[str] | None = None, logged: set[tuple[str, int]] | None = None
    ) -> None:
        self.run_id = str(active.info.run_id)
        self.experiment_id = active.info.experiment_id
        self._params = params or set()
        self._logged = logged or set()
        self._rendering: dict[str, BackgroundPng] = {}

    @uninterrupted()
    def fail(self, status: str, error: BaseException) -> None:
        """Logs the error and ends the run, as far as the store can still be written, which may be the cause."""
        with contextlib.suppress(mlflow.MlflowException, SQLAlchemyError, OSError):
            mlflow.set_tag("error", visible(f"{type(error).__name__}: {error}")[:5000])
            mlflow.log_text(visible(traceback.format_exc()), "error.txt")
            self.log_rendered()
        with contextlib.suppress(mlflow.MlflowException, SQLAlchemyError, OSError):
            mlflow.end_run(status)

    @uninterrupted()
    def set_tags(self, tags: Mapping[str, str]) -> None:
        mlflow.set_tags({key: visible(value) for key, value in tags.items()})

    @uninterrupted()
    def log_params(self, params: Mapping[str, Any]) -> None:
        new = {name: visible(str(value)) for name, value in params.items() if name not in self._params}
        mlflow.log_params(new)

    @uninterrupted()
    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.log_rendered()
        new = {name: value for name, value in metrics.items() if (name, step) not in self._logged}
        mlflow.log_metrics(new, step=step)

    @uninterrupted()
    def log_figure(self, figure: Figure, path: str) -> None:
        if self.in_background:
            self._rendering[path] = BackgroundPng(figure)
        else:
            _log_png(png(figure), path)

    @uninterrupted()
    def log_rendered(self) -> None:
        """Logs the figures that another process renders, as soon as it is done with them."""
        while self._rendering:
            path, rendered = self._rendering.popitem()
            _log_png(rendered.result(), path)

    @uninterrupted()
    def log_text(self, text: str, path: str) -> None:
        text = visible(text)
        mlflow.log_text(text, path)
        log_digest(path, text)

    @uninterrupted()
    def log_file(self, file: Path, folder: str) -> None:
        mlflow.log_artifact(str(file), folder)
        log_digest(f"{folder}/{file.name}", file)

    @uninterrupted()
    def log_dataset(self, name: str, root: Path, digest: str, profile: Mapping[str, Any], context: str) -> None:
        dataset = ImageDataset(name, root, digest, profile)
        try:
            mlflow.log_input(dataset, context)
        except mlflow.MlflowException:  # another run has just logged the same new dataset, which MLflow finds now
            mlflow.log_input(dataset, context)

    @uninterrupted()
    def log_model(self, classifier: keras.Model, metadata: Mapping[str, Any]) -> str:
        """Logs a classifier with its own loader and returns its URI; see `Logger.log_model`."""
        facts = ModelFacts.read(metadata)
        columns = {"label": "string", "probability": "double", "decision": "string"}
        signature = ModelSignature(  # without inputs, since a schema cannot allow both base64 and arrays
            outputs=Schema([ColSpec(kind, name) for name, kind in columns.items()]),
            params=ParamSchema([ParamSpec("threshold", "double", facts.threshold)]),
        )
        with tempfile.TemporaryDirectory() as folder, _quiet():
            artifacts = {"model": Path(folder) / "model.keras", "h5": Path(folder) / "model.h5"}
            for file in artifacts.values():
                classifier.save(file)
            artifacts |= {name: Path(str(module.__file__)) for name, module in COPIED.items()}
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={name: str(file) for name, file in artifacts.items()},
                signature=signature,
                model_config={"read_files": True},
                pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in MODEL_PACKAGES],
                metadata=facts.seal(artifacts.values()),
            )
        return str(info.model_uri)


def _log_png(file: bytes, path: str) -> None:
    folder, _, name = path.rpartition("/")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary, name)
        place.write_bytes(file)
        mlflow.log_artifact(str(place), folder or None)


def _new(name: str, tags: Mapping[str, str], experiment_id: str) -> MlflowRun:
    return MlflowRun(mlflow.start_run(experiment_id=experiment_id, run_name=visible(name), tags=dict(tags)))


def _reopened(run_id: str, tags: Mapping[str, str]) -> MlflowRun:
    active = mlflow.start_run(run_id=run_id, tags=dict(tags))
    client = mlflow.MlflowClient()
    if "error" in active.data.tags:
        client.delete_tag(run_id, "error")
    # The params of a run in a copied store name other folders, and MLflow refuses to change a param.
    params = set(active.data.params)
    logged = {(name, metric.step) for name in active.data.metrics for metric in client.get_metric_history(run_id, name)}
    return MlflowRun(active, params, logged)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the warnings of Keras about .h5 files and of MLflow about its steps and the missing input example."""
    with quiet("absl", "mlflow"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
        yield
