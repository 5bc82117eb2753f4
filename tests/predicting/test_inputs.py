"""Which files the names on a command line lead to."""

import os
from pathlib import Path

import pytest

from crackexp.data.accounting import Account
from crackexp.predicting.inputs import InputFile, find_inputs, input_folder, name_below


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "deep/er/c.tiff", "notes.txt", "deep/er/.hidden.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def find_in(words: list[str], lines: list[str]) -> list[InputFile]:
    return find_inputs(words, lines, Account())


def names(found: list[InputFile], site: Path) -> list[str]:
    assert all(one.reason is None for one in found)
    return [str(Path(one.name).relative_to(site)) for one in found]


def test_a_folder_gives_its_images_sorted_and_whatever_their_depth(site: Path) -> None:
    assert names(find_in([str(site)], []), site) == ["a.PNG", "b.jpg", "deep/er/c.tiff"]


def test_a_file_is_taken_by_its_name_and_once(site: Path) -> None:
    words = [f"{site}/notes.txt", f"{site}/b.jpg", f"{site}/notes.txt", str(site)]
    assert names(find_in(words, []), site)[:2] == ["notes.txt", "b.jpg"]
    assert len(find_in(words, [])) == 4


def test_patterns_lead_to_files_and_folders(site: Path) -> None:
    assert names(find_in([f"{site}/*.jpg"], []), site) == ["b.jpg"]
    assert names(find_in([f"{site}/**/*.t*"], []), site) == ["deep/er/c.tiff"]
    assert names(find_in([f"{site}/d*"], []), site) == ["deep/er/c.tiff"]


def test_a_file_with_brackets_in_its_name_is_no_pattern(site: Path) -> None:
    (site / "wall [1].jpg").touch()
    assert names(find_in([f"{site}/wall [1].jpg"], []), site) == ["wall [1].jpg"]


def test_a_file_is_read_once_whatever_leads_to_it(site: Path) -> None:
    (site / "link.jpg").symlink_to("b.jpg")
    spelled = find_in([f"{site}/b.jpg", f"{site}/deep/../b.jpg", os.path.relpath(site / "b.jpg")], [])
    assert names(spelled, site) == ["b.jpg"]
    first, link = find_in([f"{site}/*.jpg"], [])
    assert (first.reason, link.name, link.may_be_image) == (None, f"{site}/link.jpg", False)
    assert f"{site}/b.jpg" in str(link.reason)


def test_a_pattern_that_fits_folders_counts_each_file_once(site: Path) -> None:
    account = Account()
    assert names(find_inputs([f"{site}/**"], [], account), site) == ["a.PNG", "b.jpg", "deep/er/c.tiff"]
    assert account.ignored == {".txt": 1, ".jpg": 1}


def test_a_mask_is_left_out_where_its_image_fits_too(site: Path) -> None:
    (site / "b_mask.png").touch()
    assert names(find_in([f"{site}/*_mask.png"], []), site) == ["b_mask.png"]
    mask = next(one for one in find_in([f"{site}/b*"], []) if one.reason)
    assert (mask.name, mask.may_be_image) == (f"{site}/b_mask.png", False)


def test_a_dash_reads_lines(site: Path) -> None:
    assert names(find_in(["-"], [f"{site}/b.jpg\n", "\n", f"{site}/deep\r\n"]), site) == [
        "b.jpg",
        "deep/er/c.tiff",
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "no images"),
        ("none.jpg", "no such file"),
        ("*.webp", "matches no file"),
        ("*.txt", "matches no image"),
        ("broken.jpg", "no such file"),
        ("x" * 300, "too long"),
        ("pipe.jpg", "neither a file nor a folder"),
    ],
)
def test_a_name_that_leads_nowhere_says_why(site: Path, name: str, reason: str) -> None:
    (site / "broken.jpg").symlink_to(site / "gone.jpg")
    os.mkfifo(site / "pipe.jpg")
    (found,) = find_in([str(site / name)], [])
    assert found.name == str(site / name)
    assert reason in str(found.reason)


def test_names_are_relative_to_the_folder_of_the_input(site: Path) -> None:
    assert input_folder(str(site), find_in([str(site / "deep")], [])) == site
    assert input_folder([str(site / "deep")], find_in([str(site / "deep")], [])) == site / "deep"
    for words in ([f"{site}/**/*"], [str(site / "b.jpg"), str(site / "deep")], ["-"]):
        assert input_folder(words, find_in(words, [str(site / "b.jpg"), str(site / "deep")])) == site


def test_a_name_is_relative_to_the_folder_it_lies_in(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_below(site, str(site / "deep" / "a.tif#2")) == str(Path("deep", "a.tif#2"))
    monkeypatch.chdir(site)
    assert name_below(site, "./b.jpg") == "b.jpg"
    assert name_below(Path("deep"), "b.jpg") == "b.jpg"
