"""What may stand at the top of each config: the scalars of ``conf/*.yaml``, beside the groups of `schema`."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from crackexp.config.types import (
    BatchSize,
    Distinct,
    Epochs,
    FileName,
    Fraction,
    Gigabytes,
    ImageSize,
    Probability,
    Seed,
    Strict,
    Tag,
    Text,
    text_ending,
)


def _metric(value: str) -> str:
    if not re.fullmatch(rf"(train|val)/(loss|accuracy)|test/({'|'.join(TEST_METRICS)})", value):
        raise PydanticCustomError("metric", "must be the name of a metric of a run, such as val/loss or test/f1")
    return value


TEST_METRICS = (
    *("accuracy", "precision", "recall", "f1", "balanced_accuracy", "roc_auc", "average_precision"),
    *("recall_at_fpr_5", "fpr_at_recall_95", "log_loss", "brier", "ece"),
)
"""What a run logs of its test images under ``test/``, and a sweeper may optimize."""


Inputs = Text | Annotated[list[Text], Field(min_length=1)]
"""Files, folders or patterns."""
Level = Annotated[float, Field(gt=0.5, lt=1)]
"""The confidence of a comparison."""
Compared = Literal["accuracy", "log_loss", "brier"]
"""What runs are compared by; the same as `crackexp.evaluation.items.LOSSES`."""
PhotoThreshold = Annotated[float, Field(gt=0, le=1)]
"""The threshold of heat maps, which are 0 where there is nothing."""
MmPerPx = Annotated[float, Field(gt=0, le=10_000)]


class Root(Strict):
    """The scalars of a config, and the groups that it has beside them.

    Attributes:
        groups: names of the groups, of which each must be chosen.
        optional: those of the groups that may be left out.
    """

    groups: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()


class Job(Root):
    """What has an output folder of its own."""

    task_name: FileName


class Sweep(Strict):
    name: Text | None
    metric: Compared
    level: Level
    rerun: bool


class TrainRoot(Job):
    """The scalars of ``conf/train.yaml``."""

    groups: ClassVar = (
        "paths",
        "dataset",
        "split",
        "augmentation",
        "backbone",
        "head",
        "loss",
        "optimizer",
        "trainer",
        "callbacks",
        "evaluation",
        "policy",
        "tracking",
    )
    seed: Seed
    image_size: ImageSize
    batch_size: BatchSize
    epochs: Epochs
    dropout: Fraction
    mix: list[Any]
    tags: list[Tag]
    register_as: Annotated[Text, Field(pattern=r"^\w[^/:@'\"]*$")] | None = Field(alias="register")
    optimized_metric: Annotated[str, AfterValidator(_metric)]
    profile: Text | None
    resume: Text | None
    sweep: Sweep


class EvaluateRoot(Job):
    """The scalars of ``conf/evaluate.yaml``."""

    groups: ClassVar = ("paths", "dataset", "evaluation", "tracking")
    run: Text
    seed: Seed
    batch_size: BatchSize | None


class CalibrateRoot(Job):
    """The scalars of ``conf/calibrate.yaml``."""

    groups: ClassVar = ("paths", "dataset", "policy", "tracking")
    model: Text
    seed: Seed
    batch_size: BatchSize | None


class PredictRoot(Job):
    """The scalars of ``conf/predict.yaml``."""

    groups: ClassVar = ("paths", "tracking")
    model: Text
    input: Inputs
    out: Annotated[str, text_ending(".csv", ".jsonl", ".parquet")]
    threshold: Probability | None
    batch_size: BatchSize | None


class Tile(Strict):
    size: Annotated[int, Field(ge=16, le=4096)]
    scale: Annotated[float, Field(ge=0.05, le=20)]
    overlap: Annotated[float, Field(ge=0, le=0.9)]


class SurveyRoot(Job):
    """The scalars of ``conf/survey.yaml``."""

    groups: ClassVar = ("paths", "tracking")
    model: Text
    input: Inputs
    out: Text
    tile: Tile
    threshold: PhotoThreshold | None
    mm_per_px: MmPerPx | None
    gps: bool
    batch_size: BatchSize | None


class AuditRoot(Job):
    """The scalars of ``conf/audit.yaml``."""

    groups: ClassVar = ("paths", "dataset", "split", "backbone", "tracking")
    optional: ClassVar = ("split",)
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    image_size: ImageSize
    out: Text
    shown: Annotated[int, Field(ge=1, le=500)]
    embeddings_gb: Gigabytes


class AppLimits(Strict):
    photos: Annotated[int, Field(ge=1, le=10_000)]
    megapixels: Annotated[float, Field(gt=0, le=178)]
    megabytes: Annotated[float, Field(gt=0, le=2000)]


class AppRoot(Root):
    """The scalars of ``conf/app.yaml``."""

    groups: ClassVar = ("paths", "tracking")
    model: Text
    host: Text
    port: Annotated[int, Field(ge=0, le=65535)]
    open_browser: bool
    tile: Tile
    threshold: PhotoThreshold | None
    mm_per_px: MmPerPx | None
    limits: AppLimits
    batch_size: BatchSize | None


class ExplainRoot(Job):
    """The scalars of ``conf/explain.yaml``."""

    groups: ClassVar = ("paths", "tracking")
    model: Text
    input: Inputs
    out: Text
    target: Text | None
    layer: Text | None
    threshold: Probability | None
    batch_size: BatchSize | None


class ExportRoot(Job):
    """The scalars of ``conf/export.yaml``."""

    groups: ClassVar = ("paths", "tracking")
    model: Text
    formats: Annotated[list[Literal["onnx", "stablehlo", "keras", "h5"]], Field(min_length=1), Distinct]
    out: Text
    log: bool


class CompareRoot(Job):
    """The scalars of ``conf/compare.yaml``."""

    groups: ClassVar = ("paths", "tracking")
    runs: Annotated[list[Text], Field(min_length=1)]
    metric: Compared
    level: Level
    resamples: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: Seed
    html: Text | None


class UiRoot(Root):
    """The scalars of ``conf/ui.yaml``."""

    groups: ClassVar = ("paths", "tracking")
    port: Annotated[int, Field(ge=1, le=65535)]


class CacheRoot(Job):
    """The scalars of ``conf/cache.yaml``."""

    groups: ClassVar = ("paths",)
    clear: Text | None
