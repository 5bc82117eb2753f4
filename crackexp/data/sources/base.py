"""Base classes of datasets."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from crackexp.config.types import Distinct, FileName, Text
from crackexp.data.files.archive import unpack_once
from crackexp.data.index import ImageIndex
from crackexp.data.sources.folder import require_folder
from crackexp.utils.errors import ConfigError


class Dataset(ABC):
    """Labelled images that a config can name in the group `dataset`, and in the lists `mix` and `evaluation.also`.

    A dataset of your own inherits this class, sets `name` and implements `prepare`. `crackexp.data.index.build_index`
    checks and digests image files for you.

    Attributes:
        name: The name of the dataset. Logs, runs and files are named after it, so it is made of letters, digits, dots,
            dashes and underscores.
        has_split: Whether the images may come with a split of their own, for `split=given`. Where it is False,
            `split=given` is refused before any image is read. Where it is True, `ImageIndex.parts` tells, and
            `given_parts` may tell earlier.

    Example:

    >>> from crackexp.data.index import build_index
    >>> class Patches(Dataset):
    ...     has_split = False
    ...     def __init__(self, name, path, cache):
    ...         self.name, self.path, self.cache = name, Path(path), Path(cache)
    ...     def prepare(self):
    ...         files = sorted(file.name for file in self.path.glob("*.jpg"))
    ...         members = [(file, file.partition("_")[0]) for file in files]
    ...         return build_index(self.path, members, positive="crack", cache=self.cache)
    >>> Patches("patches", path="images", cache="cache").given_parts()
    []
    """

    name: str
    has_split: bool = True

    @abstractmethod
    def prepare(self) -> ImageIndex:
        """Finds, checks and lists the images.

        It is called once for each run, and may download, unpack or draw images into a cache.

        Returns:
            The index of the images.

        Raises:
            DataError: There are no images, or they cannot be used.
        """

    @property
    def place(self) -> str:
        """The name of the dataset, or its folder where it has one, as messages name the place of the images."""
        return self.name

    def given_parts(self) -> list[str] | None:
        """Returns which of "train", "val" and "test" the images come in, without reading them.

        Returns:
            The parts, in this order; an empty list where the dataset comes without a split; None where this is not
            known before `prepare`, as in this base class where `has_split` is True.

        Raises:
            DataError: The images cannot be listed.
        """
        return None if self.has_split else []


class FileDataset(Dataset):
    """A dataset of image files on disk: the base class of crackexp's own datasets.

    Args:
        name: The name of the dataset, which logs, runs and files are named after.
        positive: The class that is damage, or a list of several; null to find it by its name, which works for two
            classes only.
        limit: The largest number of images to use, in turn from each class; null to use all.
        on_bad_file: What happens where files cannot be used: "error" lists them and stops, "skip" leaves them out and
            writes a report of them.
        cache: The folder that keeps digests of the images, and images that were downloaded, unpacked or drawn.
    """

    def __init__(
        self,
        *,
        name: FileName,
        positive: Text | Annotated[list[Text], Field(min_length=1), Distinct] | None,
        limit: Annotated[int, Field(gt=0, le=1_000_000_000)] | None,
        on_bad_file: Literal["error", "skip"],
        cache: Text,
    ) -> None:
        self.name = name
        self.positive = positive
        self.limit = limit
        self.on_bad_file: Literal["error", "skip"] = on_bad_file
        self.cache = Path(cache)


class PublishedDataset(FileDataset):
    """A dataset that somebody published as an archive, and that has no split of its own.

    A subclass says by `archive_file` where the archive is, and implements `prepare`.

    Args:
        path: The folder of the unpacked images; null to unpack an archive.
        archive: The zip or rar file of the images; null where `path` is given.
        kwargs: The arguments that every dataset of files takes, see `FileDataset`.

    Raises:
        ConfigError: Both `path` and `archive` are given.
    """

    has_split = False

    def __init__(self, *, path: Text | None, archive: Text | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if path is not None and archive is not None:
            raise ConfigError(
                "dataset.path and dataset.archive are two places for one dataset. Give only one of them. "
                f"Received: dataset.path={path} dataset.archive={archive}"
            )
        self.path = None if path is None else Path(path).expanduser()
        self.archive = None if archive is None else Path(archive)

    @abstractmethod
    def archive_file(self) -> Path:
        """Returns the archive that is unpacked where there is no `path`."""

    def folder(self) -> Path:
        """Returns the folder of the unpacked images, after unpacking them into the cache where needed.

        Raises:
            DataError: The archive cannot be unpacked, or the folder is missing or empty.
        """
        folder = self.path or unpack_once(self.archive_file(), self.cache)
        require_folder(folder)
        return folder
