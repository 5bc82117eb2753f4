"""What stands in configs beside parts: the keys at the top of a command's config, and groups that build nothing.

Each command has a class of its own that inherits `CommandConfig`. The text below an attribute says what the key is.
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
    """The name of the folder in outputs/ that the command writes to."""


class ModelConfig(JobConfig):
    """The keys of a command that asks a logged model."""

    groups: ClassVar[tuple[str, ...]] = ("paths", "tracking")
    model: Text
    """A run id, models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-..., or a folder that holds a logged model."""
    batch_size: BatchSize | None
    """The images that are computed at once; null for as many as are fastest."""


class Tile(Strict):
    """The tiles that a photo is cut into."""

    size: Annotated[int, Field(ge=16, le=4096)]
    """The side in pixels of the patches that the model was trained on, before they were scaled."""
    scale: Annotated[float, Field(ge=0.05, le=20)]
    """The pixels of a photo for one of a patch; 2 where the photos show the wall twice as large."""
    overlap: Annotated[float, Field(ge=0, le=0.9)]
    """The share of a tile's side that the next one covers too."""


class Paths(Strict):
    """The group ``paths``."""

    root: Text
    """The folder that relative folders are in."""
    cache: Text
    """The folder of what is kept between runs."""
    output: Text
    """The folder that the run writes to."""


class Evaluation(Strict):
    """The group ``evaluation``."""

    level: Share
    """The confidence of the intervals."""
    resamples: Annotated[int, Field(ge=10, le=100_000)]
    """The number of bootstrap resamples that intervals are made of."""
    gallery: Annotated[int, Field(ge=1, le=100)]
    """The number of images in the gallery of errors."""
    also: list[dict[str, Any]]
    """Further datasets that the model is tested on, each NAME or {NAME: {key: value}}."""
    corruptions: Annotated[
        list[Literal["blur", "noise", "jpeg", "dark", "bright", "far", "near", "rotation", "shadow", "joint"]], Distinct
    ]
    """The corruptions under which the test images are judged too."""


class Mixed(Strict):
    """What an item of ``mix`` takes beside the keys of its dataset."""

    weight: PositiveFloat = 1.0
    """The weight of each of its images in the loss."""


class Also(Strict):
    """What an item of ``evaluation.also`` takes beside the keys of its dataset: nothing."""


SETTINGS: dict[str, type[Strict]] = {"paths": Paths, "evaluation": Evaluation}
"""The groups that build nothing, with their keys."""
LISTED: dict[str, type[Strict]] = {"mix": Mixed, "evaluation.also": Also}
"""The lists of datasets, with what an item takes beside the keys of its dataset."""
