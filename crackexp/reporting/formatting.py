"""How numbers are written wherever people read them: on the terminal, in a description, on a page, in a figure."""

import math
from collections.abc import Iterable


def number(value: float) -> str:
    """Returns a score in [0, 1] with four digits; a score that is nearly 1 is not rounded to 1.

    Example:

    >>> number(0.98765), number(0.999999)
    ('0.9877', '> 0.9999')
    """
    return "> 0.9999" if 0.99995 <= value < 1 else f"{value:.4f}"


def ends_text(low: float, high: float, missing: str = "none") -> str:
    """Returns the ends of an interval, such as "0.9000 to 0.9500"; `missing` where an interval is nan.

    Example:

    >>> ends_text(0.9, 0.95)
    '0.9000 to 0.9500'
    """
    return missing if math.isnan(low) else f"{number(low)} to {number(high)}"


def p_text(p: float) -> str:
    """Returns a p-value, such as "p = 0.012" or "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def seconds_text(seconds: float) -> str:
    """Returns a duration, such as "12 s", "3.4 min" or "2.1 h"; "unknown" for nan."""
    if math.isnan(seconds):
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def percent(share: float) -> str:
    """Returns a share in percent; a share that is nearly all or nothing is not rounded to it.

    Example:

    >>> percent(0.123), percent(0.9999)
    ('12.3%', '> 99.9%')
    """
    if 0.9995 <= share < 1:
        return "> 99.9%"
    if 0 < share < 0.0005:
        return "< 0.1%"
    return f"{100 * share:.1f}%"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Returns a count with its noun.

    Args:
        count: The count.
        noun: The noun in the singular.
        plural: The noun in the plural; None for the singular with an s.

    Example:

    >>> counted(1, "image"), counted(1200, "image"), counted(2, "patch", "patches")
    ('1 image', '1,200 images', '2 patches')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def listed(names: Iterable[str], separator: str = ", ") -> str:
    """Returns names as "a, b and c"; of more than eight names the first seven and how many more there are.

    Args:
        names: At least one name.
        separator: The text between all names but the last two.
    """
    names = list(names)
    if len(names) > 8:
        names = [*names[:7], f"{len(names) - 7} more"]
    return names[0] if len(names) == 1 else f"{separator.join(names[:-1])} and {names[-1]}"


def shortened(text: str, length: int) -> str:
    """Returns a text of at most `length` characters; the middle of a longer text is replaced by an ellipsis."""
    if len(text) <= length:
        return text
    tail = (length - 1) * 2 // 3
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"
