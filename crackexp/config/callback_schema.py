"""What may stand in a config of the group ``callbacks``: keys, types and ranges of each callback; see `schema`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.config.types import Count, Monitor, Node, NonNegativeFloat, Share, Strict, Text, text_ending


class EarlyStopping(Node):
    monitor: Monitor
    patience: Count = 0
    min_delta: NonNegativeFloat = 0
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: Annotated[float, Field(ge=-1e6, le=1e6)] | None = None
    restore_best_weights: bool = False
    start_from_epoch: Count = 0
    verbose: Literal[0, 1] = 0


class ModelCheckpoint(Node):
    filepath: Annotated[str, text_ending(".weights.h5")]
    monitor: Monitor = "val_loss"
    save_best_only: bool = False
    save_weights_only: bool = False
    mode: Literal["auto", "min", "max"] = "auto"
    verbose: Literal[0, 1] = 0


class ReduceLROnPlateau(Node):
    monitor: Monitor
    factor: Share = 0.1
    patience: Count = 10
    min_delta: NonNegativeFloat = 1e-4
    mode: Literal["auto", "min", "max"] = "auto"
    cooldown: Count = 0
    min_lr: Annotated[float, Field(ge=0, le=1000)] = 0
    verbose: Literal[0, 1] = 0


class TensorBoard(Node):
    log_dir: Text


class EpochSchedule(Node):
    schedule: dict[str, Any]


CALLBACKS: dict[str, type[Strict]] = {
    "keras.callbacks.EarlyStopping": EarlyStopping,
    "keras.callbacks.ModelCheckpoint": ModelCheckpoint,
    "keras.callbacks.ReduceLROnPlateau": ReduceLROnPlateau,
    "crackexp.training.callbacks.TensorBoard": TensorBoard,
    "crackexp.training.callbacks.NanGuard": Node,
    "crackexp.training.callbacks.EpochSchedule": EpochSchedule,
}
"""The schema of one callback of the group ``callbacks`` by its ``_target_``."""
