"""What every transform is: a function of an image and a generator that can describe itself."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crackexp.errors import ConfigError
from crackexp.files import file_digest
from crackexp.sources import source_digest

Range = tuple[float, float]


class Transform(ABC):
    """A random change of one image.

    A subclass keeps each of its arguments as an attribute and nothing else, because the attributes
    are its description, and the description names what is stored of its views.

    Attributes:
        version: of crackexp's own transforms, raised by one whenever the same arguments begin to give other
            pixels, so that stored embeddings of the old pixels are not taken for the new. Of a transform of your
            own the source itself tells, see `source_digest`.
    """

    version: int = 1

    @abstractmethod
    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns a changed image.

        Args:
            image: (H, W, 3) uint8 RGB; not to be written to.
            rng: the only source of chance; equal generators give equal results.

        Returns:
            (H, W, 3) uint8 of the same shape; may be `image` itself where nothing changes.
        """

    def describe(self) -> dict[str, Any]:
        """Returns class path, version and arguments as plain JSON values; of a class of your own its source too.

        Raises:
            ConfigError: an attribute has no plain JSON value.
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
    """Returns `value` checked to be a number in [low, high], or (low, high] with `open_low`.

    Raises:
        ConfigError: it is not.
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
    """Returns a (lower, upper) argument checked part by part, or None where `value` is no pair.

    Raises:
        ConfigError: `value` is a sequence, but not of two numbers in range, the lower one first.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        return None
    received = f"Received: {name}={list(value)}"
    if len(value) != 2:
        raise ConfigError(f"`{name}` must be a number or a pair (lower, upper). {received}")
    first, second = (number(name, part, low, high, open_low=open_low, integer=integer) for part in value)
    if ordered and first > second:
        raise ConfigError(f"`{name}` must have its lower value first. {received}")
    return first, second


def around_zero(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> Range:
    """Returns the range of a factor: a number f means [-f, f], as in Keras' layers."""
    given = pair(name, value, low, high, open_low=open_low)
    if given is not None:
        return given
    factor = abs(number(name, value, low, high, open_low=open_low))
    return number(name, -factor, low, high, open_low=open_low), factor


def from_zero(name: str, value: Any, high: float) -> Range:
    """Returns the range of a strength: a number f means [0, f], as in Keras' layers."""
    given = pair(name, value, 0.0, high)
    return (0.0, number(name, value, 0.0, high)) if given is None else given


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Returns `value` checked to be one of `choices`.

    Raises:
        ConfigError: it is not.
    """
    if value not in choices:
        raise ConfigError(f"`{name}` must be one of {', '.join(choices)}. Received: {name}={value}")
    return str(value)


def _interval(low: float, high: float, open_low: bool) -> str:
    if math.isinf(high):
        return f"of at least {low:g}"
    return f"in {'(' if open_low else '['}{low:g}, {high:g}]"


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")
