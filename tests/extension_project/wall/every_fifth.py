"""A split by the order of the files."""

from pathlib import Path

import numpy as np

from crackexp.data.index import ImageIndex
from crackexp.data.splits import Split
from crackexp.data.splits.split_folder import SplitDataset, kept, link_parts


class EveryFifth(Split):
    """Tests on every fifth image, and validates on the one before it.

    Args:
        cache: The folder that the split is kept in.
    """

    def __init__(self, cache: str) -> None:
        self.cache = Path(cache)

    def split(self, index: ImageIndex) -> SplitDataset:
        parts = np.array([0, 0, 0, 1, 2])[np.arange(len(index)) % 5]
        return kept(index, self.cache, "every-fifth", index.fingerprint, link_parts(parts), check_leaks=False)
