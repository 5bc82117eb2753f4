"""Lists the files below a folder: the images, and the reasons why the others are none."""

import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crackexp.data.accounting import Account
from crackexp.data.images.decode import describe

IMAGE_SUFFIXES = frozenset(
    {".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf"}
    | {".jpg", ".jpx", ".mpo", ".png", ".tif", ".tiff", ".webp"}
)
"""Lower-case suffixes of the files that are read as images."""

_RAW = {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".gpr", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef"} | {
    ".raf",
    ".raw",
    ".rw2",
    ".srw",
    ".x3f",
}
_OTHER_IMAGES = {".dcm", ".dds", ".ecw", ".eps", ".exr", ".hdr", ".jxl", ".jxr", ".pam", ".pbm", ".pcx", ".pgm"} | {
    ".pnm",
    ".ppm",
    ".psb",
    ".psd",
    ".sid",
    ".svg",
    ".tga",
}
_UNREAD = {
    **dict.fromkeys(_RAW, "a camera raw file; export it as JPEG or TIFF"),
    **dict.fromkeys(_OTHER_IMAGES, "a kind of image that is not read; save it as PNG, JPEG or TIFF"),
}
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_HEIF_BRANDS = (b"hei", b"hev", b"mif", b"msf", b"avi")
_LITTER = frozenset({"__MACOSX", "@eaDir", "Thumbs.db", "ehthumbs.db", "desktop.ini", "$RECYCLE.BIN"})
_MASK_ENDINGS = ("mask", "masks", "gt", "groundtruth", "ground_truth", "label", "labels", "seg", "annotation")


@dataclass(frozen=True)
class FoundImage:
    """An image file below a folder.

    Attributes:
        path: The path by which it was found.
        real: The same file with all symbolic links resolved.
        linked: Whether the file, the folder that was listed, or a folder between them is a symbolic link.
    """

    path: Path
    real: str
    linked: bool


def is_file(path: Path) -> bool:
    """Returns whether a path is a file; unlike pathlib, False where a folder above it cannot be read."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Returns whether a path is a folder; False where a folder above it cannot be read."""
    return os.path.isdir(path)  # noqa: PTH112


def is_link(path: Path) -> bool:
    """Returns whether a path is a symbolic link; False where a folder above it cannot be read."""
    return os.path.islink(path)  # noqa: PTH114


def is_litter(name: str) -> bool:
    """Returns whether a file or folder is, by its name, hidden or left by an operating system."""
    return name.startswith(".") or name in _LITTER


def is_image(path: Path, account: Account, beside: Collection[str] = ()) -> bool:
    """Returns whether a file is read as an image, and notes it where it is not. The user did not name the file.

    Args:
        path: The file.
        account: The account in which a file that is not read is noted.
        beside: The names without suffixes of the files in the same folder.
    """
    suffix = path.suffix.lower()
    readable = suffix in IMAGE_SUFFIXES
    if is_litter(path.name):
        account.ignore(str(path))
        return False
    if suffix in _UNREAD:
        account.leave_out(str(path), _UNREAD[suffix])
        return False
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        kind = None if readable or not regular else _kind(path)
    except OSError as error:  # such as a broken link; reading an image tells why
        regular, kind = True, None
        if not suffix:  # it may have led to an image or to a folder of them
            account.leave_out(str(path), describe(error))
            return False
    if kind:
        account.leave_out(str(path), f"{kind} by its content; give its name the suffix of that kind")
    elif not readable:
        account.ignore(str(path))
    elif not regular:
        account.leave_out(str(path), "not a regular file")
    elif image := _masked(path.stem, beside):
        reason = f"by its name the mask of {image}, which is beside it"
        account.leave_out(str(path), reason, may_be_image=False)
    else:
        return True
    return False


def list_images(folder: Path, account: Account, inside: Collection[str] = ()) -> list[FoundImage]:
    """Lists the image files below a folder, through symbolic links, each folder once.

    What is not listed is noted in `account`: files of kinds that are not read, images with another kind of name, masks
    that lie beside their image (``a_mask.png`` beside ``a.jpg``), links that lead back, folders that cannot be read.
    Hidden files and files that are no images are counted.

    Args:
        folder: The folder.
        account: The account in which the other files are noted, by their paths.
        inside: Real paths of folders that are listed anyway; a link to a folder in one of them, or above one, is not
            followed. `folder` is always among them.

    Returns:
        The images, in the order of a sorted walk.
    """
    top = os.path.realpath(folder)
    own = Path(os.path.realpath(Path(folder).absolute().parent), Path(folder).absolute().name)
    listed = {top, *inside}
    entered: set[str] = set()
    images: list[FoundImage] = []

    def refuse(error: OSError) -> None:
        account.leave_out(str(error.filename), describe(error))

    for parent, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(parent)
        if real in entered:
            account.leave_out(parent, f"a link to {real}, which is read already", may_be_image=False)
            folders.clear()
            continue
        entered.add(real)
        for name in sorted(folders):
            child = Path(parent, name)
            if is_litter(name):
                account.ignore(f"{child}/")
            elif is_link(child) and (reason := _leads_back(child, listed)):
                account.leave_out(str(child), reason, may_be_image=False)
            else:
                continue
            folders.remove(name)
        folders.sort()
        linked = real != str(Path(own, os.path.relpath(parent, folder)))
        beside = {Path(name).stem for name in files}
        for path in (Path(parent, name) for name in sorted(files)):
            if not is_image(path, account, beside):
                continue
            if is_link(path):
                images.append(FoundImage(path, os.path.realpath(path), True))
            else:
                images.append(FoundImage(path, f"{real}{os.sep}{path.name}", linked))
    return images


def without_links(listed: Mapping[str, Sequence[FoundImage]], account: Account) -> dict[str, list[FoundImage]]:
    """Leaves out links to files that are listed anyway, so that each file is listed once, and has one label.

    Where several paths lead to one file, the one that is no link is kept. Where all are links, the first one is kept,
    unless the paths are in several classes: then none is, because the class of the image is not known.

    Args:
        listed: The images of each class.
        account: The account in which the links that are left out are noted.
    """
    paths: dict[str, list[tuple[str, FoundImage]]] = {}
    for name, images in listed.items():
        for image in images:
            paths.setdefault(image.real, []).append((name, image))
    kept: dict[str, Path | None] = {}
    for real, linked in paths.items():
        own = [image.path for _, image in linked if not image.linked]
        unambiguous = len(own) == 1 or len({name for name, _ in linked}) == 1
        kept[real] = [*own, linked[0][1].path][0] if unambiguous else None
    remaining: dict[str, list[FoundImage]] = {}
    for name, images in listed.items():
        remaining[name] = [image for image in images if kept[image.real] == image.path]
        for image in (image for image in images if kept[image.real] != image.path):
            reason = f"a link to {image.real}, which is read already"
            if kept[image.real] is None:
                classes = ", ".join(sorted({other for other, _ in paths[image.real]}))
                reason = f"a link to {image.real}, which the classes {classes} link to"
            account.leave_out(str(image.path), reason, may_be_image=kept[image.real] is None)
    return remaining


def subfolders(folder: Path) -> list[Path]:
    """Returns the folders in a folder, sorted, without those that are hidden or left by an operating system.

    A folder that does not exist or cannot be read has none; the listing of its images tells the reason.
    """
    try:
        children = sorted(folder.iterdir())
    except OSError:
        return []
    return [child for child in children if is_folder(child) and not is_litter(child.name)]


def nested_folders(folder: Path) -> Iterator[Path]:
    """Yields a folder and its folders down to two levels, because archives often wrap their content in folders."""
    yield folder
    for pattern in ("*/", "*/*/"):
        yield from (child for child in sorted(folder.glob(pattern)) if not is_litter(child.name))


def _leads_back(link: Path, listed: Collection[str]) -> str | None:
    """Returns why a link is not followed: it leads into a folder of `listed`, or to one that holds it; else None."""
    target = Path(os.path.realpath(link))
    if any(target.is_relative_to(other) for other in listed):
        return f"a link to {target}, which is read already"
    if any(Path(other).is_relative_to(target) for other in listed):
        return f"a link back to {target}, which holds this folder"
    return None


def _kind(path: Path) -> str | None:
    """Returns the format of an image by the beginning of its file; None where it is not known."""
    with path.open("rb") as stream:
        head = stream.read(18)
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return "HEIC or AVIF" if head[4:8] == b"ftyp" and head[8:11] in _HEIF_BRANDS else None


def _masked(stem: str, beside: Collection[str]) -> str | None:
    """Returns the name of the image whose mask a file is by its own name, `stem`; None where it is no mask."""
    lower = stem.lower()
    for ending in _MASK_ENDINGS:
        image = stem[: -len(ending)].rstrip("_-. ")
        if lower.endswith(ending) and len(image) + len(ending) < len(stem) and image in beside:
            return image
    return None
