"""The keys at the top of ``conf/train.yaml``."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from crackexp.config.settings import JobConfig
from crackexp.config.types import (
    BatchSize,
    Epochs,
    Fraction,
    ImageSize,
    Level,
    NonNegativeFloat,
    PrintConfig,
    Seed,
    Strict,
    Tag,
    Text,
)


def _metric(value: str) -> str:
    if not re.fullmatch(r"(train|val)/(loss|accuracy)|test/[\w.-]+", value):
        raise PydanticCustomError("metric", "must be the name of a metric of a run, such as val/loss or test/f1")
    return value


class Sweep(Strict):
    """What holds for a multirun as a whole."""

    name: Text | None
    """The name of the sweep's run in the store; null for the keys that are swept."""
    metric: Text
    """The metric that the trials are compared by."""
    level: Level
    """The confidence of the intervals; claims are wrong at most at the rate 1 - level."""
    rerun: bool
    """Whether trials that finished before are computed again."""


class TrainConfig(JobConfig):
    """The config of ``python -m crackexp.train``."""

    groups: ClassVar = (
        *("paths", "dataset", "split", "augmentation", "backbone", "head", "loss", "optimizer", "trainer"),
        *("inference", "callbacks", "metrics", "evaluation", "report", "policy", "tracking"),
    )
    seed: Seed
    """The number that every random stream of the run flows from."""
    image_size: ImageSize
    """The side in pixels that images are resized to."""
    images_gb: NonNegativeFloat = 0
    """The gigabytes that decoded images may take on disk, for all runs; 0 decodes them each time."""
    batch_size: BatchSize
    """The images of a training step."""
    epochs: Epochs
    """The passes over the training images, at most."""
    dropout: Fraction
    """The rate of the dropout before the last layer."""
    mix: list[Any]
    """Datasets whose images join train, each NAME or {NAME: {key: value}}."""
    tags: list[Tag]
    """Tags of the MLflow run."""
    register_as: Annotated[Text, Field(pattern=r"^\w[^/:@'\"]*$")] | None = Field(alias="register")
    """A name in MLflow's model registry; the model becomes champion there where it is shown better."""
    optimized_metric: Annotated[str, AfterValidator(_metric)]
    """The metric that the command returns to a sweeper."""
    profile: Text | None
    """The folder of a trace of JAX' profiler; null for none."""
    resume: Text | None
    """The interrupted run to go on with: latest, or its name or id; it is typed alone."""
    print_config: PrintConfig = "changes"
    """What is printed of the config: all of it, the main values and what differs from the defaults, or nothing."""
    sweep: Sweep
    """What holds for a multirun as a whole."""
