"""The schemas of config keys that build no part: the top-level keys of a command, and groups of plain values.

Each command has a class that inherits `CommandConfig`. The text below an attribute describes its key.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from crackexp.config.types import BatchSize, Distinct, FileName, PositiveFloat, Share, Strict, Text


class CommandConfig(Strict):
    """The keys at the top of a command's config, beside its groups.

    Attributes:
        groups: The names of its groups, each of which must be chosen.
        optional: Those of the groups that may be left out.
    """

    groups: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()


class JobConfig(CommandConfig):
    """The keys of a command that has an output folder of its own."""

    task_name: FileName
    """The name of the folder in outputs/ to which the command writes."""


class ModelConfig(JobConfig):
    """The keys of a command that uses a logged model."""

    groups: ClassVar[tuple[str, ...]] = ("paths", "tracking")
    model: Text
    """The model: ready, latest, a run or its id, best:SWEEP, models:/NAME/VERSION, models:/NAME@ALIAS, or a folder."""
    batch_size: BatchSize | None
    """The number of images in a batch; null for the number that is fastest."""


class Tile(Strict):
    """The tiles into which a photo is cut."""

    size: Annotated[int, Field(ge=16, le=4096)]
    """The side in pixels of the patches on which the model was trained, before they were scaled."""
    scale: Annotated[float, Field(ge=0.05, le=20)]
    """The number of pixels of a photo for one pixel of a patch; 2 where photos show the wall twice as large."""
    overlap: Annotated[float, Field(ge=0, le=0.9)]
    """The share of a tile's side that the next one covers too."""


class Paths(Strict):
    """The group ``paths``."""

    root: Text
    """The folder to which relative folders refer."""
    cache: Text
    """The folder of the files that are kept between runs."""
    output: Text
    """The folder to which the run writes."""


class Evaluation(Strict):
    """The group ``evaluation``."""

    level: Share
    """The confidence of the intervals."""
    resamples: Annotated[int, Field(ge=10, le=100_000)]
    """The number of bootstrap resamples for intervals."""
    gallery: Annotated[int, Field(ge=1, le=100)]
    """The number of images in the gallery of errors."""
    also: list[dict[str, Any]]
    """Further datasets on which the model is tested, each NAME or {NAME: {key: value}}."""
    corruptions: Annotated[
        list[Literal["blur", "noise", "jpeg", "dark", "bright", "far", "near", "rotation", "shadow", "joint"]], Distinct
    ]
    """The corruptions under which the test images are evaluated too."""
    relative_to_photo: bool = False
    """Whether patches are judged relative to what is usual in their photo, where photos are known."""
    miss_cost: PositiveFloat = 10.0
    """The cost of a damaged image that is called sound, in any unit."""
    false_alarm_cost: PositiveFloat = 1.0
    """The cost of a sound image that is called damaged, and of any image that is called unsure."""


class Mixed(Strict):
    """The keys of an item of ``mix`` beside those of its dataset."""

    weight: PositiveFloat = 1.0
    """The weight of each of its images in the loss."""


class Also(Strict):
    """What an item of ``evaluation.also`` takes beside the keys of its dataset: nothing."""


SETTINGS: dict[str, type[Strict]] = {"paths": Paths, "evaluation": Evaluation}
"""The schema of each group that builds nothing."""
LISTED: dict[str, type[Strict]] = {"mix": Mixed, "evaluation.also": Also}
"""The schema of the keys that an item of each list of datasets has beside those of its dataset."""
