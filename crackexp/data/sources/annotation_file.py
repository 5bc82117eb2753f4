"""Labels in the exports of Label Studio (JSON) and CVAT (XML)."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crackexp.data.accounting import Account
from crackexp.data.annotations.answers import AnnotatedImage, class_of
from crackexp.data.annotations.cvat import parse_cvat
from crackexp.data.annotations.finder import FileFinder
from crackexp.data.annotations.label_studio import parse_label_studio
from crackexp.data.files.listing import list_images, without_links
from crackexp.data.sources.label_table import Labelled, or_skip, shown
from crackexp.reporting.formatting import counted
from crackexp.utils.errors import DataError
from crackexp.utils.names import on_one_line

_PARSERS: Mapping[str, tuple[str, Callable[[bytes], list[AnnotatedImage]]]] = {
    ".json": ("Label Studio", parse_label_studio),
    ".xml": ("CVAT", parse_cvat),
}
ANNOTATION_SUFFIXES = frozenset(_PARSERS)
"""Lower-case suffixes of the files that are read as exports of annotation programs."""
MAX_BYTES = 1 << 28
"""The size up to which an export is read. A task takes about 1 kB, and more where an area was painted in it."""


def read_annotations(
    file: Path,
    classes: Sequence[str] | None,
    positives: Collection[str] | None,
    files_must_exist: bool,
    account: Account,
) -> list[Labelled]:
    """Reads the labels in an export of Label Studio or CVAT.

    The images are the files at any depth below the folder of the export. A file is found by the longest end of its path
    that the export names, see `FileFinder`, and its label by `class_of`.

    Args:
        file: The export: JSON or JSON-MIN of Label Studio, or XML of "CVAT for images 1.1".
        classes: The classes that count where an annotation has choices of several kinds; None for all.
        positives: The damage classes that the user typed; None to know them by their names.
        files_must_exist: Whether an image whose file does not exist is refused; otherwise it is left out.
        account: The account in which images are noted that have no label, each with the reason.

    Returns:
        The images with a label, in their order.

    Raises:
        DataError: The file is no such export, or it does not tell which files are meant.
    """
    folder = file.absolute().parent
    images = _merged(_parsed(file))
    listed = without_links({"": list_images(folder, Account())}, Account())[""]
    finder = FileFinder(folder, (image.path for image in listed))
    rows: list[Labelled] = []
    names: dict[Path, str] = {}
    problems: list[str] = []
    missing, reasons = 0, Counter[str]()
    for number, image in enumerate(images, 1):
        name = on_one_line(image.name[:200])
        found = finder.find(image.path, image.uploaded)
        only = found[0] if len(found) == 1 else None
        if only is not None and names.setdefault(only, name) != name:
            problems.append(f"{name} and {names[only]} are both {only.relative_to(folder)}")
        try:
            label = class_of(image, classes, positives)
        except ValueError as reason:
            reasons[str(reason)] += 1
            account.leave_out(only.relative_to(folder).as_posix() if only else name, str(reason), may_be_image=False)
            continue
        if only is not None:
            rows.append(Labelled(number, only, label, None, None))
        elif found:
            several = [str(path.relative_to(folder)) for path in found]
            problems.append(f"{name} could be each of {', '.join(several[:3])}{' and others' if several[3:] else ''}")
        elif files_must_exist:
            missing += 1
            problems.append(f"{name} is no file below {folder}")
        else:
            account.leave_out(name, f"no file below {folder} has this name")
    if problems:
        _refuse(file, problems, missing)
    if not rows:
        told = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
        raise DataError(
            f"None of {counted(len(images), 'image')} of the export has a label{f': {told}' if told else ''}. Where an "
            "image has several answers, name those that are classes, such as dataset.classes=[crack,sound]. "
            f"Received: dataset.path={file}"
        )
    return rows


def _parsed(file: Path) -> list[AnnotatedImage]:
    program, parse = _PARSERS[file.suffix.lower()]
    try:
        size = file.stat().st_size
        data = file.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise DataError(f"The export cannot be read ({error.strerror}). Received: dataset.path={file}") from error
    if size > MAX_BYTES:
        raise DataError(
            f"The export has {size / 1e6:,.0f} MB, and at most {MAX_BYTES / 1e6:,.0f} MB are read. Export fewer tasks "
            f"at once. Received: dataset.path={file}"
        )
    try:
        return parse(data)
    except ValueError as error:
        wanted = "JSON or JSON-MIN" if program == "Label Studio" else "CVAT for images 1.1"
        raise DataError(
            f"This is no export of {program} that can be read: {on_one_line(str(error))}. Export the labels as "
            f"{wanted}. Received: dataset.path={file}"
        ) from None


def _merged(images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """Returns each image once, with all its answers."""
    by_path: dict[str, AnnotatedImage] = {}
    for image in images:
        first = by_path.get(image.path)
        if first is not None:
            answers, skipped = first.answers + image.answers, first.skipped or image.skipped
            image = replace(first, answers=answers, skipped=skipped)
        by_path[image.path] = image
    return list(by_path.values())


def _refuse(file: Path, problems: Sequence[str], missing: int) -> None:
    raise DataError(
        f"{counted(len(problems), 'image')} of the export {'does' if len(problems) == 1 else 'do'} not lead to one "
        f"file:{shown(problems)}\nPut the export into the folder of its images, with the names and folders that they "
        f"had when they were labelled{or_skip(missing)}. Received: dataset.path={file}"
    )
