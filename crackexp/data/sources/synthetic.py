"""The dataset of drawn patches, which needs no download."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock
from pydantic import Field

from crackexp.config.types import ImageSize, Seed
from crackexp.data.index import ImageIndex
from crackexp.data.sources.base import FileDataset
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.data.synthetic import draw_dataset, draw_patch
from crackexp.utils.progress import progress
from crackexp.utils.source_code import digest_of


class Synthetic(FileDataset):
    """Patches that look like concrete, with and without cracks, drawn on first use and kept in the cache.

    Args:
        count: The number of patches, half of which are cracked.
        size: The side of a patch in pixels.
        draw_seed: The seed of the drawings; another seed draws another set.
        cracks: How cracks look: "plain", "thin" for hairlines as in SDNET2018, or "varied", see `draw_crack`.
        surfaces: What the concrete looks like: "plain", or "varied" for many kinds in any light, see `draw_patch`.
        kwargs: The arguments that every dataset of files takes, see `FileDataset`.

    Example:

    >>> dataset = Synthetic(
    ...     name="drawn", count=4, size=32, draw_seed=0, positive="Positive", limit=None, on_bad_file="error",
    ...     cache="cache",
    ... )
    >>> index = dataset.prepare()
    >>> len(index), index.class_names
    (4, ('Negative', 'Positive'))
    """

    has_split = False

    def __init__(
        self,
        *,
        count: Annotated[int, Field(ge=2, le=1_000_000)],
        size: ImageSize,
        draw_seed: Seed,
        cracks: Literal["plain", "thin", "varied"] = "plain",
        surfaces: Literal["plain", "varied"] = "plain",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.count = count
        self.size = size
        self.draw_seed = draw_seed
        self.cracks: Literal["plain", "thin", "varied"] = cracks
        self.surfaces: Literal["plain", "varied"] = surfaces

    @property
    def path(self) -> Path:
        """The folder of the drawn patches.

        Its name ends with a digest of one patch of each class and of the source of the generator, so that the patches
        are drawn anew where the generator, or a library that it uses, draws others.
        """
        version = hashlib.blake2b(digest_of([draw_patch.__module__]).encode(), digest_size=4)
        for cracked in (False, True):
            version.update(draw_patch(self.draw_seed, 0, cracked, self.size, self.cracks, self.surfaces).tobytes())
        style = "" if self.cracks == "plain" else f"{self.cracks}-"
        style += "" if self.surfaces == "plain" else f"on-{self.surfaces}-"
        name = f"synthetic-{style}{self.count}-{self.size}-{self.draw_seed}-{version.hexdigest()}"
        return self.cache / "datasets" / name

    def prepare(self) -> ImageIndex:
        """Draws the patches where they are not in the cache yet, then lists and checks them.

        Raises:
            ConfigError: `count` or `size` is too small.
            DataError: As in `ImageFolder.prepare`.
        """
        folder = self.path
        self._draw(folder)
        return ImageFolder(
            name=self.name,
            path=str(folder),
            positive=self.positive,
            limit=self.limit,
            on_bad_file=self.on_bad_file,
            cache=self.cache,
        ).prepare()

    def _draw(self, folder: Path) -> None:
        """Draws the patches into `folder`, unless another process has done so."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            if folder.is_dir():
                return
            drawn = 0
            with progress("Drawing patches", self.count, "patches") as advance:

                def show(count: int) -> None:
                    nonlocal drawn
                    advance(count - drawn)
                    drawn = count

                draw_dataset(folder, self.count, self.draw_seed, self.size, show, self.cracks, self.surfaces)
