"""Views of an image: seeded draws of a chain of transforms."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from crackexp.data.transforms import Transform
from crackexp.errors import ConfigError
from crackexp.seeds import generator
from crackexp.sources import source_digest


class Augmentation:
    """Draws view `e` of an image: the transforms one after another, each on a stream of its own.

    Args:
        transforms: name -> transform, applied in the order of the mapping; None switches one off.
            A transform's draws depend on its name, not on what stands beside it.
        views: number of views that the epochs take in rotation; None draws fresh ones each epoch.

    Raises:
        ConfigError: `views` is below 1, or a value is no transform.
    """

    def __init__(self, transforms: Mapping[str, Transform | None], views: int | None = None) -> None:
        if views is not None and (not isinstance(views, Integral) or isinstance(views, bool) or views < 1):
            raise ConfigError(
                "augmentation.views must be null (fresh views each epoch) or a whole number of at "
                f"least 1. Received: views={views}"
            )
        if not isinstance(transforms, Mapping):
            raise ConfigError(
                "augmentation.transforms must be a table of named transforms; {} has none. "
                f"Received: transforms={transforms}"
            )
        self.views = views
        self.transforms: dict[str, Transform] = {}
        for name, transform in transforms.items():
            if transform is None:
                continue
            if not isinstance(transform, Transform):
                raise ConfigError(
                    f"augmentation.transforms.{name} must be a transform: a class that inherits "
                    "crackexp.data.transforms.Transform, named by _target_. "
                    f"Received: {name}={transform!r}"
                )
            self.transforms[str(name)] = transform
        described: list[Any] = [[name, transform.describe()] for name, transform in self.transforms.items()]
        if source := source_digest(self):
            described.append(source)
        self._description = json.dumps(described, sort_keys=True)

    def view_key(self, seed: int, epoch: int) -> str:
        """Returns the name of the views of `epoch`: equal keys, equal pixels.

        Args:
            seed: of the run.
            epoch: from 0.

        Returns:
            "plain" where there are no transforms, else 16 hex digits.
        """
        if not self.transforms:
            return "plain"
        text = f"{int(seed)}/{self._view(epoch)}/{self._description}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __call__(self, image: np.ndarray, seed: int, digest: str, epoch: int) -> np.ndarray:
        """Returns the view of an image in `epoch`.

        Args:
            image: (H, W, 3) uint8 RGB; left as it is.
            seed: of the run.
            digest: of the image's content; with `seed`, the view and the transforms it fixes the
                result.
            epoch: from 0.

        Returns:
            (H, W, 3) uint8; may share memory with `image`, so do not write to it.

        Raises:
            ConfigError: a transform gave another shape or dtype.
        """
        view = self._view(epoch)
        for name, transform in self.transforms.items():
            given = image.view()
            given.flags.writeable = False
            rng = generator(int(seed), "augmentation", str(digest), view, name)
            image = transform(given, rng)
            if image.shape != given.shape or image.dtype != np.uint8:
                raise ConfigError(
                    f"augmentation.transforms.{name} must return uint8 pixels of the shape "
                    f"{given.shape}. Received: {image.dtype} of shape {image.shape}"
                )
        return image

    def _view(self, epoch: int) -> int:
        return int(epoch) if self.views is None else int(epoch) % int(self.views)


@dataclass(frozen=True)
class View:
    """One view of all images: a function of an image and its digest.

    Attributes:
        augmentation: that draws it.
        seed: of the draws.
        number: of the view, from 0; the epoch that shows it.
    """

    augmentation: Augmentation
    seed: int
    number: int

    @property
    def key(self) -> str:
        """See `Augmentation.view_key`."""
        return self.augmentation.view_key(self.seed, self.number)

    def __call__(self, image: np.ndarray, digest: str) -> np.ndarray:
        """Returns the view of an image, see `Augmentation`."""
        return self.augmentation(image, self.seed, digest, self.number)
