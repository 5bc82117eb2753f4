"""The base class of transforms, and what their arguments mean."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, validate_call

from crackexp.config.types import Number
from crackexp.utils.errors import ConfigError
from crackexp.utils.files import file_digest
from crackexp.utils.source_code import source_digest

Range = tuple[float, float]
"""The bounds (lower, upper) that a number is drawn between."""
checked = validate_call(config=ConfigDict(strict=True, allow_inf_nan=False))
"""Holds the arguments of a constructor to its annotations, as a config does: OpenCV would take many a wrong value, and
give other pixels."""


class Transform(ABC):
    """A random change of one image; an augmentation applies several of them.

    A transform of your own inherits this class and implements `__call__`. It keeps each of its arguments as an
    attribute and nothing else, because the attributes are part of the key that embeddings of its images are stored by.

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
