"""Images in one folder for each class, in the parts of a split, or named by a file of labels."""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import Field

from crackexp.config.types import Distinct, NamePattern, Text
from crackexp.data.classes.decisions import positives_of
from crackexp.data.classes.names import choose_positive, positives_of_one
from crackexp.data.index import PARTS, ImageIndex, build_index
from crackexp.data.sources.base import FileDataset
from crackexp.data.sources.layouts import Listing, list_labelled
from crackexp.reporting.formatting import counted
from crackexp.utils.errors import ConfigError, DataError


class ImageFolder(FileDataset):
    """Images in one folder for each class, at any depth below it.

    The class folders may stand in the folders ``train``, ``val`` and ``test`` of a split, or each class folder may hold
    such folders. Instead of a folder, `path` may be a table of labels, see `read_labels`, or an export of Label Studio
    or CVAT, see `read_annotations`.

    Args:
        path: The folder that holds the class folders or the folders of a split, a CSV table of labels, or an export of
            Label Studio (JSON) or CVAT (XML) in the folder of its images.
        classes: The names of the folders that are classes; null to take all folders that hold images.
        merge_parts: Whether a split that the images come with is dropped, so that they can be split anew.
        photo: A regular expression that matches the beginning of the file names. Its group is the photo that a patch
            was cut from: ``(.+)__`` finds `wall` in ``wall__3.jpg``. Null where the names do not tell it.
        kwargs: The arguments that every dataset of files takes, see `FileDataset`.

    Example:

    >>> from crackexp.data.synthetic import draw_dataset
    >>> draw_dataset(Path("patches"), count=4, seed=0, size=32)
    >>> dataset = ImageFolder(
    ...     name="patches", path="patches", positive=None, limit=None, on_bad_file="error", cache="cache"
    ... )
    >>> index = dataset.prepare()
    >>> len(index), index.class_names, index.positives
    (4, ('Negative', 'Positive'), ('Positive',))
    """

    def __init__(
        self,
        *,
        path: Text,
        classes: Annotated[list[Text], Field(min_length=2), Distinct] | None = None,
        merge_parts: bool = False,
        photo: NamePattern | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = Path(path).expanduser()
        self.classes = classes
        self.merge_parts = merge_parts
        self.photo = photo
        self._listed: Listing | None = None  # kept by `given_parts`: listing 40,000 files takes 2 s

    @property
    def place(self) -> str:
        return str(self.path)

    def prepare(self) -> ImageIndex:
        """Lists and checks the images.

        Raises:
            DataError: There is no such folder, it holds no class folders, a class has no images, the positive class is
                not among the classes, or files cannot be used.
        """
        listing, self._listed = self._listed or self.listing(), None
        names = sorted({name for _, name in listing.members})
        missing: tuple[str, ...] = ()
        if len(names) == 1:
            positives, missing = positives_of_one(names[0], self.positive, listing.root)
        else:
            positives = choose_positive(names, self.positive, self.path)
        return build_index(
            listing.root,
            listing.members,
            positive=positives,
            cache=self.cache,
            on_bad_file=self.on_bad_file,
            groups=listing.groups,
            limit=self.limit,
            account=listing.account,
            parts=listing.parts,
            missing=missing,
        )

    def listing(self) -> Listing:
        """Lists the images without reading them.

        Raises:
            ConfigError: `photo` is given for a table that has groups.
            DataError: As in `prepare`, except for files that cannot be used; or `photo` does not match all names.
        """
        positives = None if self.positive is None else positives_of(self.positive)
        listing = list_labelled(self.path, self.classes, self.on_bad_file == "error", positives)
        listing = replace(listing, parts=None) if self.merge_parts else listing
        return replace(listing, groups=self._photos(listing, self.photo)) if self.photo else listing

    def _photos(self, listing: Listing, pattern: str) -> list[str]:
        """Returns the photo of each member, by the group of `pattern` in its file name."""
        if listing.groups is not None:
            raise ConfigError(
                f"{self.path} names the group of each image already. Type dataset.photo=null. "
                f"Received: dataset.photo={pattern}"
            )
        found = [re.match(pattern, PurePosixPath(file).name) for file, _ in listing.members]
        unnamed = [file for (file, _), match in zip(listing.members, found, strict=True) if not (match and match[1])]
        if unnamed:
            raise DataError(
                f"dataset.photo finds no photo in the names of {len(unnamed):,} of {counted(len(found), 'file')}, such "
                f"as {PurePosixPath(unnamed[0]).name}. Write a regular expression that matches the beginning of all "
                f"names, with parentheses around the photo. Received: dataset.photo={pattern}"
            )
        return [match[1] for match in found if match]

    def given_parts(self) -> list[str]:
        """Returns the parts that the images come in; an empty list where there is no split or it is dropped.

        Raises:
            DataError: As in `listing`.
        """
        self._listed = self._listed or self.listing()
        parts = self._listed.parts
        return [] if parts is None else [part for part in PARTS if part in parts]
