"""SDNET2018 (Maguire, Dorafshan, Thomas 2018, doi 10.15142/T3TD19)."""

import os
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from crackexp.data.accounting import Account
from crackexp.data.classes.names import choose_positive
from crackexp.data.files.archive import unpack_once
from crackexp.data.files.listing import list_images, nested_folders
from crackexp.data.index import ImageIndex, OnBadFile, build_index
from crackexp.data.sources.folder import require_folder
from crackexp.data.sources.sdnet_layout import SURFACES, class_folders
from crackexp.errors import ConfigError, DataError

_CLASSES = ["cracked", "uncracked"]


class Sdnet2018:
    """Patches of 256x256 pixels of bridge decks, pavements and walls, `cracked` or `uncracked`.

    Reads the published layout (`D/CD`, `D/UD`, `P/CP`, ...) and the written-out one
    (`Decks/Cracked`, `Decks/Non-cracked`, ...). A patch's group is its surface and source photo,
    the part of its file name before the dash: `decks/7001` for `7001-115.jpg`.

    Args:
        name: of the dataset, for logs and runs.
        path: folder with the unpacked images; the surfaces stand in it or up to two levels down.
        archive: zip or rar with them; read where `path` is None.
        surfaces: some of decks, pavements, walls.
        positive: the class that is damage.
        limit: at most this many images, in turn from each class; None: all.
        on_bad_file: "error" lists them and stops, "skip" leaves them out.
        cache: folder for the unpacked images and their digests.

    Raises:
        ConfigError: neither `path` nor `archive`, or an unknown surface.
    """

    def __init__(
        self,
        *,
        name: str,
        path: str | Path | None,
        archive: str | Path | None,
        surfaces: Sequence[str],
        positive: str | Sequence[str] | None = "cracked",
        limit: int | None,
        on_bad_file: OnBadFile,
        cache: str | Path,
    ) -> None:
        self.name = name
        self.path = None if path is None else Path(path).expanduser()
        self.archive = None if archive is None else Path(archive)
        self.surfaces = tuple(surfaces)
        self.positive = positive
        self.limit = limit
        self.on_bad_file = on_bad_file
        self.cache = Path(cache)
        if not self.surfaces or not set(self.surfaces) <= set(SURFACES):
            raise ConfigError(
                f"The surfaces of SDNET2018 are {', '.join(SURFACES)}. "
                f"Received: dataset.surfaces=[{','.join(self.surfaces)}]"
            )
        if self.path is None and self.archive is None:
            raise ConfigError(
                "SDNET2018 is downloaded by hand, from https://doi.org/10.15142/T3TD19. Then type "
                "dataset.path=UNPACKED_FOLDER or dataset.archive=FILE.zip. "
                "Received: dataset.path=null dataset.archive=null"
            )

    def prepare(self) -> ImageIndex:
        """Unpacks the images where needed, checks and lists them.

        Raises:
            DataError: the archive failed, a chosen surface or one of its classes is not there, bad
                files.
        """
        folder = self._folder()
        root = _surface_root(folder)
        members: list[tuple[str, str]] = []
        groups: list[str] = []
        found: set[tuple[str, str]] = set()
        account = Account()
        for surface, name, file in _patches(root, self.surfaces, account):
            members.append((file.relative_to(root).as_posix(), name))
            groups.append(f"{surface}/{file.stem.split('-')[0]}")
            found.add((surface, name))
        for surface, name in product(self.surfaces, _CLASSES):
            if (surface, name) not in found:
                raise DataError(
                    f"No {name} {surface} were found in {root}. Give the whole set, or leave "
                    f"{surface} out of dataset.surfaces. Received: dataset.path={folder}"
                )
        return build_index(
            root,
            members,
            positive=choose_positive(_CLASSES, self.positive, root),
            cache=self.cache,
            on_bad_file=self.on_bad_file,
            groups=groups,
            limit=self.limit,
            account=account.renamed(lambda file: os.path.relpath(file, root)),
        )

    def _folder(self) -> Path:
        if self.path is None:
            assert self.archive is not None  # __init__ refuses both to be None
            return unpack_once(self.archive, self.cache)
        require_folder(self.path)
        return self.path


def _surface_root(folder: Path) -> Path:
    for candidate in nested_folders(folder):
        if any(class_folders(candidate)):
            return candidate
    raise DataError(
        "The SDNET2018 set has the folders D, P, W or Decks, Pavements, Walls, each with cracked "
        f"and uncracked patches; none stands here. Received: dataset.path={folder}"
    )


def _patches(root: Path, surfaces: Sequence[str], account: Account) -> Iterator[tuple[str, str, Path]]:
    """Yields (surface, class name, file) of each patch of the chosen surfaces, and notes the other files."""
    for surface, name, folder in class_folders(root):
        if surface in surfaces:
            yield from ((surface, name, image.path) for image in list_images(folder, account))
