"""What may stand at the top of each config: the scalars of ``conf/*.yaml``, beside the groups of `schema`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.schema import Fraction, Name, PositiveFloat, PositiveInt, Seed, Strict

METRIC = (
    r"^((train|val)/(loss|accuracy)|test/(accuracy|precision|recall|f1|balanced_accuracy|roc_auc|average_precision"
    r"|recall_at_fpr_5|fpr_at_recall_95|log_loss|brier|ece))$"
)


class Job(Strict):
    """What has an output folder of its own."""

    task_name: Annotated[str, Field(pattern=r"^[\w.-]+$")]


class Sweep(Strict):
    name: Name | None
    metric: Literal["accuracy", "log_loss", "brier"]
    level: Annotated[float, Field(gt=0.5, lt=1)]
    rerun: bool


class TrainRoot(Job):
    """The scalars of ``conf/train.yaml``."""

    seed: Seed
    image_size: Annotated[int, Field(ge=32, le=2048)]
    batch_size: PositiveInt
    epochs: PositiveInt
    dropout: Fraction
    mix: list[Any]
    tags: list[str]
    register_as: Annotated[str, Field(pattern=r"^\w[^/:@'\"]*$")] | None = Field(alias="register")
    optimized_metric: Annotated[str, Field(pattern=METRIC)]
    profile: Name | None
    resume: Name | None
    sweep: Sweep


class EvaluateRoot(Job):
    """The scalars of ``conf/evaluate.yaml``."""

    run: Name
    seed: Seed
    batch_size: PositiveInt | None


class CalibrateRoot(Job):
    """The scalars of ``conf/calibrate.yaml``."""

    model: Name
    seed: Seed
    batch_size: PositiveInt | None


class PredictRoot(Job):
    """The scalars of ``conf/predict.yaml``."""

    model: Name
    input: Name | Annotated[list[Name], Field(min_length=1)]
    out: Annotated[str, Field(pattern=r"\.(csv|jsonl|parquet)$")]
    threshold: Annotated[float, Field(ge=0, le=1)] | None
    batch_size: PositiveInt | None


class Tile(Strict):
    size: Annotated[int, Field(ge=16, le=4096)]
    scale: Annotated[float, Field(ge=0.05, le=20)]
    overlap: Annotated[float, Field(ge=0, le=0.9)]


class SurveyRoot(Job):
    """The scalars of ``conf/survey.yaml``."""

    model: Name
    input: Name | Annotated[list[Name], Field(min_length=1)]
    out: Name
    tile: Tile
    threshold: Annotated[float, Field(gt=0, le=1)] | None
    mm_per_px: PositiveFloat | None
    gps: bool
    batch_size: PositiveInt | None


class AuditRoot(Job):
    """The scalars of ``conf/audit.yaml``."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    image_size: Annotated[int, Field(ge=32, le=2048)]
    out: Name
    shown: Annotated[int, Field(ge=1, le=500)]
    embeddings_gb: Annotated[float, Field(gt=0)]


class AppLimits(Strict):
    photos: Annotated[int, Field(ge=1, le=10_000)]
    megapixels: Annotated[float, Field(gt=0, le=178)]
    megabytes: Annotated[float, Field(gt=0, le=2000)]


class AppRoot(Strict):
    """The scalars of ``conf/app.yaml``."""

    model: Name
    host: Name
    port: Annotated[int, Field(ge=0, le=65535)]
    open_browser: bool
    tile: Tile
    threshold: Annotated[float, Field(gt=0, le=1)] | None
    mm_per_px: PositiveFloat | None
    limits: AppLimits
    batch_size: PositiveInt | None


class ExplainRoot(Job):
    """The scalars of ``conf/explain.yaml``."""

    model: Name
    input: Name | Annotated[list[Name], Field(min_length=1)]
    out: Name
    target: Name | None
    layer: Name | None
    threshold: Annotated[float, Field(ge=0, le=1)] | None
    batch_size: PositiveInt | None


class ExportRoot(Job):
    """The scalars of ``conf/export.yaml``."""

    model: Name
    formats: Annotated[list[Literal["onnx", "stablehlo", "keras", "h5"]], Field(min_length=1)]
    out: Name
    log: bool


class CompareRoot(Job):
    """The scalars of ``conf/compare.yaml``."""

    runs: Annotated[list[Name], Field(min_length=1)]
    metric: Literal["accuracy", "log_loss", "brier"]
    level: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: Seed
    html: Name | None


class UiRoot(Strict):
    """The scalars of ``conf/ui.yaml``."""

    port: Annotated[int, Field(ge=1, le=65535)]


class CacheRoot(Job):
    """The scalars of ``conf/cache.yaml``."""

    clear: Name | None
