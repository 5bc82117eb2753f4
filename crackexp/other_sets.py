"""The other datasets that a run is judged on: found, checked, and without the images that the model has seen."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from crackexp.also import ALSO
from crackexp.config import instantiate
from crackexp.data.folder import require_folder
from crackexp.data.index import ImageIndex
from crackexp.errors import ConfigError, DataError, UserError


class OtherSets:
    """The other datasets that a run is judged on.

    Args:
        settings: the checked config group `evaluation`.

    Attributes:
        indexes: name to images, once `prepare` is done.
        left_out: name to how many images were left out.

    Raises:
        UserError: a dataset has no place, or its folder is not there.
    """

    def __init__(self, settings: DictConfig) -> None:
        self.sources = {}
        self.indexes: dict[str, ImageIndex] = {}
        self.left_out: dict[str, int] = {}
        for name, node in ((name, node) for item in settings.also for name, node in item.items()):
            with _about(name):
                self.sources[name] = instantiate(node)
                if node.get("path"):
                    require_folder(Path(node.path).expanduser())

    def prepare(self, class_names: tuple[str, ...], positive: str, seen: Collection[str]) -> None:
        """Indexes the images, and matches their classes with those of the classifier, see `ImageIndex.relabel`.

        Args:
            class_names: of the classifier.
            positive: the class that means "crack".
            seen: digests of the images that it was trained on or chosen by; those are left out, and counted.

        Raises:
            UserError: images that cannot be used, classes that cannot be matched, or nothing that is left.
        """
        for name, source in self.sources.items():
            with _about(name):
                index = source.prepare().relabel(class_names, positive)
                unseen = ~np.isin(index.digests, list(seen))
                if not unseen.any():
                    raise DataError(f"All images stand in train or val. Received: {index.root}")
                self.indexes[name] = index.subset(unseen)
                self.left_out[name] = int(np.sum(~unseen))

    @property
    def fingerprints(self) -> dict[str, str]:
        """Name to fingerprint of the images, see `ImageIndex`."""
        return {name: index.fingerprint for name, index in self.indexes.items()}


@contextlib.contextmanager
def _about(name: str) -> Iterator[None]:
    """Says of a mistake in the block which of the other datasets it is about, and where its keys are typed."""
    try:
        yield
    except UserError as error:
        kind = DataError if isinstance(error, DataError) else ConfigError
        form = f"'{ALSO}=[{{{name}:{{path:FOLDER}}}}]'"
        raise kind(f"{ALSO}, {name}: {error}\nKeys of dataset are typed there as {form}.") from error
