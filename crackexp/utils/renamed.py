"""Names that were changed, and work for one more version."""

import logging
from functools import cache
from typing import TypeVar

T = TypeVar("T", bound=type)
_log = logging.getLogger(__name__)


def renamed(old: str, found: T) -> T:
    """Returns the class that an old dotted name stands for, with a warning that says its new name.

    Example:
        >>> from collections import OrderedDict
        >>> renamed("crackexp.utils.Table", OrderedDict).__name__
        'OrderedDict'
    """
    _warn(old, f"{found.__module__}.{found.__qualname__}")
    return found


@cache
def _warn(old: str, new: str) -> None:
    _log.warning("%s has a new name, and the old one goes with the next version. Type %s.", old, new)
