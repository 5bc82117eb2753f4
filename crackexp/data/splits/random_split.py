"""The base class of splits that divide a dataset at random."""

from pathlib import Path

from crackexp.config.types import Ratio, Seed, Text
from crackexp.data.splits.base import Split


class RandomSplit(Split):
    """A split into shares that are drawn from a seed.

    Args:
        ratio: The shares of train, val and test, which are above 0 and sum to 1.
        seed: The seed of the order of the images. It is not the seed of the run, so that repeats of a run share their
            test images.
        cache: The folder that the split is kept in, below `splits`.
        check_leaks: Whether to look for test images that train holds as a copy or on another patch of the same photo.

    Attributes:
        kind: The beginning of the name of the split, which says how it is drawn.
    """

    unrelated_to_result = ("check_leaks",)
    kind: str

    def __init__(self, *, ratio: Ratio, seed: Seed, cache: Text, check_leaks: bool = True) -> None:
        self.ratio = tuple(float(share) for share in ratio)
        self.seed = int(seed)
        self.cache = Path(cache)
        self.check_leaks = check_leaks

    @property
    def name(self) -> str:
        """The name of the split in its folder and in reports; it is the same for every dataset."""
        shares = "-".join(f"{share:g}" for share in self.ratio)
        return f"{self.kind}-{shares}-seed-{self.seed}"
