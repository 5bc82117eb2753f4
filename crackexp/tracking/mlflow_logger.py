"""The MLflow logger: one run of a store, which always ends as FINISHED, FAILED or KILLED, with the error in it."""

import contextlib
import importlib.metadata
import shlex
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock
from matplotlib.figure import Figure
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from crackexp.data import pixels
from crackexp.errors import UserError
from crackexp.names import visible
from crackexp.quiet import quiet
from crackexp.signals import answer, heed, uninterrupted
from crackexp.tracking import model_facts
from crackexp.tracking.alive import Alive
from crackexp.tracking.artifacts import log_digest
from crackexp.tracking.dataset import ImageDataset
from crackexp.tracking.logger import NoLogger
from crackexp.tracking.model_facts import ModelFacts
from crackexp.tracking.store import answering, connect
from crackexp.tracking.uri import database_file, ui_words

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
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment on the pages for training, not on those for language models."""

PNG = {"dpi": 100, "pil_kwargs": {"compress_level": 1}}
"""Ten figures a run: a tenth larger than at the default level, saved in a quarter of the time."""


class MlflowLogger(NoLogger):
    """Logs one run to an MLflow store.

    Args:
        uri: of the store: sqlite:///FILE, or http://HOST:PORT of a server.
        artifacts: folder of the artifacts of a new experiment; None: the server decides.
        experiment: name of the experiment; made where it is not there yet.
        run_name: shown in the UI; None: the name given to `run`.
        log_model: False leaves the model out.
    """

    def __init__(
        self,
        uri: str,
        artifacts: str | None,
        experiment: str,
        run_name: str | None,
        log_model: bool,
    ) -> None:
        self.uri = uri
        self.artifacts = artifacts
        self.experiment = experiment
        self.run_name = run_name
        self.models = log_model
        self._params: set[str] = set()
        self._logged: set[tuple[str, int]] = set()

    @contextlib.contextmanager
    def run(
        self, name: str, tags: Mapping[str, str], parent: str | None = None, run_id: str | None = None
    ) -> Iterator[None]:
        """Opens an MLflow run for the `with` block; see `NoLogger.run`.

        In a run that is opened again no metric is logged twice at one step.

        Raises:
            UserError: the store cannot be reached.
        """
        experiment_id = self.open_store()
        tags = {key: visible(value) for key, value in tags.items()}
        if parent:
            tags = {**tags, MLFLOW_PARENT_RUN_ID: parent}
        alive = Alive(self.uri)
        with alive.held() as mark:
            with answering(self.uri):
                alive.mark_all_killed(mlflow.MlflowClient(), experiment_id)
                active = self._open(run_id, name, {**tags, **mark}, experiment_id)
            self.run_id = active.info.run_id
            self.experiment_id = active.info.experiment_id
            try:
                yield
                heed()
            except BaseException as error:
                stop = answer()
                killed = stop is not None or isinstance(error, (KeyboardInterrupt, SystemExit))
                self._fail("KILLED" if killed else "FAILED", error)
                if stop and isinstance(error, Exception):
                    signal.raise_signal(stop)
                raise
            with uninterrupted(), answering(self.uri):
                mlflow.end_run("FINISHED")

    @uninterrupted()
    def _fail(self, status: str, error: BaseException) -> None:
        """Ends the run with the error in it, as far as the store, which may be the cause, can still be written."""
        with contextlib.suppress(mlflow.MlflowException, SQLAlchemyError, OSError):
            mlflow.set_tag("error", visible(f"{type(error).__name__}: {error}")[:5000])
            mlflow.log_text(visible(traceback.format_exc()), "error.txt")
        with contextlib.suppress(mlflow.MlflowException, SQLAlchemyError, OSError):
            mlflow.end_run(status)

    def _open(self, run_id: str | None, name: str, tags: Mapping[str, str], experiment_id: str) -> mlflow.ActiveRun:
        if run_id:
            return self._reopen(run_id, tags)
        run_name = visible(self.run_name or name)
        return mlflow.start_run(experiment_id=experiment_id, run_name=run_name, tags=dict(tags))

    @uninterrupted()
    def set_tags(self, tags: Mapping[str, str]) -> None:
        mlflow.set_tags({key: visible(value) for key, value in tags.items()})

    @uninterrupted()
    def log_params(self, params: Mapping[str, Any]) -> None:
        new = {name: visible(str(value)) for name, value in params.items() if name not in self._params}
        mlflow.log_params(new)

    @uninterrupted()
    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        new = {name: value for name, value in metrics.items() if (name, step) not in self._logged}
        mlflow.log_metrics(new, step=step)

    @uninterrupted()
    def log_figure(self, figure: Figure, path: str) -> None:
        mlflow.log_figure(figure, path, save_kwargs=PNG)

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
        except mlflow.MlflowException:  # another run entered the same new dataset in between; now it is found
            mlflow.log_input(dataset, context)

    @uninterrupted()
    def log_model(self, classifier: Any, metadata: Mapping[str, Any]) -> str | None:
        if not self.models:
            return None
        facts = ModelFacts.read(metadata)
        answer = {"label": "string", "probability": "double", "decision": "string"}
        signature = ModelSignature(  # no inputs: a schema has room for base64 or for arrays, and not for both
            outputs=Schema([ColSpec(kind, name) for name, kind in answer.items()]),
            params=ParamSchema([ParamSpec("threshold", "double", facts.threshold)]),
        )
        with tempfile.TemporaryDirectory() as folder, _quiet():
            artifacts = {"model": Path(folder) / "model.keras", "h5": Path(folder) / "model.h5"}
            for file in artifacts.values():
                classifier.save(file)
            artifacts |= {"pixels": Path(pixels.__file__), "facts": Path(model_facts.__file__)}
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={name: str(file) for name, file in artifacts.items()},
                signature=signature,
                pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in MODEL_PACKAGES],
                metadata=facts.seal(artifacts.values()),
            )
        return info.model_uri

    def where(self) -> list[str]:
        lines = [f"MLflow      {self.uri} (experiment {self.experiment}, run {self.run_id})"]
        if self.uri.startswith("http"):
            page = f"#/experiments/{self.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"
            return [*lines, f"Look at it  {self.uri.rstrip('/')}/{page}"]
        return [*lines, f"Look at it  {shlex.join(ui_words(self.uri))}"]

    def open_store(self, make: bool = True) -> str:
        """Returns the id of the experiment.

        Args:
            make: makes store and experiment where they are not there yet, in the first of several processes.

        Raises:
            UserError: the store cannot be used, the experiment was deleted, or one of them is not there.
        """
        client = connect(self.uri, make)
        with answering(self.uri), self.lock() if make else contextlib.nullcontext():
            found = client.get_experiment_by_name(self.experiment)
            if found is None and make:
                artifacts = Path(self.artifacts).resolve().as_uri() if self.artifacts else None
                return client.create_experiment(self.experiment, artifacts, EXPERIMENT_TAGS)
        if found is None:
            raise UserError(
                f"The store at {self.uri} holds no experiment of that name. Type tracking.experiment=NAME. "
                f"Received: tracking.experiment={self.experiment}"
            )
        if found.lifecycle_stage == "deleted":
            raise UserError(
                f"The MLflow experiment was deleted. Type tracking.experiment=ANOTHER_NAME. "
                f"Received: tracking.experiment={self.experiment}"
            )
        return found.experiment_id

    def _reopen(self, run_id: str, tags: Mapping[str, str]) -> mlflow.ActiveRun:
        active = mlflow.start_run(run_id=run_id, tags=dict(tags))
        client = mlflow.MlflowClient()
        if "error" in active.data.tags:
            client.delete_tag(run_id, "error")
        self._params = set(active.data.params)  # a copied run has other places, and params never change
        for name in active.data.metrics:
            self._logged |= {(name, metric.step) for metric in client.get_metric_history(run_id, name)}
        return active

    def lock(self, part: str = "") -> contextlib.AbstractContextManager[Any]:
        """Returns what keeps other processes from changing a part of the same database; nothing where it has a server.

        Args:
            part: such as ".registry"; "": the tables themselves.
        """
        file = database_file(self.uri)
        return FileLock(f"{file}{part}.lock") if file else contextlib.nullcontext()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides what Keras says of .h5 files, and MLflow of its own steps and of the missing example."""
    with quiet("absl", "mlflow"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
        yield
