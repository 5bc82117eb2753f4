"""Faults of disks and folders, which a user can correct, found behind the errors of any library."""

import errno
from collections.abc import Iterator

FULL = "There is no room left on the disk"
_REASONS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: "The quota of the disk is used up",
    errno.EROFS: "The disk is read-only",
    errno.EACCES: "Permission is denied",
    errno.EPERM: "Permission is denied",
    errno.ENOTDIR: "There is a file where a folder is needed",
    errno.EEXIST: "There is a file where a folder is needed",
}
_TEXTS = {
    "no space left": FULL,
    "disk is full": FULL,
    "errno = 28": FULL,
    " requested and ": FULL,  # how NumPy says that a write was cut short
    "readonly database": "The disk is read-only",
}


def explain_fault(error: BaseException) -> str | None:
    """Returns what is wrong with a disk or a folder and what to do, or None where no such fault caused `error`.

    Libraries such as h5py, NumPy and SQLAlchemy wrap such a fault in errors of their own, so all causes of the error
    and their texts are searched.

    Args:
        error: The exception that ended the program.
    """
    for cause in _causes(error):
        reason = _REASONS.get(cause.errno or 0) if isinstance(cause, OSError) else None
        file = cause.filename if isinstance(cause, OSError) else None
        if reason is None:
            reason = next((reason for text, reason in _TEXTS.items() if text in str(cause).lower()), None)
        if reason is not None:
            where = str(file) if file else str(cause).splitlines()[0][:300]
            return (
                f"{reason}. Fix that, or choose another place by paths.cache, hydra.run.dir or tracking.uri. "
                f"Received: {where}"
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
