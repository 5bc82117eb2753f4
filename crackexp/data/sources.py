"""Where images come from: each source has a `name` and `prepare()`, which returns an index."""

from crackexp.data.drawn import Synthetic
from crackexp.data.image_folder import ImageFolder
from crackexp.data.mendeley import Mendeley
from crackexp.data.sdnet2018 import Sdnet2018

__all__ = ["ImageFolder", "Mendeley", "Sdnet2018", "Synthetic"]
