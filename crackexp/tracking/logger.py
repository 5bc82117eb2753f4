"""The base class of all loggers, which defines what a run logs, and the logger that keeps nothing."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crackexp.utils.errors import ConfigError

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure


class Logger:
    """Receives what a run logs. Every method does nothing here, so a subclass implements those that it needs.

    A logger is built before it is known whether a run will be opened, also only to read its attributes. So its
    constructor neither writes files nor opens connections; that is done in `run`.

    Attributes:
        store: The address of the MLflow store that the logger writes to, such as ``sqlite:///mlflow.db``. Sweeps,
            resumed runs, comparisons and the model registry live in that store. None means that there is none.
        experiment: The name of the experiment in the store.
        artifacts: The folder of the artifacts where the experiment is new; None means the default of the store.
        logs_models: Whether `log_model` keeps models, so that they can be registered.
        run_id: The id of the open run; None where the logger gives no ids.

    Example:

    >>> class Printer(Logger):
    ...     def log_metrics(self, metrics, step=0):
    ...         print(step, dict(metrics))
    >>> logger = Printer()
    >>> with logger.run("first", tags={}):
    ...     logger.log_metrics({"loss": 0.5}, step=1)
    1 {'loss': 0.5}
    """

    store: str | None = None
    experiment: str = "crackexp"
    artifacts: str | None = None
    logs_models: bool = False
    run_id: str | None = None

    @contextlib.contextmanager
    def run(
        self, name: str, tags: Mapping[str, str], parent: str | None = None, run_id: str | None = None
    ) -> Iterator[None]:
        """Opens a run for the `with` block.

        Args:
            name: The name of a new run.
            tags: The tags of the run.
            parent: The run id of the sweep or training run that this run belongs to.
            run_id: The id of an interrupted run, which is opened again; None opens a new run.
        """
        yield

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags of the run."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs parameters by their dotted names."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Logs metrics at a step."""

    def log_figure(self, figure: "Figure", path: str) -> None:
        """Logs a figure as a picture under the artifact path `path`."""

    def log_text(self, text: str, path: str) -> None:
        """Logs a text under the artifact path `path`."""

    def log_file(self, file: Path, folder: str) -> None:
        """Logs a file into the artifact folder `folder`."""

    def log_dataset(self, name: str, root: Path, digest: str, profile: Mapping[str, Any], context: str) -> None:
        """Logs the dataset that the run used.

        Args:
            name: The name of the dataset.
            root: The folder of the images.
            digest: The fingerprint of the images.
            profile: Facts that can be serialized as JSON, such as the number of images of each class.
            context: What the images were used for, such as "training".
        """

    def log_model(self, classifier: "keras.Model", metadata: Mapping[str, Any]) -> str | None:
        """Logs a classifier.

        Args:
            classifier: A network that maps (n, S, S, 3) uint8 images to (n, c) probabilities.
            metadata: Facts that are kept with the model and can be serialized as JSON: class_names, positive,
                threshold, and more.

        Returns:
            The URI of the logged model; None where the logger keeps no models.
        """
        return None

    def where(self) -> list[str]:
        """Returns the lines that tell the user where the run is stored and how to open it."""
        return []


class NoLogger(Logger):
    """A logger that keeps nothing, as for ``tracking=none``."""


def require_store(logger: Logger, reason: str) -> str:
    """Returns the address of the store of a logger, for a command that needs one.

    Args:
        logger: The logger that the config describes.
        reason: Why the command needs a store, as a sentence without its full stop.

    Raises:
        ConfigError: The logger has no store.
    """
    if logger.store is None:
        kind = type(logger)
        received = "=none" if kind is NoLogger else f"._target_={kind.__module__}.{kind.__qualname__}"
        raise ConfigError(f"{reason}. Type tracking=local. Received: tracking{received}")
    return logger.store
