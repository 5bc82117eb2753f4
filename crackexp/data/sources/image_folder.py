"""A dataset as people keep it: a folder for each class, perhaps in the parts of a split, or a table of labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crackexp.data.classes.names import choose_positive, positives_of_one
from crackexp.data.index import PARTS, ImageIndex, OnBadFile, build_index
from crackexp.data.sources.layouts import Listing, list_labelled


class ImageFolder:
    """Images in one folder for each class, at any depth below it.

    The class folders may stand in folders of a given split, ``train``, ``val`` and ``test``, or such folders in each
    class folder. Instead of a folder there may be a table of labels, see `read_labels`.

    Args:
        name: of the dataset, for logs and runs.
        path: The folder that holds the class folders or the parts, or a table of labels.
        positive: The class that is damage, or several; None: of two, one is found by its name, see `choose_positive`.
        limit: at most this many images, in turn from each class; None: all.
        on_bad_file: "error" lists them and stops, "skip" leaves them out.
        cache: folder for digests.
        classes: The folders that are classes; None: all that hold images.
        merge_parts: Whether a given split is dropped, so that its parts are one set of images.
    """

    def __init__(
        self,
        *,
        name: str,
        path: str | Path,
        positive: str | Sequence[str] | None,
        limit: int | None,
        on_bad_file: OnBadFile,
        cache: str | Path,
        classes: Sequence[str] | None = None,
        merge_parts: bool = False,
    ) -> None:
        self.name = name
        self.path = Path(path).expanduser()
        self.positive = positive
        self.limit = limit
        self.on_bad_file = on_bad_file
        self.cache = Path(cache)
        self.classes = classes
        self.merge_parts = merge_parts
        self._listed: Listing | None = None  # by `given_parts`: to list 40,000 files takes 2 s

    def prepare(self) -> ImageIndex:
        """Checks and lists the images.

        Raises:
            DataError: no such folder, no class folders, an empty class, an unknown positive class,
                bad files.
        """
        found, self._listed = self._listed or self.listing(), None
        names = sorted({name for _, name in found.members})
        missing: tuple[str, ...] = ()
        if len(names) == 1:
            positives, missing = positives_of_one(names[0], self.positive, found.root)
        else:
            positives = choose_positive(names, self.positive, self.path)
        return build_index(
            found.root,
            found.members,
            positive=positives,
            cache=self.cache,
            on_bad_file=self.on_bad_file,
            groups=found.groups,
            limit=self.limit,
            account=found.account,
            parts=found.parts,
            missing=missing,
        )

    def listing(self) -> Listing:
        """Lists the images without reading them.

        Raises:
            DataError: As `prepare`, but for bad files.
        """
        found = list_labelled(self.path, self.classes, self.on_bad_file == "error")
        return replace(found, parts=None) if self.merge_parts else found

    def given_parts(self) -> list[str] | None:
        """Returns the parts that the images stand in, of train, val and test; None: there is no split, or it is merged.

        Raises:
            DataError: As `listing`.
        """
        self._listed = self.listing()
        parts = self._listed.parts
        return None if parts is None else [part for part in PARTS if part in parts]
