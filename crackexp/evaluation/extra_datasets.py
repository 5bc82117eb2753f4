"""The extra datasets that a run is evaluated on, without the images that the model was trained on."""

from collections.abc import Collection

import numpy as np
from omegaconf import DictConfig

from crackexp.config.checking import listed
from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import Classes
from crackexp.data.index import ImageIndex
from crackexp.data.sources.folder import require_places
from crackexp.data.splits.given_split import only_part
from crackexp.evaluation.sets import MEAN
from crackexp.utils.errors import ConfigError, DataError, about

ALSO = "evaluation.also"


class ExtraDatasets:
    """The extra datasets that a run is evaluated on, beside its own test images.

    Args:
        cfg: The checked config, which has the group `evaluation`.

    Attributes:
        indexes: The images of each dataset by its name, once `prepare` is done.
        left_out: The number of images that were left out of each dataset.

    Raises:
        UserError: A dataset has no folder and no URL, its folder does not exist, or it is named "mean".
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.sources = {dataset.name: dataset for dataset, _ in listed(cfg, ALSO)}
        self.indexes: dict[str, ImageIndex] = {}
        self.left_out: dict[str, int] = {}
        if MEAN in self.sources:
            raise ConfigError(
                f"The mean over all sets is logged as also/{MEAN}. Give the set another name. "
                f"Received: a set named {MEAN} in {ALSO}"
            )
        require_places(cfg.evaluation.also, ALSO)

    def prepare(self, classes: Classes, seen: Collection[str]) -> None:
        """Indexes the images, and matches their classes with those of the classifier, see `ImageIndex.judged_by`.

        Of a dataset that has a given split, only the test images are used.

        Args:
            classes: The classes of the classifier.
            seen: The digests of the images that it was trained or selected on. These are left out and counted.

        Raises:
            UserError: Images cannot be used, classes cannot be matched, or no image is left.
        """
        for name, source in self.sources.items():
            with about(f"{name} in {ALSO}"):
                index = only_part(source.prepare(), "test", name).judged_by(classes)
                unseen = ~np.isin(index.digests, list(seen))
                if not unseen.any():
                    raise DataError(f"All images are also in train or val. Received: {index.root}")
                self.indexes[name] = index.subset(unseen)
                self.left_out[name] = int(np.sum(~unseen))

    @property
    def account(self) -> Account:
        """What became of every file of the extra datasets."""
        account = Account()
        for name, index in self.indexes.items():
            account.add(index.account.of(name))
        return account

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of the images of each dataset, see `ImageIndex`."""
        return {name: index.fingerprint for name, index in self.indexes.items()}
