"""A logger."""

from collections.abc import Mapping
from pathlib import Path

from crackexp.tracking.logger import Logger


class LineLogger(Logger):
    """Writes metrics as lines of text.

    Args:
        uri: The file that they are written to.
    """

    def __init__(self, uri: str) -> None:
        self.uri = Path(uri)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        with self.uri.open("a") as lines:
            lines.writelines(f"{name} {step} {value}\n" for name, value in metrics.items())
