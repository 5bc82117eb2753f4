"""Concrete Crack Images for Classification (Özgenel 2019, doi 10.17632/5y9wdsg2zt.2)."""

from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock
from pydantic import Field

from crackexp.config.types import Distinct, Text
from crackexp.data.files.download import download
from crackexp.data.files.listing import nested_folders
from crackexp.data.index import ImageIndex
from crackexp.data.sources.base import PublishedDataset
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.utils.errors import DataError

_CLASSES = ["Positive", "Negative"]
_BY_HAND = (
    "Download it by hand from https://data.mendeley.com/datasets/5y9wdsg2zt/2 and pass dataset.archive=/path/to.zip."
)


class Mendeley(PublishedDataset):
    """40,000 patches of 227x227 pixels in the classes `Positive` (cracked) and `Negative`.

    The images are read from a folder, unpacked from an archive, or downloaded on first use.

    Args:
        url: The address of the zip of version 2, which holds one rar file; used where neither `path` nor `archive` is
            given.
        archive_sha256: The SHA-256 digest that the downloaded zip must have, in hex digits; null to skip the check.
        path: The folder of the unpacked images, which holds `Positive` and `Negative` itself or up to two levels down;
            null to unpack an archive.
        archive: The downloaded zip, or the rar file in it; null to download it.
        positive: The class that is damage.
        kwargs: The arguments that every dataset of files takes, see `FileDataset`.

    Raises:
        ConfigError: Both `path` and `archive` are given.

    Example:

    >>> from crackexp.data.synthetic import draw_dataset
    >>> draw_dataset(Path("unpacked"), count=4, seed=0, size=32)  # a folder that is laid out as the published one
    >>> dataset = Mendeley(
    ...     name="mendeley", url="", archive_sha256=None, path="unpacked", archive=None, limit=None,
    ...     on_bad_file="error", cache="cache",
    ... )
    >>> len(dataset.prepare())
    4
    """

    def __init__(
        self,
        *,
        url: Text,
        archive_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None,
        path: Text | None,
        archive: Text | None,
        positive: Text | Annotated[list[Text], Field(min_length=1), Distinct] | None = "Positive",
        **kwargs: Any,
    ) -> None:
        super().__init__(path=path, archive=archive, positive=positive, **kwargs)
        self.url = url
        self.archive_sha256 = archive_sha256

    def prepare(self) -> ImageIndex:
        """Downloads and unpacks the images where needed, then lists and checks them.

        Raises:
            DataError: The download or the archive failed, and the message says what to do by hand; the folder has no
                `Positive` and `Negative`; or as in `ImageFolder.prepare`.
        """
        return ImageFolder(
            name=self.name,
            path=str(_class_root(self.folder())),
            positive=self.positive,
            limit=self.limit,
            on_bad_file=self.on_bad_file,
            cache=self.cache,
            classes=_CLASSES,
        ).prepare()

    def archive_file(self) -> Path:
        """Returns the archive, which is downloaded into the cache where none is given.

        Raises:
            DataError: The download failed.
        """
        if self.archive is not None:
            return self.archive
        target = self.cache / "downloads" / "5y9wdsg2zt-2.zip"
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            return download(self.url, target, sha256=self.archive_sha256, by_hand=_BY_HAND)


def _class_root(folder: Path) -> Path:
    """Returns the folder that holds `Positive` and `Negative`: `folder` or one up to two levels below it."""
    for candidate in nested_folders(folder):
        if all((candidate / name).is_dir() for name in _CLASSES):
            return candidate
    names = ", ".join(sorted(child.name for child in folder.iterdir())[:10])
    raise DataError(
        f"The Mendeley dataset has the folders Positive and Negative, but this one has {names}. For other "
        f"classes type dataset=folder dataset.path={folder}. Received: dataset.path={folder}"
    )
