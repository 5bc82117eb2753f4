"""The base class of transforms, and what their arguments mean."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ConfigDict, validate_call

from crackexp.config.types import Number
from crackexp.utils.errors import ConfigError
from crackexp.utils.files import file_digest
from crackexp.utils.source_code import source_digest

if TYPE_CHECKING:
    import jax

Parameters = dict[str, np.ndarray]
"""What a transform has drawn for one image: arrays by name, with shapes and dtypes that are the same for each image of
one size."""
Range = tuple[float, float]
"""The bounds (lower, upper) that a number is drawn between."""
checked = validate_call(config=ConfigDict(strict=True, allow_inf_nan=False))
"""Holds the arguments of a constructor to its annotations, as a config does: OpenCV would take many a wrong value, and
give other pixels."""


@dataclass(frozen=True)
class DeviceVersion:
    """A transform in two halves: the host draws its parameters, and a device applies them to a whole batch.

    Attributes:
        draw: A function of a generator and of the height and width of an image, which returns the parameters of that
            image. It draws the same numbers from the generator as `Transform.__call__`.
        apply: A pure JAX function of images, (B, H, W, 3) uint8 of RGB, and of their parameters, each with B rows. It
            returns images of the same shape and dtype, at most 2 gray levels from those of `Transform.__call__`.
    """

    draw: Callable[[np.random.Generator, int, int], Parameters]
    apply: Callable[["jax.Array", Mapping[str, "jax.Array"]], "jax.Array"]


class Transform(ABC):
    """A random change of one image; an augmentation applies several of them.

    A transform of your own inherits this class and implements `__call__`. It keeps each of its arguments as an
    attribute and nothing else, because the attributes are part of the key that embeddings of its images are stored by.
    It may implement `device_version` too; without one, its views are made on the host.

    Attributes:
        version: A number that crackexp raises whenever the same arguments of one of its own transforms begin to give
            other pixels, so that embeddings of the old pixels are not reused. A transform of your own needs none: its
            source code is part of the key.

    Example:

    >>> class RandomInvert(Transform):
    ...     def __init__(self, probability):
    ...         self.probability = probability
    ...     def __call__(self, image, rng):
    ...         return 255 - image if rng.random() < self.probability else image
    >>> invert = RandomInvert(1.0)
    >>> int(invert(np.zeros((32, 32, 3), np.uint8), np.random.default_rng(0)).min())
    255
    """

    version: int = 1

    @abstractmethod
    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns a changed image.

        Args:
            image: The image, (H, W, 3) uint8 of RGB, which must not be written to.
            rng: The generator of all random numbers, so that equal generators give equal results.

        Returns:
            An image of the same shape and dtype; it may be `image` itself where nothing changes.
        """

    def device_version(self) -> DeviceVersion | None:
        """Returns the transform for whole batches on a device; None where it works on the host alone."""
        return None

    def describe(self) -> dict[str, Any]:
        """Returns the class, the version and the arguments as plain JSON values.

        The description of a class outside crackexp holds a digest of its source code and of the files that its
        arguments name too.

        Raises:
            ConfigError: An attribute cannot be written as JSON.
        """
        kind = type(self)
        target = f"{kind.__module__}.{kind.__qualname__}"
        description = {"_target_": target, "version": self.version, **vars(self)}
        if source := source_digest(self):
            files = {name: Path(value) for name, value in vars(self).items() if isinstance(value, str | Path)}
            read = {name: file_digest(file) for name, file in files.items() if file.is_file()}
            description = {**description, "source": source, "files": read}
        try:
            return json.loads(json.dumps(description, default=_plain, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{target} must keep its arguments as numbers, strings, lists or None, so that "
                f"it can be described: {error}. Received: {vars(self)}"
            ) from error

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


def device_version_of(transform: Transform) -> DeviceVersion | None:
    """Returns the device version that belongs to the transform's `__call__`, or None.

    A subclass that writes `__call__` anew does not have the device version of the class that it inherits from.
    """
    written = {
        name: next(kind for kind in type(transform).__mro__ if name in vars(kind))
        for name in ("__call__", "device_version")
    }
    return transform.device_version() if issubclass(written["device_version"], written["__call__"]) else None


def around_zero(factor: float | list[float]) -> Range:
    """Returns the bounds of a factor, of which a number f means [-f, f], as in Keras' layers."""
    return _pair(factor) if isinstance(factor, list) else (-abs(factor), abs(factor))


def from_zero(strength: float | list[float]) -> Range:
    """Returns the bounds of a strength, of which a number f means [0, f], as in Keras' layers."""
    return _pair(strength) if isinstance(strength, list) else (0.0, strength)


def exactly(value: Number | list[Number]) -> tuple[Number, Number]:
    """Returns the bounds of a value, of which a number is taken as it is."""
    return _pair(value) if isinstance(value, list) else (value, value)


def _pair(bounds: list[Number]) -> tuple[Number, Number]:
    lower, upper = bounds
    return lower, upper


def _plain(value: Any) -> Any:
    """Returns a path, a NumPy number or a sequence as a plain JSON value; `json.dumps` calls it for other values."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")
