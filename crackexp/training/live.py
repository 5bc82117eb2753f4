"""The former place of `FineTuneTrainer`, for configs and classes of the last version."""

from typing import Any

from crackexp.training.fine_tune import FineTuneTrainer
from crackexp.utils.renamed import renamed


def __getattr__(name: str) -> Any:
    """Finds `LiveTrainer`, which is now `FineTuneTrainer`."""
    if name == "LiveTrainer":
        return renamed(f"{__name__}.{name}", FineTuneTrainer)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
