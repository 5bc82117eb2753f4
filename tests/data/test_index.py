import csv
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from crackexp.data import digests
from crackexp.data.classes.decisions import Classes
from crackexp.data.images.decode import CheckedFile
from crackexp.data.index import ImageIndex, build_index
from crackexp.data.sources.folder import class_members
from crackexp.utils.errors import ConfigError, DataError

DrawTree = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, draw_tree: DrawTree) -> Path:
    return draw_tree(tmp_path / "images", {"Positive": 6, "Negative": 9})


def _build(root: Path, tmp_path: Path, **arguments: object) -> ImageIndex:
    options = {"positive": "Positive", "cache": tmp_path / "cache", **arguments}
    return build_index(root, class_members(root), **options)


def test_every_image_is_listed_with_label_and_digest(root: Path, tmp_path: Path) -> None:
    index = _build(root, tmp_path)
    assert len(index) == 15
    assert index.files.tolist() == sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
    assert index.class_names == ("Negative", "Positive")
    assert index.classes.indices == [1]
    assert index.labels.dtype == np.int32
    for i in range(15):
        data = index.path(i).read_bytes()
        assert index.digests[i] == hashlib.blake2b(data, digest_size=16).hexdigest()
        assert index.class_names[index.labels[i]] == index.path(i).parent.name


def test_the_order_of_members_does_not_matter(root: Path, tmp_path: Path) -> None:
    members = class_members(root)
    groups = [path.split("/")[1][:4] for path, _ in members]
    one = build_index(root, members, "Positive", tmp_path, groups=groups)
    two = build_index(root, members[::-1], "Positive", tmp_path, groups=groups[::-1])
    assert one.fingerprint == two.fingerprint
    np.testing.assert_array_equal(one.groups, two.groups)
    assert [str(file).split("/")[1][:4] for file in two.files] == two.groups.tolist()


def test_the_fingerprint_follows_the_content_and_not_the_place(root: Path, tmp_path: Path) -> None:
    first = _build(root, tmp_path).fingerprint
    moved = shutil.copytree(root, tmp_path / "moved")
    assert len(first) == 16
    assert _build(moved, tmp_path).fingerprint == first

    members = class_members(root)
    grouped = build_index(root, members, "Positive", tmp_path, groups=["a"] * 15)
    assert grouped.fingerprint != first
    shutil.copy(root / "Positive/00001.jpg", moved / "Positive/00000.jpg")
    assert _build(moved, tmp_path).fingerprint != first
    swapped = [(file, "Negative" if name == "Positive" else "Positive") for file, name in members]
    assert build_index(root, swapped, "Positive", tmp_path).fingerprint != first


def test_subset_keeps_rows_together(root: Path, tmp_path: Path) -> None:
    groups = [f"photo {i}" for i in range(15)]
    index = build_index(root, class_members(root), "Positive", tmp_path, groups=groups)
    for rows in (np.array([7, 2]), np.isin(np.arange(15), [2, 7])):
        part = index.subset(rows)
        assert part.files.tolist() == [index.files[2], index.files[7]]
        assert part.groups.tolist() == ["photo 2", "photo 7"]
        assert part.digests.tolist() == [index.digests[2], index.digests[7]]
        assert part.class_names == index.class_names
        assert part.fingerprint != index.fingerprint


def test_only_new_and_changed_files_are_read_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = digests.check_file

    def spy(path: Path) -> CheckedFile:
        read.append(path.relative_to(root).as_posix())
        return original(path)

    monkeypatch.setattr(digests, "check_file", spy)
    first = _build(root, tmp_path)
    assert len(read) == 15
    read.clear()
    assert _build(root, tmp_path).fingerprint == first.fingerprint
    assert read == []

    changed = root / "Positive" / "00003.jpg"
    shutil.copy(root / "Negative" / "00000.jpg", changed)
    os.utime(changed, ns=(0, time.time_ns()))
    shutil.copy(changed, root / "Positive" / "new.jpg")
    second = _build(root, tmp_path)
    assert sorted(read) == ["Positive/00003.jpg", "Positive/new.jpg"]
    assert second.digests[second.files.tolist().index("Positive/00003.jpg")] == first.digests[0]


def test_a_damaged_cache_is_computed_anew(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = _build(root, tmp_path)
    (cache,) = (tmp_path / "cache" / "index").glob("*.npz")
    cache.write_bytes(cache.read_bytes()[:300])
    with caplog.at_level(logging.WARNING):
        assert _build(root, tmp_path).fingerprint == first.fingerprint
    assert "damaged" in caplog.text


def test_runs_at_once_share_a_cache(root: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(_build, root, tmp_path) for _ in range(8)]
        assert len({future.result().fingerprint for future in futures}) == 1
    left = [path.name for path in (tmp_path / "cache" / "index").iterdir()]
    assert len(left) == 1, left


def _spoil(root: Path) -> None:
    whole = (root / "Positive" / "00000.jpg").read_bytes()
    (root / "Positive" / "00000.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "Negative" / "a text.jpg").write_text("not an image")
    (root / "Negative" / "empty.png").touch()
    (root / "Negative" / "gone.jpg").symlink_to(root / "nowhere.jpg")


def test_all_bad_files_are_refused_in_one_error_with_a_table(root: Path, tmp_path: Path) -> None:
    _spoil(root)
    with pytest.raises(DataError) as caught:
        _build(root, tmp_path)
    message = str(caught.value)
    assert message.startswith("4 image files cannot be used")
    for file in ("Positive/00000.jpg", "Negative/a text.jpg", "empty.png", "gone.jpg"):
        assert file in message
    assert "dataset.on_bad_file=skip" in message
    (report,) = (tmp_path / "cache" / "index").glob("*.csv")
    assert str(report) in message
    with report.open(newline="") as stream:
        reasons = {row["file"]: row["reason"] for row in csv.DictReader(stream)}
    assert len(reasons) == 4
    assert "zero bytes" in reasons["Negative/empty.png"]
    assert "runcated" in reasons["Positive/00000.jpg"]
    assert "No such file" in reasons["Negative/gone.jpg"]


def test_a_long_list_of_bad_files_is_cut_in_the_message_only(root: Path, tmp_path: Path) -> None:
    for i in range(25):
        (root / "Negative" / f"bad {i:02d}.jpg").touch()
    with pytest.raises(DataError, match="and 5 more") as caught:
        _build(root, tmp_path)
    assert "bad 19.jpg" in str(caught.value)
    assert "bad 20.jpg" not in str(caught.value)
    (report,) = (tmp_path / "cache" / "index").glob("*.csv")
    assert len(report.read_text().splitlines()) == 26


def test_skip_leaves_bad_files_out_and_says_so(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clean = _build(root, tmp_path)
    _spoil(root)
    with caplog.at_level(logging.WARNING):
        index = _build(root, tmp_path, on_bad_file="skip")
    assert set(index.files) == set(clean.files) - {"Positive/00000.jpg"}
    (report,) = (tmp_path / "cache" / "index").glob("*.csv")
    assert "left out 4 image files" in caplog.text
    assert str(report) in caplog.text


def test_a_class_of_bad_files_alone_is_refused(root: Path, tmp_path: Path) -> None:
    for path in (root / "Positive").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="class Positive has no usable image"):
        _build(root, tmp_path, on_bad_file="skip")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_becomes_readable_is_read(root: Path, tmp_path: Path) -> None:
    locked = root / "Positive" / "00002.jpg"
    locked.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        _build(root, tmp_path)
    locked.chmod(0o644)
    assert len(_build(root, tmp_path)) == 15


def test_on_bad_file_is_one_of_two_words(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.on_bad_file=ignore"):
        _build(root, tmp_path, on_bad_file="ignore")


def test_limits_take_in_turn_from_each_class_and_are_nested(root: Path, tmp_path: Path) -> None:
    before: set[str] = set()
    for limit in range(2, 15):
        index = _build(root, tmp_path, limit=limit)
        files = set(index.files.tolist())
        assert len(files) == limit
        assert before < files
        negative, positive = np.bincount(index.labels).tolist()
        assert positive == min(6, limit // 2)
        assert negative == limit - positive
        before = files
    everything = _build(root, tmp_path).fingerprint
    assert _build(root, tmp_path, limit=100).fingerprint == everything


def test_a_limit_does_not_depend_on_the_other_files(root: Path, tmp_path: Path) -> None:
    """Chosen by a hash of the path: another file may push one out, and moves none of the rest."""
    first = set(_build(root, tmp_path, limit=8).files.tolist())
    shutil.copy(root / "Positive/00000.jpg", root / "Positive/other.jpg")
    second = set(_build(root, tmp_path, limit=8).files.tolist())
    assert second - first <= {"Positive/other.jpg"}


def test_a_limit_below_the_number_of_classes_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Received: dataset\.limit=1"):
        _build(root, tmp_path, limit=1)


def test_a_limit_reads_only_what_it_takes(root: Path, tmp_path: Path) -> None:
    kept = set(_build(root, tmp_path, limit=4).files.tolist())
    for path in root.rglob("*.jpg"):
        if path.relative_to(root).as_posix() not in kept:
            path.write_bytes(b"")
    assert set(_build(root, tmp_path, limit=4).files.tolist()) == kept


@pytest.mark.slow
def test_real_images_are_all_usable(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "mendeley-sample"
    index = build_index(root, class_members(root), "Positive", tmp_path)
    assert np.bincount(index.labels).tolist() == [2000, 2000]
    with (real_data / "mendeley-sample.manifest.csv").open(newline="") as stream:
        sha256 = {row["path"]: row["sha256"] for row in csv.DictReader(stream)}
    assert set(sha256) == set(index.files.tolist())
    digest_of = dict(zip(index.files.tolist(), index.digests.tolist(), strict=True))
    assert len(set(digest_of.values())) == len(set(sha256.values()))


def test_joined_images_lie_where_they_lay(root: Path, tmp_path: Path, draw_tree: DrawTree) -> None:
    other = draw_tree(tmp_path / "other", {"Positive": 2, "Negative": 3})
    one, two = _build(root, tmp_path), _build(other, tmp_path)
    joined = one.join(two)
    assert [joined.path(i) for i in range(20)] == [*(one.path(i) for i in range(15)), *(two.path(i) for i in range(5))]
    np.testing.assert_array_equal(joined.labels, [*one.labels, *two.labels])
    part = joined.subset(np.arange(20) >= 13)
    assert [part.path(i) for i in range(7)] == [joined.path(i) for i in range(13, 20)]
    assert one.join() is one
    assert joined.groups is None


def test_the_fingerprint_of_joined_images_does_not_tell_where_they_lie(
    root: Path, tmp_path: Path, draw_tree: DrawTree
) -> None:
    other = draw_tree(tmp_path / "other", {"Positive": 2, "Negative": 3})
    moved = shutil.copytree(other, tmp_path / "moved")
    one, two, three = (_build(folder, tmp_path) for folder in (root, other, moved))
    assert one.join(two).fingerprint == one.join(three).fingerprint
    assert len({one.fingerprint, one.join(two).fingerprint, two.join(one).fingerprint}) == 3


def test_joined_images_of_unknown_photos_are_groups_of_their_own(root: Path, tmp_path: Path) -> None:
    plain = _build(root, tmp_path)
    known = _build(root, tmp_path, groups=["wall 1"] * 15)
    assert plain.join(known).groups.tolist() == [*plain.digests.tolist(), *["wall 1"] * 15]
    assert known.join(plain).subset(np.arange(14, 16)).groups.tolist() == ["wall 1", plain.digests[0]]


def test_images_of_other_classes_are_not_joined(root: Path, tmp_path: Path) -> None:
    index = _build(root, tmp_path)
    with pytest.raises(ValueError, match="other classes"):
        index.join(index.relabel(Classes(("plain", "crack"), ("crack",))))
