"""Splits that a config can name: each divides the images of a dataset into train, val and test."""

from crackexp.data.splits.base import Split
from crackexp.data.splits.given_split import GivenSplit
from crackexp.data.splits.grouped_split import GroupedSplit
from crackexp.data.splits.ratio_split import RatioSplit

__all__ = ["GivenSplit", "GroupedSplit", "RatioSplit", "Split"]
