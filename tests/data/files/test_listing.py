"""Which files below a folder are images, and that every other file is accounted for."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from crackexp.data.accounting import Account
from crackexp.data.files.listing import list_images
from crackexp.data.index import ImageIndex, build_index
from crackexp.data.sources.folder import class_members
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.utils.errors import DataError

DrawTree = Callable[..., Path]


def listed(folder: Path) -> tuple[list[str], Account]:
    account = Account()
    images = list_images(folder, account)
    return [str(image.path.relative_to(folder)) for image in images], account


def dataset(root: Path, cache: Path, **options: object) -> ImageIndex:
    given = {"positive": None, "limit": None, "on_bad_file": "error", **options}
    return ImageFolder(name="folder", path=root, cache=cache, **given).prepare()


def left_out(account: Account, folder: Path) -> dict[str, str]:
    return {os.path.relpath(one.file, folder): one.reason for one in account.left_out}


def test_every_file_is_used_left_out_or_ignored(tmp_path: Path, draw_tree: DrawTree) -> None:
    draw_tree(tmp_path, {".": 2, "deep": 1})
    jpeg = (tmp_path / "00000.jpg").read_bytes()
    for name in ("photo.DNG", "drawing.psd", "unnamed", "photo.jpg_large", "notes.txt", ".DS_Store", "._a.jpg"):
        (tmp_path / name).write_bytes(jpeg if name in ("unnamed", "photo.jpg_large") else b"other")
    os.mkfifo(tmp_path / "pipe.jpg")
    images, account = listed(tmp_path)
    assert images == ["00000.jpg", "00001.jpg", "deep/00000.jpg"]
    reasons = left_out(account, tmp_path)
    assert "camera raw" in reasons.pop("photo.DNG")
    assert "not read" in reasons.pop("drawing.psd")
    assert "JPEG by its content" in reasons.pop("unnamed")
    assert "JPEG by its content" in reasons.pop("photo.jpg_large")
    assert "regular file" in reasons.pop("pipe.jpg")
    assert reasons == {}
    assert account.ignored == {".txt": 1, ".DS_Store": 1, ".jpg": 1}
    assert account.exit_status == 3


def test_annotations_and_litter_alone_leave_the_status_at_0(tmp_path: Path, draw_tree: DrawTree) -> None:
    draw_tree(tmp_path, {".": 1})
    for name in ("Thumbs.db", "labels.csv", "a.xml", "b.json", "video.mp4", ".git/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    images, account = listed(tmp_path)
    assert images == ["00000.jpg"]
    assert account.ignored.total() == 6
    assert account.exit_status == 0


@pytest.mark.parametrize("name", ["00000_mask.png", "00000-gt.png", "00000 Mask.PNG", "00000_label.tif"])
def test_a_mask_beside_its_image_is_told(tmp_path: Path, draw_tree: DrawTree, name: str) -> None:
    draw_tree(tmp_path, {".": 1})
    draw_tree(tmp_path / "other", {".": 1}, suffix=".png")
    (tmp_path / "other" / "00000.png").rename(tmp_path / name)
    draw_tree(tmp_path / "other", {".": 1}, suffix="_mask.png")
    images, account = listed(tmp_path)
    assert images == ["00000.jpg", "other/00000_mask.png"], "one without its image may be a picture of its own"
    assert "mask of 00000" in left_out(account, tmp_path)[name]


def test_a_link_that_leads_back_is_told_and_not_followed(tmp_path: Path, draw_tree: DrawTree) -> None:
    draw_tree(tmp_path / "a", {"crack": 2, "sound": 2})
    (tmp_path / "a" / "crack" / "up").symlink_to("..")
    (tmp_path / "a" / "crack" / "again").symlink_to("../sound")
    (tmp_path / "a" / "back").symlink_to("..")
    (tmp_path / "a" / "third").symlink_to("sound")
    account = Account()
    members = class_members(tmp_path / "a", account)
    assert [name for _, name in members] == ["crack", "crack", "sound", "sound"]
    assert sorted(one.file for one in account.left_out) == ["back", "crack/again", "crack/up", "third"]
    assert account.exit_status == 0


def test_no_image_has_two_labels_through_links(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 2, "sound": 2})
    outside = draw_tree(tmp_path / "b", {".": 1}) / "00000.jpg"
    (root / "crack" / "from sound.jpg").symlink_to(root / "sound" / "00001.jpg")
    (root / "crack" / "twice.jpg").symlink_to(root / "crack" / "00001.jpg")
    (root / "crack" / "x.jpg").symlink_to(outside)
    (root / "sound" / "y.jpg").symlink_to(outside)
    account = Account()
    members = class_members(root, account)
    assert [file for file, _ in members] == ["crack/00000.jpg", "crack/00001.jpg", "sound/00000.jpg", "sound/00001.jpg"]
    reasons = {one.file: one.reason for one in account.left_out}
    assert set(reasons) == {"crack/from sound.jpg", "crack/twice.jpg", "crack/x.jpg", "sound/y.jpg"}
    assert "crack, sound" in reasons["sound/y.jpg"]
    assert account.exit_status == 3, "the image outside is in no class now"


def test_classes_that_link_to_one_folder_are_refused_with_the_reason(tmp_path: Path, draw_tree: DrawTree) -> None:
    draw_tree(tmp_path, {"pool": 2, "a": 0})
    for name in ("crack", "sound"):
        (tmp_path / "a" / name).symlink_to("../pool")
    with pytest.raises(DataError, match="links"):
        class_members(tmp_path / "a")


def test_a_class_that_is_a_link_gives_way_to_the_folder_itself(tmp_path: Path, draw_tree: DrawTree) -> None:
    """Of a set whose parts are links to each other, each image keeps the label of the folder that it lies in."""
    root = draw_tree(tmp_path / "a", {"train/crack": 2, "train/sound": 2, "test/crack": 2})
    (root / "test" / "sound").symlink_to("../train/crack")
    index = dataset(root, tmp_path, merge_parts=True)
    assert Counter(index.labels.tolist()) == {0: 4, 1: 2}
    assert {one.file for one in index.account.left_out} == {"test/sound/00000.jpg", "test/sound/00001.jpg"}
    assert index.account.exit_status == 0


def test_a_link_into_another_class_of_another_part_has_no_second_label(tmp_path: Path, draw_tree: DrawTree) -> None:
    parts = {f"{part}/{name}": 2 for part in ("train", "test") for name in ("crack", "sound")}
    root, outside = draw_tree(tmp_path / "a", parts), draw_tree(tmp_path / "b", {".": 1}) / "00000.jpg"
    (root / "test" / "sound" / "x.jpg").symlink_to(root / "train" / "crack" / "00000.jpg")
    (root / "test" / "crack" / "same.jpg").symlink_to(root / "train" / "crack" / "00001.jpg")
    index = dataset(root, tmp_path)
    assert len(index) == 9, "an image may stand in two parts"
    assert [one.file for one in index.account.left_out] == ["test/sound/x.jpg"]
    (root / "train" / "crack" / "out.jpg").symlink_to(outside)
    (root / "test" / "sound" / "out.jpg").symlink_to(outside)
    with pytest.raises(DataError, match=r"2 image files cannot be used:(.|\n)*crack, sound"):
        dataset(root, tmp_path)


def test_a_link_that_leads_nowhere_is_told_unless_it_was_no_image(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 2, "sound": 2})
    for name in ("spalling", "crack/site2", "crack/notes.txt"):
        (root / name).symlink_to("/nowhere")
    account = Account()
    assert len(class_members(root, account)) == 4
    assert {one.file for one in account.left_out} == {"spalling", "crack/site2"}
    assert account.exit_status == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
@pytest.mark.parametrize("mode", [0, 0o444])
def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path, draw_tree: DrawTree, mode: int) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 1, "crack/deep": 1, "sound": 1})
    (root / "crack" / "deep").chmod(mode)
    try:
        index = dataset(root, tmp_path, on_bad_file="skip")
    finally:
        (root / "crack" / "deep").chmod(0o755)
    assert len(index) == 2
    assert ["Permission denied" in one.reason for one in index.account.left_out] == [True]
    assert index.account.exit_status == 3


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP", "AVIF", "PNG", "GIF", "JPEG2000"])
def test_images_without_a_suffix_are_told_by_their_content(tmp_path: Path, draw_tree: DrawTree, kind: str) -> None:
    draw_tree(tmp_path, {".": 1})
    with Image.open(tmp_path / "00000.jpg") as image, (tmp_path / "IMG").open("wb") as stream:
        image.save(stream, kind, **({"no_jp2": True} if kind == "JPEG2000" else {}))
    assert "by its content" in left_out(listed(tmp_path)[1], tmp_path)["IMG"]


def test_the_same_bytes_in_two_classes_are_told_by_both_names(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 3, "sound": 3})
    (root / "sound" / "zz.jpg").write_bytes((root / "crack" / "00002.jpg").read_bytes())
    index = build_index(root, class_members(root), "crack", tmp_path / "cache")
    told = {one.file: one.reason for one in index.account.doubts}
    assert "sound in sound/zz.jpg" in told["crack/00002.jpg"]
    assert "crack in crack/00002.jpg" in told["sound/zz.jpg"]
    assert index.account.counts == {"used": 7, "left_out": 0, "doubted": 2, "ignored": 0}
    assert index.account.exit_status == 0


def test_doubts_are_told_again_when_nothing_is_read_again(tmp_path: Path, draw_tree: DrawTree) -> None:
    from PIL import Image

    root = draw_tree(tmp_path / "a", {"crack": 1, "sound": 1})
    pages = [Image.open(root / "crack" / "00000.jpg"), Image.open(root / "sound" / "00000.jpg")]
    pages[0].save(root / "crack" / "pages.tif", save_all=True, append_images=pages[1:])
    for _ in range(2):
        index = build_index(root, class_members(root), "crack", tmp_path / "cache")
        assert [(one.file, "2 pages" in one.reason) for one in index.account.doubts] == [("crack/pages.tif", True)]


def test_a_folder_without_images_is_no_class(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 2, "sound": 2})
    (root / "annotations").mkdir()
    (root / "annotations" / "a.xml").touch()
    account = Account()
    assert {name for _, name in class_members(root, account)} == {"crack", "sound"}
    assert [one.file for one in account.left_out] == ["annotations"]
    assert account.ignored == {".xml": 1}
    assert account.exit_status == 0


def test_classes_are_chosen_by_name(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 2, "sound": 2, "masks": 2})
    account = Account()
    assert {name for _, name in class_members(root, account, ["crack", "sound"])} == {"crack", "sound"}
    assert [one.file for one in account.left_out] == ["masks"]
    with pytest.raises(DataError, match=r"no folder cracked.*Choose from: crack, masks, sound"):
        class_members(root, account, ["cracked", "sound"])


def test_what_a_limit_leaves_is_counted(tmp_path: Path, draw_tree: DrawTree) -> None:
    root = draw_tree(tmp_path / "a", {"crack": 5, "sound": 5})
    index = build_index(root, class_members(root), "crack", tmp_path / "cache", limit=4)
    assert index.account.used == 4
    assert index.account.ignored == {"beyond dataset.limit": 6}
