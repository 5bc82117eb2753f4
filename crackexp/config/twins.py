"""What may stand in a config: keys, types and ranges of every group, without importing the parts themselves.

A node whose ``_target_`` is listed here is checked key by key; a node of the user's own class passes its keys on
to that class unchecked.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.config.types import (
    BatchSize,
    Epochs,
    Gigabytes,
    LearningRate,
    Node,
    Precision,
    Seed,
    Share,
    Strict,
    Text,
)


class Trainer(Node):
    epochs: Epochs
    batch_size: BatchSize
    seed: Seed
    precision: Precision
    class_weight: Literal["balanced"] | None
    devices: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"]
    embed_batch_size: BatchSize | None
    embeddings_gb: Gigabytes
    cache: Text


class LiveTrainer(Trainer):
    head_epochs: Annotated[int, Field(ge=0, le=100_000)]
    learning_rate: LearningRate
    unfreeze_from: Text | None
    freeze_batch_norm: bool


class Policy(Node):
    temperature: bool
    recall: Share | None
    false_alarms: Share | None
    confidence: Share


class TensorBoard(Node):
    log_dir: Text


class EpochSchedule(Node):
    schedule: dict[str, Any]


TWINS: dict[str, type[Strict]] = {
    "crackexp.training.trainer.FrozenTrainer": Trainer,
    "crackexp.training.live.LiveTrainer": LiveTrainer,
    "crackexp.evaluation.policy.Policy": Policy,
    "crackexp.training.callbacks.TensorBoard": TensorBoard,
    "crackexp.training.callbacks.EpochSchedule": EpochSchedule,
}
