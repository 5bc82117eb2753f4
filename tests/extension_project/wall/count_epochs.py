"""A callback."""

from pathlib import Path
from typing import Any

import keras


class CountEpochs(keras.callbacks.Callback):
    """Writes how many epochs were trained.

    Args:
        file: The file that the number is written to.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file, self.epochs = Path(file), 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epochs += 1
        self.file.write_text(str(self.epochs))
