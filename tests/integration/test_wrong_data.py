"""Wrong folders, archives and images: each is refused in a sentence, or handled as documented."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TINY, Command

Make = Callable[[Path, Path], str]


def missing(root: Path, patches: Path) -> str:
    return "dataset=folder dataset.path=nowhere"


def a_file(root: Path, patches: Path) -> str:
    (root / "file.jpg").write_bytes(b"x")
    return "dataset=folder dataset.path=file.jpg"


def empty(root: Path, patches: Path) -> str:
    (root / "empty").mkdir()
    return "dataset=folder dataset.path=empty"


def one_class(root: Path, patches: Path) -> str:
    shutil.copytree(patches / "Positive", root / "one" / "Positive")
    return "dataset=folder dataset.path=one"


def empty_class(root: Path, patches: Path) -> str:
    shutil.copytree(patches / "Positive", root / "tree" / "Positive")
    (root / "tree" / "Negative").mkdir()
    return "dataset=folder dataset.path=tree"


def flat(root: Path, patches: Path) -> str:
    shutil.copytree(patches / "Positive", root / "flat")
    return "dataset=folder dataset.path=flat"


def unnamed_classes(root: Path, patches: Path) -> str:
    shutil.copytree(patches / "Positive", root / "tree" / "a")
    shutil.copytree(patches / "Negative", root / "tree" / "b")
    return "dataset=folder dataset.path=tree"


def split_already(root: Path, patches: Path) -> str:
    for part in ("train", "test"):
        shutil.copytree(patches, root / "tree" / part)
    return "dataset=folder dataset.path=tree"


def wrong_positive(root: Path, patches: Path) -> str:
    return f"dataset=folder dataset.path={patches} dataset.positive=Postive"


def small_limit(root: Path, patches: Path) -> str:
    return f"dataset=folder dataset.path={patches} dataset.limit=4 batch_size=1"


def large_batch(root: Path, patches: Path) -> str:
    return f"dataset=folder dataset.path={patches} batch_size=500"


def bad_images(root: Path, patches: Path) -> str:
    tree = root / "tree"
    shutil.copytree(patches, tree)
    whole = (tree / "Positive" / "000.jpg").read_bytes()
    (tree / "Positive" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tree / "Positive" / "nothing.png").write_bytes(b"")
    (tree / "Negative" / "text.jpg").write_text("no picture")
    return "dataset=folder dataset.path=tree"


def no_zip(root: Path, patches: Path) -> str:
    (root / "a.zip").write_text("no archive")
    return "dataset=mendeley dataset.archive=a.zip"


def cut_zip(root: Path, patches: Path) -> str:
    archive = Path(shutil.make_archive(str(root / "a"), "zip", patches))
    archive.write_bytes(archive.read_bytes()[:-200])
    return "dataset=mendeley dataset.archive=a.zip"


def escaping_zip(root: Path, patches: Path) -> str:
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr("../escaped.txt", "x")
    return "dataset=mendeley dataset.archive=a.zip"


def missing_archive(root: Path, patches: Path) -> str:
    return "dataset=mendeley dataset.archive=nowhere.zip"


def no_sdnet(root: Path, patches: Path) -> str:
    return f"dataset=sdnet2018 dataset.path={patches}"


def sdnet_nowhere(root: Path, patches: Path) -> str:
    return "dataset=sdnet2018"


WRONG: dict[Make, list[str]] = {
    missing: ["nowhere", "dataset.path"],
    a_file: ["file.jpg", "dataset.path"],
    empty: ["empty", "dataset.path"],
    one_class: ["Positive", "class"],
    empty_class: ["Negative"],
    flat: ["folder", "class"],
    unnamed_classes: ["dataset.positive", "a", "b"],
    split_already: ["train, test", "split=given", "dataset.merge_parts=true"],
    wrong_positive: ["Postive", "Positive"],
    small_limit: ["Received"],
    large_batch: ["batch_size", "42"],
    bad_images: ["cut.jpg", "nothing.png", "text.jpg", "on_bad_file=skip"],
    no_zip: ["a.zip"],
    cut_zip: ["a.zip"],
    escaping_zip: ["escaped.txt"],
    missing_archive: ["nowhere.zip"],
    no_sdnet: ["SDNET2018"],
    sdnet_nowhere: ["dataset.path", "dataset.archive"],
}


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_wrong_data_is_refused_in_a_sentence(command_here: Command, tmp_path: Path, patches: Path, make: Make) -> None:
    arguments = make(tmp_path, patches).split(" ")
    done = command_here("train", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in WRONG[make]:
        assert word in done.stderr
    assert not (tmp_path / "mlruns").exists()
    assert not (tmp_path.parent / "escaped.txt").exists()


def test_bad_images_are_left_out_and_listed_on_request(command_here: Command, tmp_path: Path, patches: Path) -> None:
    arguments = bad_images(tmp_path, patches).split(" ")
    done = command_here("train", *arguments, "dataset.on_bad_file=skip", *TINY, "epochs=1", "tracking=none")
    assert done.returncode == 3, done.stderr
    assert "bad-files" in done.stdout + done.stderr
    assert "60 used, 3 left out" in done.stdout
    for name in ("cut.jpg", "nothing.png", "text.jpg"):
        assert f"left out: {'Negative' if name == 'text.jpg' else 'Positive'}/{name}: " in done.stdout
