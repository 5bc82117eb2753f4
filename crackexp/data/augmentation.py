"""Augmentation: random transforms of training images, drawn from the seed of the run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crackexp.config.types import Positive
from crackexp.data.transforms import Transform
from crackexp.data.transforms.base import DeviceVersion, Parameters, device_version_of
from crackexp.utils.errors import ConfigError
from crackexp.utils.seeds import generator
from crackexp.utils.source_code import source_digest

if TYPE_CHECKING:
    import jax


class Augmentation:
    """Applies random transforms to an image, one after another.

    What is drawn depends on the seed of the run, the content of the image, the view and the name of the transform
    alone. So the same view can be drawn again, and one more transform does not change the draws of the others.

    A *view* of an image is one draw of all transforms. Epoch e shows view e, or view e modulo `views`. With a frozen
    backbone, the embeddings of each view are computed once, so that few views take less time.

    Args:
        transforms: The transforms by name, in the order in which they are applied; null in place of one switches it
            off.
        views: The number of views that the epochs show in turn; null to draw new views in each epoch.

    Raises:
        ConfigError: One of `transforms` is no transform.

    Example:

    >>> from crackexp.data.transforms import RandomFlip
    >>> augmentation = Augmentation({"flip": RandomFlip("horizontal")})
    >>> image = np.zeros((32, 32, 3), np.uint8)
    >>> augmentation(image, seed=0, digest="0123", epoch=0).shape
    (32, 32, 3)
    """

    def __init__(self, transforms: Mapping[str, Transform | None], views: Positive | None = None) -> None:
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
        """Returns a key of the views of an epoch; where two keys are equal, the pixels are equal.

        Args:
            seed: The seed of the run.
            epoch: The number of the epoch, which counts from 0.

        Returns:
            "plain" where there are no transforms, else 16 hex digits.
        """
        if not self.transforms:
            return "plain"
        text = f"{int(seed)}/{self._view(epoch)}/{self._description}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __call__(self, image: np.ndarray, seed: int, digest: str, epoch: int) -> np.ndarray:
        """Returns the view of an image that an epoch shows.

        Args:
            image: The image, (H, W, 3) uint8 of RGB; it is not changed.
            seed: The seed of the run.
            digest: The digest of the image's content.
            epoch: The number of the epoch, which counts from 0.

        Returns:
            The augmented image, (H, W, 3) uint8. It may share memory with `image`, so do not write to it.

        Raises:
            ConfigError: A transform returned another shape or dtype.
        """
        for name, transform in self.transforms.items():
            given = image.view()
            given.flags.writeable = False
            image = transform(given, self._rng(seed, digest, epoch, name))
            _require_pixels(image, given.shape, f"augmentation.transforms.{name}")
        return image

    @property
    def host_only(self) -> list[str]:
        """The names of the transforms without a device version; where there are none, `draw` and `apply` can be used.

        A subclass that writes `__call__` anew works on the host alone, whatever its transforms are.
        """
        own = type(self).__call__ is not Augmentation.__call__
        return [name for name in self.transforms if own or name not in self._device_versions]

    def draw(self, height: int, width: int, seed: int, digest: str, epoch: int) -> dict[str, Parameters]:
        """Returns what `__call__` draws for an image of (height, width) pixels, by the name of the transform."""
        return {
            name: version.draw(self._rng(seed, digest, epoch, name), height, width)
            for name, version in self._device_versions.items()
        }

    def apply(self, images: "jax.Array", drawn: Mapping[str, Mapping[str, "jax.Array"]]) -> "jax.Array":
        """Returns the views of a batch of images; a pure JAX function.

        Args:
            images: The images, (B, H, W, 3) uint8 of RGB.
            drawn: The arrays of `draw`, each with a row for each image.

        Returns:
            The augmented images, (B, H, W, 3) uint8.

        Raises:
            ConfigError: A transform returned another shape or dtype.
        """
        for name, version in self._device_versions.items():
            given, images = images, version.apply(images, drawn[name])
            _require_pixels(images, given.shape, f"The device version of augmentation.transforms.{name}")
        return images

    @cached_property
    def _device_versions(self) -> dict[str, DeviceVersion]:
        versions = {name: device_version_of(transform) for name, transform in self.transforms.items()}
        return {name: version for name, version in versions.items() if version}

    def _rng(self, seed: int, digest: str, epoch: int, name: str) -> np.random.Generator:
        """Returns the generator of one transform of one view of an image."""
        return generator(int(seed), "augmentation", str(digest), self._view(epoch), name)

    def _view(self, epoch: int) -> int:
        """Returns the number of the view that an epoch shows."""
        return int(epoch) if self.views is None else int(epoch) % int(self.views)


def _require_pixels(returned: Any, shape: tuple[int, ...], source: str) -> None:
    """Raises ConfigError where what `source` returned are not uint8 pixels of a shape."""
    if returned.shape != shape or returned.dtype != np.uint8:
        raise ConfigError(
            f"{source} must return uint8 pixels of the shape {shape}. "
            f"Received: {returned.dtype} of shape {returned.shape}"
        )


@dataclass(frozen=True)
class View:
    """The views of all images in one epoch, as a function of an image and its digest.

    Attributes:
        augmentation: The augmentation that draws the views.
        seed: The seed of the draws.
        number: The epoch that shows the views, which counts from 0.
    """

    augmentation: Augmentation
    seed: int
    number: int

    @property
    def key(self) -> str:
        """The key of the views, see `Augmentation.view_key`."""
        return self.augmentation.view_key(self.seed, self.number)

    def __call__(self, image: np.ndarray, digest: str) -> np.ndarray:
        """Returns the view of an image, see `Augmentation.__call__`."""
        return self.augmentation(image, self.seed, digest, self.number)

    def draw(self, height: int, width: int, digest: str) -> dict[str, Parameters]:
        """Returns what the view of an image draws, see `Augmentation.draw`."""
        return self.augmentation.draw(height, width, self.seed, digest, self.number)
