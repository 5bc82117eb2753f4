"""What a run tells its logger; this one keeps nothing."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


class NoLogger:
    """Keeps nothing; what every logger can do."""

    run_id: str | None = None

    @contextlib.contextmanager
    def run(
        self, name: str, tags: Mapping[str, str], parent: str | None = None, run_id: str | None = None
    ) -> Iterator[None]:
        """Opens a run for the `with` block.

        Args:
            name: of a new run.
            tags: of the run.
            parent: run id of the sweep or training run that it belongs to.
            run_id: of an interrupted run, which is opened again; None opens a new one.
        """
        yield

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tags the run."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs flat parameters."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Logs metrics at a step."""

    def log_figure(self, figure: Figure, path: str) -> None:
        """Logs a figure as a picture under the artifact path `path`."""

    def log_text(self, text: str, path: str) -> None:
        """Logs a text under the artifact path `path`."""

    def log_file(self, file: Path, folder: str) -> None:
        """Logs a file into the artifact folder `folder`."""

    def log_dataset(self, name: str, root: Path, digest: str, profile: Mapping[str, Any], context: str) -> None:
        """Logs which images the run used: their folder, fingerprint and facts; context says what for."""

    def log_model(self, classifier: Any, metadata: Mapping[str, Any]) -> str | None:
        """Logs a Keras classifier and returns its URI.

        Args:
            classifier: keras.Model of uint8 pixels (n, S, S, 3) to probabilities (n, c).
            metadata: JSON-able facts kept with the model: class_names, positive, threshold, unsure_from, and more.
        """
        return None

    def where(self) -> list[str]:
        """Returns lines that tell where the run lies and how to open it."""
        return []
