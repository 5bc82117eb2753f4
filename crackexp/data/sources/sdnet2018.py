"""SDNET2018 (Maguire, Dorafshan, Thomas 2018, doi 10.15142/T3TD19)."""

import os
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.config.types import Distinct, Text
from crackexp.data.accounting import Account
from crackexp.data.classes.names import choose_positive
from crackexp.data.files.listing import list_images, nested_folders
from crackexp.data.index import ImageIndex, build_index
from crackexp.data.sources.base import PublishedDataset
from crackexp.data.sources.sdnet_layout import SURFACES, class_folders
from crackexp.utils.errors import ConfigError, DataError

_CLASSES = ["cracked", "uncracked"]


class Sdnet2018(PublishedDataset):
    """56,000 patches of 256x256 pixels of bridge decks, pavements and walls, `cracked` or `uncracked`.

    Both the published layout (`D/CD`, `D/UD`, `P/CP`, ...) and the written-out one (`Decks/Cracked`,
    `Decks/Non-cracked`, ...) are read. The group of a patch is its surface and the photo that it was cut from, which is
    the part of its file name before the dash: `decks/7001` for `7001-115.jpg`.

    Args:
        path: The folder of the unpacked images, which holds the surfaces itself or up to two levels down; null to
            unpack an archive.
        archive: The zip or rar file of the images; null where `path` is given.
        surfaces: The surfaces to use: some of decks, pavements and walls.
        positive: The class that is damage.
        kwargs: The arguments that every dataset of files takes, see `FileDataset`.

    Raises:
        ConfigError: Neither or both of `path` and `archive` are given, or a surface is unknown.

    Example:

    >>> from crackexp.data.synthetic import draw_dataset
    >>> draw_dataset(Path("drawn"), count=4, seed=0, size=32)
    >>> Path("sdnet/D").mkdir(parents=True)
    >>> for name, folder in (("Positive", "CD"), ("Negative", "UD")):
    ...     _ = Path("drawn", name).rename(f"sdnet/D/{folder}")
    >>> dataset = Sdnet2018(
    ...     name="decks", path="sdnet", archive=None, surfaces=["decks"], limit=None, on_bad_file="error", cache="cache"
    ... )
    >>> index = dataset.prepare()
    >>> len(index), str(index.groups[0])
    (4, 'decks/00001')
    """

    def __init__(
        self,
        *,
        path: Text | None,
        archive: Text | None,
        surfaces: Annotated[list[Literal["decks", "pavements", "walls"]], Field(min_length=1), Distinct],
        positive: Text | Annotated[list[Text], Field(min_length=1), Distinct] | None = "cracked",
        **kwargs: Any,
    ) -> None:
        super().__init__(path=path, archive=archive, positive=positive, **kwargs)
        self.surfaces = tuple(surfaces)
        if not self.surfaces or not set(self.surfaces) <= set(SURFACES):
            raise ConfigError(
                f"The surfaces of SDNET2018 are {', '.join(SURFACES)}. "
                f"Received: dataset.surfaces=[{','.join(self.surfaces)}]"
            )
        if self.path is None and self.archive is None:
            raise ConfigError(
                "SDNET2018 has to be downloaded by hand, from https://doi.org/10.15142/T3TD19. Then type "
                "dataset.path=UNPACKED_FOLDER or dataset.archive=FILE.zip. "
                "Received: dataset.path=null dataset.archive=null"
            )

    def prepare(self) -> ImageIndex:
        """Unpacks the images where needed, then lists and checks them.

        Raises:
            DataError: The archive failed, a chosen surface or one of its classes is missing, or files cannot be used.
        """
        folder = self.folder()
        root = _surface_root(folder)
        members: list[tuple[str, str]] = []
        groups: list[str] = []
        present: set[tuple[str, str]] = set()
        account = Account()
        for surface, name, file in _patches(root, self.surfaces, account):
            members.append((file.relative_to(root).as_posix(), name))
            groups.append(f"{surface}/{file.stem.split('-')[0]}")
            present.add((surface, name))
        for surface, name in product(self.surfaces, _CLASSES):
            if (surface, name) not in present:
                raise DataError(
                    f"No {name} {surface} were found in {root}. Give the folder of the complete dataset, or leave "
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

    def archive_file(self) -> Path:
        """Returns the archive that was given."""
        assert self.archive is not None  # the constructor refuses both `path` and `archive` to be None
        return self.archive


def _surface_root(folder: Path) -> Path:
    """Returns the folder that holds the surfaces: `folder` or one up to two levels below it."""
    for candidate in nested_folders(folder):
        if any(class_folders(candidate)):
            return candidate
    raise DataError(
        "SDNET2018 has the folders D, P, W or Decks, Pavements, Walls, each with cracked and uncracked "
        f"patches, but this folder has none of them. Received: dataset.path={folder}"
    )


def _patches(root: Path, surfaces: Sequence[str], account: Account) -> Iterator[tuple[str, str, Path]]:
    """Yields (surface, class name, file) of each patch of the chosen surfaces, and notes the other files."""
    for surface, name, folder in class_folders(root):
        if surface in surfaces:
            yield from ((surface, name, image.path) for image in list_images(folder, account))
