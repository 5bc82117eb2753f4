"""The base class of transforms, and checks of their arguments."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crackexp.utils.errors import ConfigError
from crackexp.utils.files import file_digest
from crackexp.utils.source_code import source_digest

Range = tuple[float, float]
"""The bounds (lower, upper) that a number is drawn between."""


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


def number(name: str, value: Any, low: float, high: float, *, open_low: bool = False, integer: bool = False) -> float:
    """Returns an argument as a number after checking that it is one in [low, high], or (low, high] with `open_low`.

    Args:
        name: The name of the argument, for the message.
        value: The argument.
        low: The smallest allowed number.
        high: The largest allowed number.
        open_low: Whether `low` itself is refused.
        integer: Whether the number must be whole.

    Raises:
        ConfigError: The argument is no such number.
    """
    fits = (
        isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
        and not (open_low and value == low)
        and (not integer or float(value).is_integer())
    )
    if not fits:
        kind = "a whole number" if integer else "a number"
        raise ConfigError(f"`{name}` must be {kind} {_interval(low, high, open_low)}. Received: {name}={value}")
    return int(value) if integer else float(value)


def pair(
    name: str,
    value: Any,
    low: float,
    high: float,
    *,
    open_low: bool = False,
    integer: bool = False,
    ordered: bool = True,
) -> Range | None:
    """Returns an argument that is a pair (lower, upper) after checking both numbers; None where it is no sequence.

    Args:
        name: The name of the argument, for the message.
        value: The argument.
        low: The smallest allowed number.
        high: The largest allowed number.
        open_low: Whether `low` itself is refused.
        integer: Whether the numbers must be whole.
        ordered: Whether the first number must not be the larger one.

    Raises:
        ConfigError: The argument is a sequence, but not of two such numbers.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        return None
    received = f"Received: {name}={list(value)}"
    if len(value) != 2:
        raise ConfigError(f"`{name}` must be a number or a pair (lower, upper). {received}")
    first, second = (number(name, bound, low, high, open_low=open_low, integer=integer) for bound in value)
    if ordered and first > second:
        raise ConfigError(f"`{name}` must have its lower value first. {received}")
    return first, second


def around_zero(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> Range:
    """Returns the bounds of a factor, of which a number f means [-f, f], as in Keras' layers."""
    given = pair(name, value, low, high, open_low=open_low)
    if given is not None:
        return given
    factor = abs(number(name, value, low, high, open_low=open_low))
    return number(name, -factor, low, high, open_low=open_low), factor


def from_zero(name: str, value: Any, high: float) -> Range:
    """Returns the bounds of a strength, of which a number f means [0, f], as in Keras' layers."""
    given = pair(name, value, 0.0, high)
    return (0.0, number(name, value, 0.0, high)) if given is None else given


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Returns an argument after checking that it is one of `choices`.

    Raises:
        ConfigError: The argument is none of them.
    """
    if value not in choices:
        raise ConfigError(f"`{name}` must be one of {', '.join(choices)}. Received: {name}={value}")
    return str(value)


def _interval(low: float, high: float, open_low: bool) -> str:
    """Returns how a message writes the interval [low, high] or (low, high]."""
    if math.isinf(high):
        return f"of at least {low:g}"
    return f"in {'(' if open_low else '['}{low:g}, {high:g}]"


def _plain(value: Any) -> Any:
    """Returns a path, a NumPy number or a sequence as a plain JSON value; `json.dumps` calls it for other values."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")
