"""The history of a training: what was measured, epoch by epoch."""

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict


@dataclass
class TrainingHistory:
    """The metrics of a training over all of its phases and epochs.

    Attributes:
        metrics: The metrics of all epochs by name, as Keras names them: loss, accuracy, val_loss and val_accuracy.
        before: The metrics before training by name, as the tracking store names them, such as val/loss_before.
        phases: The epoch that each phase began at.
        logged: The step and the metrics of all that was logged, in order.

    Example:
        >>> history = TrainingHistory()
        >>> history.append({"loss": 0.5, "accuracy": 0.75})
        >>> history.append({"loss": 0.25, "accuracy": 1.0})
        >>> history.epochs, history.metrics["loss"]
        (2, [0.5, 0.25])
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    metrics: dict[str, list[float]] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    phases: list[int] = field(default_factory=list)
    logged: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """How many epochs are done, over all phases."""
        return len(self.metrics.get("loss", []))

    def append(self, metrics: dict[str, float]) -> None:
        """Adds the metrics of an epoch."""
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append(float(value))
