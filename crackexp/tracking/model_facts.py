"""The metadata of a logged model, which are checked when they are written and when they are read.

This file is copied beside each logged model, which checks itself with it where it is served. So it imports nothing of
crackexp.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

TOP = 1.0000001192092896
"""The smallest float32 above 1. No probability reaches this threshold, so it allows no false alarm at all."""

Name = Annotated[str, Field(min_length=1)]
Threshold = Annotated[float, Field(ge=0, le=TOP, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ModelFacts(BaseModel):
    """The metadata of a classifier that its users need. Further keys say where the model comes from.

    Attributes:
        class_names: The names of the classes, in the order of the outputs.
        positive: The class that is damage, or the classes that are.
        threshold: The least probability of damage at which the decision is "crack" or "damage".
        unsure_from: The least probability of damage at which the decision is "unsure". It is at most `threshold`, which
            is also its default.
        image_size: The side of the images in pixels; None in models of early versions.
        trained_in: The id of the run that trained the model, where another run logged it.
        calibrations: The calibrations of the model after training, in order.
        sha256: The digest of each file of the model by its name; empty in models of early versions.
        checksum: The checksum over all metadata, see `seal`; None in models of early versions.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, protected_namespaces=())

    class_names: Annotated[list[Name], Field(min_length=2)]
    positive: Name | Annotated[list[Name], Field(min_length=1)]
    threshold: Threshold = 0.5
    unsure_from: Threshold
    image_size: Annotated[int, Field(gt=0)] | None = None
    trained_in: str | None = None
    calibrations: list[dict[str, Any]] = []
    sha256: dict[str, Sha256] = {}
    checksum: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_a_band(cls, values: Any) -> Any:
        return {"unsure_from": values.get("threshold", 0.5), **values} if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _fits(self) -> "ModelFacts":
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError(f"class_names: two classes have one name ({', '.join(self.class_names)})")
        if not set(self.positives) < set(self.class_names) or len(set(self.positives)) < len(self.positives):
            raise ValueError(f"positive: must be one or some of {', '.join(self.class_names)} ({self.positive})")
        if self.unsure_from > self.threshold:
            raise ValueError(f"unsure_from: must not be above threshold ({self.unsure_from} > {self.threshold})")
        return self

    @property
    def positives(self) -> tuple[str, ...]:
        """The classes that are damage."""
        return (self.positive,) if isinstance(self.positive, str) else tuple(self.positive)

    @classmethod
    def read(cls, metadata: Any) -> "ModelFacts":
        """Returns the facts that the metadata of a logged model contain.

        Raises:
            ValueError: They do not fit the schema or have changed since they were logged. The message names each
                problem.
        """
        try:
            facts = cls.model_validate(metadata)
        except ValidationError as errors:
            raise ValueError("; ".join(map(_explain, errors.errors()))) from None
        if facts.checksum is not None and facts.checksum != _checksum(metadata):
            raise ValueError("they were changed after the model was logged, as their checksum shows")
        return facts

    def inherited(self) -> dict[str, Any]:
        """Returns the metadata that also apply to a model that is made from this one."""
        return self.model_dump(exclude={"sha256", "checksum"}, exclude_unset=True)

    def seal(self, files: Iterable[Path]) -> dict[str, Any]:
        """Returns the metadata to log with the model: these facts, the digests of `files`, and a checksum of both."""
        values = {**self.inherited(), "sha256": {file.name: _sha256(file) for file in files}}
        return {**values, "checksum": _checksum(values)}

    def check_file(self, file: Path) -> None:
        """Raises ValueError where `file` is not the one that was logged. A file without a known digest is accepted."""
        known = self.sha256.get(file.name)
        if known is not None and (actual := _sha256(file)) != known:
            raise ValueError(f"{file.name} is not the file that was logged: its sha256 is {actual}, not {known}")

    def check_network(self, input_shape: tuple[Any, ...], output_shape: tuple[Any, ...]) -> None:
        """Raises ValueError where a network with these shapes does not fit the facts."""
        size, classes = input_shape[1], len(self.class_names)
        if tuple(input_shape[1:]) != (size, size, 3) or self.image_size not in (None, size):
            raise ValueError(f"image_size: the network takes {tuple(input_shape)}, not images of {self.image_size} px")
        if tuple(output_shape[1:]) != (classes,):
            raise ValueError(f"class_names: {classes} classes for a network with the outputs {tuple(output_shape)}")


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if error["type"] == "missing":
        return f"{key}: is missing"
    return f"{key}: {message} ({str(error['input'])[:80]})" if key else message


def _checksum(metadata: Mapping[str, Any]) -> str:
    text = json.dumps({key: value for key, value in metadata.items() if key != "checksum"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
