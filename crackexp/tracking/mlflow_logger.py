"""The MLflow logger, which logs a run to an experiment of an MLflow store."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crackexp.config.types import StoreUri, Text
from crackexp.tracking.logger import Logger
from crackexp.tracking.view import run_page, runs_view
from crackexp.utils.store_uri import ui_lines

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from crackexp.tracking.mlflow_run import MlflowRun


class MlflowLogger(Logger):
    """Logs a run to an MLflow store.

    MLflow is imported when a run is opened and not with this module. The import takes seconds, which are not spent on a
    command that is refused or that only reads `store`.

    Args:
        uri: The address of the store, such as sqlite:///FILE, or http://HOST:PORT of a server.
        artifacts: The folder of the artifacts of a new experiment; with null, the server chooses it.
        experiment: The name of the experiment, which is created where it does not exist.
        run_name: The name of the run in the UI; with null, it is made from dataset, backbone, image size and seed.
        log_model: Whether the trained model is logged.

    Example:

    >>> logger = MlflowLogger("sqlite:///mlruns/mlflow.db")
    >>> logger.store
    'sqlite:///mlruns/mlflow.db'
    """

    store: str
    _run: "MlflowRun"

    def __init__(
        self,
        uri: StoreUri,
        artifacts: Text | None = None,
        experiment: Text = "crackexp",
        run_name: Text | None = None,
        log_model: bool = True,
    ) -> None:
        self.store = uri
        self.artifacts = artifacts
        self.experiment = experiment
        self.run_name = run_name
        self.logs_models = log_model

    @contextlib.contextmanager
    def run(
        self, name: str, tags: Mapping[str, str], parent: str | None = None, run_id: str | None = None
    ) -> Iterator[None]:
        """Opens an MLflow run for the `with` block; see `Logger.run`.

        Raises:
            UserError: The store cannot be reached.
        """
        from crackexp.tracking.mlflow_run import open_run

        with open_run(self, self.run_name or name, tags, parent, run_id) as self._run:
            self.run_id = self._run.run_id
            yield

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._run.set_tags(tags)

    def log_params(self, params: Mapping[str, Any]) -> None:
        self._run.log_params(params)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        self._run.log_metrics(metrics, step)

    def log_figure(self, figure: "Figure", path: str) -> None:
        self._run.log_figure(figure, path)

    def log_text(self, text: str, path: str) -> None:
        self._run.log_text(text, path)

    def log_file(self, file: Path, folder: str) -> None:
        self._run.log_file(file, folder)

    def log_dataset(self, name: str, root: Path, digest: str, profile: Mapping[str, Any], context: str) -> None:
        self._run.log_dataset(name, root, digest, profile, context)

    def log_model(self, classifier: "keras.Model", metadata: Mapping[str, Any]) -> str | None:
        return self._run.log_model(classifier, metadata) if self.logs_models else None

    def where(self) -> list[str]:
        experiment_id, run_id = self._run.experiment_id, self._run.run_id
        pages = {"Look at it": run_page(experiment_id, run_id), "All runs": runs_view(experiment_id).table}
        return [
            f"MLflow      {self.store} (experiment {self.experiment}, run {run_id})",
            *ui_lines(self.store, pages),
        ]
