"""Concrete Crack Images for Classification (Özgenel 2019, doi 10.17632/5y9wdsg2zt.2)."""

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from crackexp.data.files.archive import unpack_once
from crackexp.data.files.download import download
from crackexp.data.files.listing import nested_folders
from crackexp.data.index import ImageIndex, OnBadFile
from crackexp.data.sources.folder import require_folder
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.errors import DataError

_CLASSES = ("Positive", "Negative")
_BY_HAND = (
    "Download it by hand from https://data.mendeley.com/datasets/5y9wdsg2zt/2 and pass dataset.archive=/path/to.zip."
)


class Mendeley:
    """40,000 patches of 227x227 pixels in `Positive` and `Negative`: unpacked, packed or remote.

    Args:
        name: of the dataset, for logs and runs.
        url: of the zip of version 2, which holds one rar; read where neither `path` nor `archive`
            is given.
        archive_sha256: hex digits that the downloaded zip must have; None: not checked.
        path: folder with the unpacked images, `Positive` and `Negative` in it or up to two levels
            down.
        archive: the zip, or the rar in it.
        positive: the class that is damage.
        limit: at most this many images, in turn from each class; None: all.
        on_bad_file: "error" lists them and stops, "skip" leaves them out.
        cache: folder for the download, the unpacked images and their digests.
    """

    def __init__(
        self,
        *,
        name: str,
        url: str,
        archive_sha256: str | None,
        path: str | Path | None,
        archive: str | Path | None,
        positive: str | Sequence[str] | None = "Positive",
        limit: int | None,
        on_bad_file: OnBadFile,
        cache: str | Path,
    ) -> None:
        self.name = name
        self.url = url
        self.archive_sha256 = archive_sha256
        self.path = None if path is None else Path(path).expanduser()
        self.archive = None if archive is None else Path(archive)
        self.positive = positive
        self.limit = limit
        self.on_bad_file = on_bad_file
        self.cache = Path(cache)

    def prepare(self) -> ImageIndex:
        """Gets the images, checks and lists them.

        Raises:
            DataError: the download or the archive failed, with what to do by hand; no `Positive`
                and `Negative`; as `ImageFolder.prepare`.
        """
        return ImageFolder(
            name=self.name,
            path=_class_root(self.path or self._unpacked()),
            positive=self.positive,
            limit=self.limit,
            on_bad_file=self.on_bad_file,
            cache=self.cache,
            classes=_CLASSES,
        ).prepare()

    def _unpacked(self) -> Path:
        return unpack_once(self.archive or self._downloaded(), self.cache)

    def _downloaded(self) -> Path:
        target = self.cache / "downloads" / "5y9wdsg2zt-2.zip"
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            return download(self.url, target, sha256=self.archive_sha256, by_hand=_BY_HAND)


def _class_root(folder: Path) -> Path:
    require_folder(folder)
    for candidate in nested_folders(folder):
        if all((candidate / name).is_dir() for name in _CLASSES):
            return candidate
    found = ", ".join(sorted(child.name for child in folder.iterdir())[:10])
    raise DataError(
        f"The Mendeley set has the folders Positive and Negative; here are {found}. For other "
        f"classes type dataset=folder dataset.path={folder}. Received: dataset.path={folder}"
    )
