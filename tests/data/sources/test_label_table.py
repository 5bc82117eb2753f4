"""Tables of labels, as people and programs write them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crackexp.data.index import ImageIndex
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.utils.errors import DataError

DrawTree = Callable[..., Path]


@pytest.fixture
def images(tmp_path: Path, draw_tree: DrawTree) -> Path:
    """Six images, numbered from 00000.jpg, in a folder beside the tables."""
    draw_tree(tmp_path / "set", {"images": 6})
    return tmp_path / "set"


def prepare(table: Path, **options: object) -> ImageIndex:
    given = {"positive": None, "limit": None, "on_bad_file": "error", **options}
    return ImageFolder(name="folder", path=table, cache=table.parent.parent / "cache", **given).prepare()


def write(folder: Path, text: str, encoding: str = "utf-8", name: str = "labels.csv") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def rows(*extra: str, header: str = "file,label", separator: str = ",") -> str:
    """Returns a table of six images, crack and sound in turn, with what `extra` says in further columns."""
    cells = [[f"images/{i:05d}.jpg", ("crack", "sound")[i % 2], *([extra[i]] if extra else [])] for i in range(6)]
    return "\n".join([header, *(separator.join(row) for row in cells)])


def labels(index: ImageIndex) -> list[str]:
    return [index.class_names[label] for label in index.labels]


def test_labels_are_those_of_the_table(images: Path) -> None:
    index = prepare(write(images, rows()))
    assert index.files.tolist() == [f"images/{i:05d}.jpg" for i in range(6)]
    assert labels(index) == ["crack", "sound"] * 3
    assert index.positives == ("crack",)
    assert index.parts is None
    assert index.groups is None


def test_split_and_group_are_read_where_they_stand(images: Path) -> None:
    given = ["train,a", "Training,a", "valid,b", "val,b", "test,c", "TEST,c"]
    index = prepare(write(images, rows(*given, header="Image Path,Class,Split,Photo")))
    assert index.parts.tolist() == ["train", "train", "val", "val", "test", "test"]
    assert index.groups.tolist() == list("aabbcc")


@pytest.mark.parametrize(
    ("separator", "encoding", "name"),
    [
        (";", "utf-8", "labels.csv"),
        ("\t", "utf-8", "labels.tsv"),
        (",", "utf-8-sig", "a.csv"),
        (",", "utf-16", "a.CSV"),
    ],
)
def test_what_spreadsheets_write_is_read(images: Path, separator: str, encoding: str, name: str) -> None:
    text = rows(header=f"file{separator}label", separator=separator)
    index = prepare(write(images, text.replace("\n", "\r\n") + "\r\n\r\n", encoding, name))
    assert labels(index) == ["crack", "sound"] * 3


def test_paths_may_be_absolute_or_lead_elsewhere_or_come_from_windows(images: Path, draw_tree: DrawTree) -> None:
    elsewhere = draw_tree(images.parent / "other", {"x": 2})
    paths = [str(elsewhere / "x/00000.jpg"), "../other/x/00001.jpg", "images\\\\00000.jpg".replace("\\\\", "\\")]
    lines = [f"{path},{name}" for path, name in zip(paths, ("crack", "sound", "crack"), strict=True)]
    index = prepare(write(images, "\n".join(["file,label", *lines])))
    assert index.root == images.parent
    assert index.files.tolist() == ["other/x/00000.jpg", "other/x/00001.jpg", "set/images/00000.jpg"]
    assert all(index.path(i).is_file() for i in range(3))


def test_one_column_for_each_class_does_as_well(images: Path) -> None:
    lines = [f"images/{i:05d}.jpg, {i % 2}, {1 - i % 2}" for i in range(6)]
    index = prepare(write(images, "\n".join(["filename, crack, sound", *lines])))
    assert labels(index) == ["sound", "crack"] * 3


def test_a_file_has_one_label_through_links_too(images: Path) -> None:
    (images / "images" / "link.jpg").symlink_to("00000.jpg")
    with pytest.raises(DataError, match=r"line 8: .*link.jpg.* is sound here and crack on line 2"):
        prepare(write(images, f"{rows()}\nimages/link.jpg,sound"))
    assert len(prepare(write(images, f"{rows()}\nimages/link.jpg,crack"))) == 6


def test_images_beside_those_that_a_table_names_are_told(images: Path, draw_tree: DrawTree) -> None:
    shutil.copy(images / "images" / "00000.jpg", images / "images" / "unnamed.jpg")
    (images / "images" / "link.jpg").symlink_to("00001.jpg")
    (images / "images" / "notes.txt").touch()
    (images / "images" / "raw.dng").touch()
    draw_tree(images, {"unlabelled": 2})
    account = prepare(write(images, rows())).account
    told = {one.file: one.reason for one in account.left_out}
    assert set(told) == {"images/unnamed.jpg", "images/raw.dng"}
    assert "labels.csv does not name it" in told["images/unnamed.jpg"]
    assert account.counts == {"used": 6, "left_out": 2, "doubted": 0, "ignored": 1}
    assert account.exit_status == 0


def test_skipping_is_proposed_for_missing_files_alone(images: Path) -> None:
    for row, proposed in (("images/9.jpg,crack", True), ("images/00000.jpg,sound", False)):
        with pytest.raises(DataError) as caught:
            prepare(write(images, f"{rows()}\n{row}"))
        assert ("on_bad_file=skip" in str(caught.value)) is proposed


def test_rows_that_repeat_each_other_count_once(images: Path) -> None:
    assert len(prepare(write(images, f"{rows()}\nimages/00000.jpg,crack\n./images/00001.jpg,sound"))) == 6


def test_images_without_a_clear_answer_are_left_out_with_the_reason(images: Path) -> None:
    text = rows().replace("00004.jpg,crack", "00004.jpg,Unsure").replace("00005.jpg,sound", "00005.jpg,")
    index = prepare(write(images, text))
    assert index.files.tolist() == [f"images/{i:05d}.jpg" for i in range(4)]
    assert [(one.file, one.reason) for one in index.account.left_out] == [
        ("images/00004.jpg", "the answer is unsure"),
        ("images/00005.jpg", "it has no label"),
    ]
    assert index.account.exit_status == 0


def test_unsure_is_a_class_where_it_is_named(images: Path) -> None:
    table = write(images, rows().replace("00004.jpg,crack", "00004.jpg,unsure"))
    assert prepare(table, classes=["sound", "unsure"], positive="unsure").class_names == ("sound", "unsure")


def test_a_table_of_unsure_answers_is_refused(images: Path) -> None:
    with pytest.raises(DataError, match="no row with a class"):
        prepare(write(images, rows().replace(",crack", ",unsure").replace(",sound", ",")))


WRONG = {
    "a file that is not there": ("images/9.jpg,crack", "line 8: .*images/9.jpg"),
    "two labels": ("images/00000.jpg,sound", "line 8: 00000.jpg is sound here and crack on line 2"),
    "a label and none": ("images/00000.jpg,", "line 8: 00000.jpg is without a label here and crack on line 2"),
    "no file": (",crack", "line 8: no file"),
    "too few cells": ("images/00000.jpg", "line 8: 1 cells instead of 2"),
    "a null character": ("images/0\0.jpg,crack", "line 8: a null character"),
    "an open quote": ('"images/00000.jpg,crack', "line 8: 1 cells"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_row_is_named(images: Path, name: str) -> None:
    row, said = WRONG[name]
    table = write(images, f"{rows()}\n{row}")
    with pytest.raises(DataError, match=said) as caught:
        prepare(table)
    assert f"Received: {table}" in str(caught.value)


def test_an_unknown_part_and_two_parts_of_one_file_are_named(images: Path) -> None:
    given = ["train", "holdout", "", "val", "test", "test"]
    table = write(images, rows(*given, header="file,label,split") + "\nimages/00000.jpg,crack,test")
    with pytest.raises(DataError, match="3 rows") as caught:
        prepare(table)
    for said in ("line 3: .*holdout", "line 4: .*empty", "line 8: .*test.*train.*on line 2"):
        assert caught.match(said)


def test_missing_files_can_be_left_out_as_bad_files_are(images: Path) -> None:
    table = write(images, f"{rows()}\nimages/9.jpg,crack")
    index = prepare(table, on_bad_file="skip")
    assert len(index) == 6
    assert [one.file for one in index.account.left_out] == ["images/9.jpg"]
    assert index.account.exit_status == 3


def test_a_long_list_of_wrong_rows_is_cut(images: Path) -> None:
    lines = "\n".join(f"images/no {i}.jpg,crack" for i in range(25))
    with pytest.raises(DataError, match="and 5 more"):
        prepare(write(images, f"{rows()}\n{lines}"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("file,label\n", "no rows"),
        ("images/00000.jpg,crack\nimages/00001.jpg,sound", "first row .* columns"),
        ("name,label\na,b", "first row"),
        ("file,path,label\na,a,b", "Several columns could hold the file: file, path"),
        ("file,label\nimages/00000.jpg,crack", "only one class, crack"),
    ],
)
def test_a_table_that_is_none_is_refused(images: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        prepare(write(images, text))


def test_other_encodings_are_refused_by_the_line(images: Path) -> None:
    with pytest.raises(DataError, match=r"Line 8 .* is not UTF-8"):
        prepare(write(images, f"{rows()}\nimages/Ri\u00df.jpg,crack", "latin-1"))


def test_a_table_beside_loose_images_is_named(images: Path) -> None:
    table = write(images / "images", "file,label\n00000.jpg,crack\n00001.jpg,sound")
    with pytest.raises(DataError, match=f"type dataset.path={table} if that file"):
        prepare(images / "images")
    assert len(prepare(table)) == 2


def test_classes_choose_labels(images: Path) -> None:
    text = f"{rows()}\nimages/00000.jpg,crack".replace("00005.jpg,sound", "00005.jpg,joint")
    index = prepare(write(images, text), classes=["crack", "sound"])
    assert index.class_names == ("crack", "sound")
    assert [one.file for one in index.account.left_out] == ["images/00005.jpg"]
    with pytest.raises(DataError, match=r"no label wall\. Choose from: crack, joint, sound"):
        prepare(write(images, text), classes=["crack", "wall"])


def test_a_limit_takes_every_part(images: Path) -> None:
    text = rows("train", "train", "val", "val", "test", "test", header="file,label,split")
    index = prepare(write(images, text), limit=6)
    assert len(np.unique(index.parts)) == 3
