"""Datasets that a config can name: each finds its images and returns them as an `ImageIndex`."""

from crackexp.data.sources.base import Dataset
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.data.sources.mendeley import Mendeley
from crackexp.data.sources.sdnet2018 import Sdnet2018
from crackexp.data.sources.synthetic import Synthetic

__all__ = ["Dataset", "ImageFolder", "Mendeley", "Sdnet2018", "Synthetic"]
