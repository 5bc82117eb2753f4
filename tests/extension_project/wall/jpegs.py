"""A dataset whose files say in their names what they show."""

from pathlib import Path

from crackexp.data.index import ImageIndex, build_index
from crackexp.data.sources import Dataset


class Jpegs(Dataset):
    """Reads the JPEG files of a folder; those whose names begin with ``crack_`` are cracked.

    Args:
        name: The name of the dataset.
        path: The folder.
        cache: The folder of digests.
    """

    has_split = False

    def __init__(self, name: str, path: str, cache: str) -> None:
        self.name, self.path, self.cache = name, Path(path), Path(cache)

    def prepare(self) -> ImageIndex:
        files = sorted(file.name for file in self.path.glob("*.jpg"))
        return build_index(self.path, [(file, file.partition("_")[0]) for file in files], "crack", self.cache)
