"""What may stand in a config: keys, types and ranges of every group, without importing the parts themselves.

A node whose ``_target_`` is listed here is checked key by key; a node of the user's own class passes its keys on
to that class unchecked.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.config.types import (
    Distinct,
    FileName,
    ImageSize,
    Node,
    Positive,
    Ratio,
    Seed,
    Share,
    Strict,
    Text,
)


class Dataset(Node):
    name: FileName
    positive: Text | Annotated[list[Text], Field(min_length=1), Distinct] | None
    limit: Annotated[int, Field(gt=0, le=1_000_000_000)] | None
    on_bad_file: Literal["error", "skip"]
    cache: Text


class Synthetic(Dataset):
    count: Annotated[int, Field(ge=2, le=1_000_000)]
    size: ImageSize
    draw_seed: Seed
    cracks: Literal["plain", "thin"] = "plain"


class ImageFolder(Dataset):
    path: Text
    classes: Annotated[list[Text], Field(min_length=2), Distinct] | None = None
    merge_parts: bool = False


class Mendeley(Dataset):
    url: Text
    archive_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    path: Text | None
    archive: Text | None


class Sdnet2018(Dataset):
    path: Text | None
    archive: Text | None
    surfaces: Annotated[list[Literal["decks", "pavements", "walls"]], Field(min_length=1), Distinct]


class RatioSplit(Node):
    ratio: Ratio
    seed: Seed
    check_leaks: bool
    cache: Text


class GroupedSplit(RatioSplit):
    by: Annotated[list[Literal["copies", "photos"]], Field(min_length=1), Distinct]


class GivenSplit(Node):
    val: Share | None
    test: Share | None
    seed: Seed | None
    check_leaks: bool
    cache: Text


class Augmentation(Node):
    views: Positive | None
    transforms: dict[str, Any]


class Policy(Node):
    temperature: bool
    recall: Share | None
    false_alarms: Share | None
    confidence: Share


TWINS: dict[str, type[Strict]] = {
    "crackexp.data.sources.Synthetic": Synthetic,
    "crackexp.data.sources.ImageFolder": ImageFolder,
    "crackexp.data.sources.Mendeley": Mendeley,
    "crackexp.data.sources.Sdnet2018": Sdnet2018,
    "crackexp.data.splits.RatioSplit": RatioSplit,
    "crackexp.data.splits.GroupedSplit": GroupedSplit,
    "crackexp.data.splits.GivenSplit": GivenSplit,
    "crackexp.data.augmentation.Augmentation": Augmentation,
    "crackexp.evaluation.policy.Policy": Policy,
}
