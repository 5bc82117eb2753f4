"""The dataset that crackexp draws itself."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from crackexp.data.index import ImageIndex, OnBadFile
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.data.synthetic import draw_dataset, draw_patch
from crackexp.data.synthetic.crack import Cracks
from crackexp.progress import progress


class Synthetic:
    """Concrete-like patches with and without cracks, drawn on first use and kept in the cache.

    Args:
        name: of the dataset, for logs and runs.
        count: patches, half of them cracked.
        size: side of a patch in pixels.
        draw_seed: another seed draws another set.
        cracks: "plain", or "thin" for hairlines as in SDNET2018; see `draw_crack`.
        positive: the class that is damage.
        limit: at most this many images, in turn from each class; None: all.
        on_bad_file: "error" lists them and stops, "skip" leaves them out.
        cache: folder; the patches land below its `datasets`.
    """

    def __init__(
        self,
        *,
        name: str,
        count: int,
        size: int,
        draw_seed: int,
        cracks: Cracks = "plain",
        positive: str | Sequence[str] | None,
        limit: int | None,
        on_bad_file: OnBadFile,
        cache: str | Path,
    ) -> None:
        self.name = name
        self.count = count
        self.size = size
        self.draw_seed = draw_seed
        self.cracks = cracks
        self.positive = positive
        self.limit = limit
        self.on_bad_file = on_bad_file
        self.cache = Path(cache)

    @property
    def path(self) -> Path:
        """The folder of the drawn patches.

        Its name ends with a digest of a patch of each class, so that a generator that draws
        otherwise draws anew.
        """
        version = hashlib.blake2b(digest_size=4)
        for cracked in (False, True):
            version.update(draw_patch(self.draw_seed, 0, cracked, self.size, self.cracks).tobytes())
        style = "" if self.cracks == "plain" else f"{self.cracks}-"
        name = f"synthetic-{style}{self.count}-{self.size}-{self.draw_seed}-{version.hexdigest()}"
        return self.cache / "datasets" / name

    def prepare(self) -> ImageIndex:
        """Draws the patches where they are not there yet, checks and lists them.

        Raises:
            ConfigError: `count` or `size` is too small.
            DataError: as `ImageFolder.prepare`.
        """
        folder = self.path
        self._draw(folder)
        return ImageFolder(
            name=self.name,
            path=folder,
            positive=self.positive,
            limit=self.limit,
            on_bad_file=self.on_bad_file,
            cache=self.cache,
        ).prepare()

    def _draw(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            if folder.is_dir():
                return
            drawn = 0
            with progress("Drawing patches", self.count) as advance:

                def show(count: int) -> None:
                    nonlocal drawn
                    advance(count - drawn)
                    drawn = count

                draw_dataset(folder, self.count, self.draw_seed, self.size, show, self.cracks)
