"""The other datasets that a run is judged on: found, checked, and without the images that the model has seen."""

from collections.abc import Collection

import numpy as np
from omegaconf import DictConfig

from crackexp.config.checking import listed
from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import Classes
from crackexp.data.index import ImageIndex
from crackexp.data.sources.folder import require_places
from crackexp.data.splits.given_split import only_part
from crackexp.utils.errors import DataError, about

ALSO = "evaluation.also"


class OtherSets:
    """The other datasets that a run is judged on.

    Args:
        cfg: checked, with the group `evaluation`.

    Attributes:
        indexes: name to images, once `prepare` is done.
        left_out: name to how many images were left out.

    Raises:
        UserError: a dataset has no place, or its folder is not there.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.sources = {dataset.name: dataset for dataset, _ in listed(cfg, ALSO)}
        self.indexes: dict[str, ImageIndex] = {}
        self.left_out: dict[str, int] = {}
        require_places(cfg.evaluation.also, ALSO)

    def prepare(self, classes: Classes, seen: Collection[str]) -> None:
        """Indexes the images, and matches their classes with those of the classifier, see `ImageIndex.judged_by`.

        Of a dataset that comes with a split, its test is taken.

        Args:
            classes: of the classifier.
            seen: digests of the images that it was trained on or chosen by; those are left out, and counted.

        Raises:
            UserError: images that cannot be used, classes that cannot be matched, or nothing that is left.
        """
        for name, source in self.sources.items():
            with about(f"{name} in {ALSO}"):
                index = only_part(source.prepare(), "test", name).judged_by(classes)
                unseen = ~np.isin(index.digests, list(seen))
                if not unseen.any():
                    raise DataError(f"All images stand in train or val. Received: {index.root}")
                self.indexes[name] = index.subset(unseen)
                self.left_out[name] = int(np.sum(~unseen))

    @property
    def account(self) -> Account:
        """What became of every file of the other datasets."""
        account = Account()
        for name, index in self.indexes.items():
            account.add(index.account.of(name))
        return account

    @property
    def fingerprints(self) -> dict[str, str]:
        """Name to fingerprint of the images, see `ImageIndex`."""
        return {name: index.fingerprint for name, index in self.indexes.items()}
