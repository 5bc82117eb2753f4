"""A folder of images as an MLflow dataset with name, folder, content digest and class counts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.meta_dataset import MetaDataset

from crackexp.utils.names import visible


class ImageDataset(MetaDataset):
    """A dataset of images on disk.

    Args:
        name: The name of the dataset.
        root: The folder of the images.
        digest: The fingerprint of the bytes, names and labels of the images.
        profile: Facts that can be serialized as JSON, such as the number of images of each class.
    """

    def __init__(self, name: str, root: Path, digest: str, profile: Mapping[str, Any]) -> None:
        self._profile = dict(profile)
        source = get_dataset_source_from_json(json.dumps({"uri": visible(str(root))}), source_type="local")
        super().__init__(source, name=name, digest=digest)

    @property
    def profile(self) -> dict[str, Any]:
        return self._profile

    def to_dict(self) -> dict[str, str]:
        return {**super().to_dict(), "profile": json.dumps(self._profile)}
