"""The patches that a person is asked about, with their pictures, in a folder that the review goes on from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crackexp.config.overrides import as_typed
from crackexp.data.annotations.writing import LabelledImage, write_label_studio
from crackexp.data.classes.decisions import SOUND, Defect
from crackexp.utils.errors import ConfigError, DamagedFileError, DataError
from crackexp.utils.files import write_text
from crackexp.utils.names import file_stem

if TYPE_CHECKING:
    from crackexp.reviewing.candidates import Candidates

FILE = "review.json"
"""The file by which a folder is known as a review; see `Proposal`."""
SURROUNDINGS = "surroundings"
"""The folder of the pictures that show a patch within its photo."""
AROUND = 1.5
"""The width of the surroundings beside a patch, in sides of the patch."""


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Patch(_Read):
    """A patch that a person is asked about.

    Attributes:
        file: The path of its picture in the folder of the review.
        photo: The name of the photo that it was cut from.
        box: Its left, top, right and bottom in pixels of the photo.
        size: The height and width of the photo in pixels.
        probability: The probability of damage, as the model sees it.
    """

    file: str
    photo: str
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    probability: Annotated[float, Field(ge=0, le=1)]

    @property
    def around(self) -> tuple[int, int, int, int]:
        """The left, top, right and bottom of the surroundings that are shown, in pixels of the photo."""
        left, top, right, bottom = self.box
        x, y = round(AROUND * (right - left)), round(AROUND * (bottom - top))
        height, width = self.size
        return max(left - x, 0), max(top - y, 0), min(right + x, width), min(bottom + y, height)

    @property
    def surroundings(self) -> str:
        """The path of the picture of the surroundings in the folder of the review."""
        return f"{SURROUNDINGS}/{Path(self.file).stem}.jpg"

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """The left, top, width and height of the patch in the picture of its surroundings, as shares of that."""
        (left, top, right, bottom), (x, y, x_end, y_end) = self.box, self.around
        width, height = x_end - x, y_end - y
        return (left - x) / width, (top - y) / height, (right - left) / width, (bottom - top) / height


class Proposal(_Read):
    """The patches that a person is asked about, and how they were chosen.

    Attributes:
        model: The name of the model.
        defect: The defect that the model looks for.
        chosen: What the choice depends on beside the model, by the keys of the command.
        patches: The patches, in the order in which they are asked about.
    """

    model: str
    defect: Defect
    chosen: dict[str, int | float | str | list[str]]
    patches: Annotated[list[Patch], Field(min_length=1)]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Returns the proposal in a folder; None where one can be written there, since it is new or empty.

        Raises:
            DamagedFileError: The proposal is not as it was written.
            DataError: The folder holds something else.
        """
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DamagedFileError(
                f"The review is not as it was written: {'.'.join(map(str, first['loc']))} {first['msg']}. Restore "
                f"{FILE} from a copy, or type another out=FOLDER. Received: out={folder}"
            ) from None
        except OSError:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise DataError(
                    "A review is written to a new or empty folder, and goes on in its own. Type another "
                    f"out=FOLDER. Received: out={folder}"
                ) from None
            return None

    def require_same(self, chosen: Mapping[str, Any]) -> None:
        """Checks that a command that goes on with the proposal asks for the same choice.

        Args:
            chosen: What the command says; see `chosen`.

        Raises:
            ConfigError: It asks for another one.
        """
        if other := [key for key, value in chosen.items() if self.chosen.get(key) != value]:
            begun, received = (" ".join(_typed(key, values[key]) for key in other) for values in (self.chosen, chosen))
            raise ConfigError(
                f"The review in this folder was begun with {begun}. Type that to go on with it, or another out=FOLDER "
                f"for a new one. Received: {received}"
            )

    def write(self, folder: Path) -> None:
        """Writes the proposal, and tasks for Label Studio in which the model predicts."""
        tasks = [
            LabelledImage(
                patch.file,
                patch.box[2] - patch.box[0],
                patch.box[3] - patch.box[1],
                self.defect.value if patch.probability >= 0.5 else SOUND,
                score=max(patch.probability, 1 - patch.probability),
            )
            for patch in self.patches
        ]
        write_label_studio(folder / "tasks.json", tasks, "predictions", model_version=f"crackexp {self.model}")
        write_text(folder / FILE, self.model_dump_json(indent=1))


def _typed(key: str, value: Any) -> str:
    return as_typed(key, value) if isinstance(value, (str, list)) else f"{key}={value}"


def patches_of(found: "Candidates", rows: np.ndarray, names: Sequence[str]) -> list[Patch]:
    """Returns the patches in some rows of the candidates.

    Args:
        found: The candidates.
        rows: The rows of the patches, in the order in which they are asked about.
        names: The name of each photo, for people.
    """
    owners = found.owners[rows].tolist()
    files = patch_files([(owner, names[owner]) for owner in owners], found.boxes[rows])
    return [
        Patch(file=file, photo=names[owner], box=box, size=size, probability=probability)
        for file, owner, box, size, probability in zip(
            files,
            owners,
            found.boxes[rows].tolist(),
            found.sizes[rows].tolist(),
            found.probabilities[rows].tolist(),
            strict=True,
        )
    ]


def patch_files(photos: Sequence[tuple[int, str]], boxes: np.ndarray) -> list[str]:
    """Returns the paths of the pictures of patches, all different, also where upper and lower case are the same.

    Args:
        photos: The number and the name of the photo of each patch. Of photos with one name, all but the first get a
            number.
        boxes: The boxes of the patches, (n, 4) int.

    Example:

    >>> patch_files([(0, "a/wall.jpg"), (1, "b/wall.jpg")], np.array([[0, 0, 9, 9], [9, 0, 18, 9]]))
    ['patches/wall__0_0.png', 'patches/wall-2__9_0.png']
    """
    stem_of: dict[int, str] = {}
    for number, name in photos:
        if number not in stem_of:
            stem = unique = file_stem(name)
            taken, copy = {other.casefold() for other in stem_of.values()}, 1
            while unique.casefold() in taken:
                copy += 1
                unique = f"{stem}-{copy}"
            stem_of[number] = unique
    return [f"patches/{stem_of[number]}__{x}_{y}.png" for (number, _), (x, y, *_) in zip(photos, boxes, strict=True)]
