"""``python -m crackexp.review``: the folder that it writes, how it goes on, what it refuses."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from crackexp.data.index import ImageIndex
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.reviewing.answers import Answers
from crackexp.reviewing.proposal import Proposal
from crackexp.utils.errors import DamagedFileError, DataError
from tests.conftest import Command
from tests.odd_names import draw_oddly_named

WORDS = ["tracking=none", "tile.size=40", "serve=false", "inference=xla"]


@pytest.fixture
def reviewed(command_here: Command, model: str, site: Path, tmp_path: Path) -> Path:
    """The folder of a review of 12 patches without answers."""
    done = command_here("review", f"model={model}", f"input={site}", "out=review", "count=12", *WORDS)
    assert done.returncode == 0, done.stderr
    assert "Files: 3 used, 0 left out" in done.stdout
    assert "0 of 12 patches answered: 0 crack, 0 sound, 0 unsure" in done.stdout
    return tmp_path / "review"


def opened(folder: Path) -> Answers:
    proposal = Proposal.read(folder)
    assert proposal is not None
    return Answers(folder, proposal)


def read(file: Path) -> ImageIndex:
    return ImageFolder(
        name="folder", path=file, positive=None, limit=None, on_bad_file="error", cache=file.parents[1] / "cache"
    ).prepare()


def test_patches_are_written_as_the_photos_have_them(reviewed: Path, site: Path) -> None:
    patches = opened(reviewed).proposal.patches
    assert len({patch.file.casefold() for patch in patches}) == 12
    assert {patch.photo for patch in patches} >= {"north/wall.jpg", "south/wall.png"}
    assert {Path(patch.file).stem.partition("__")[0] for patch in patches} >= {"wall", "wall-2"}
    for patch in patches:
        left, top, right, bottom = patch.box
        photo, picture = (cv2.imread(str(file)) for file in (site / patch.photo, reviewed / patch.file))
        assert np.array_equal(picture, photo[top:bottom, left:right])
        around = cv2.imread(str(reviewed / patch.surroundings))
        x, y, width, height = np.array(patch.frame) * np.array(around.shape[1::-1] * 2)
        framed = around[round(y) : round(y + height), round(x) : round(x + width)]
        assert np.abs(framed.astype(int) - picture).mean() < 5
    assert sorted(path.name for path in reviewed.iterdir()) == [
        "annotations.xml", "patches", "review.json", "surroundings", "tasks.json"
    ]  # fmt: skip
    assert not list(reviewed.parent.glob("*.tmp"))


def test_tasks_have_what_the_model_predicts(reviewed: Path) -> None:
    patches, tasks = opened(reviewed).proposal.patches, json.loads((reviewed / "tasks.json").read_text())
    for patch, task in zip(patches, tasks, strict=True):
        assert task["data"]["image"].endswith(patch.file)
        (prediction,) = task["predictions"]
        (result,) = prediction["result"]
        assert result["value"]["choices"] == ["crack" if patch.probability >= 0.5 else "sound"]
        assert "annotations" not in task


def test_answers_are_a_dataset_and_unsure_ones_are_left_out(reviewed: Path) -> None:
    answers = opened(reviewed)
    given = ["crack", "sound", "unsure", "sound", "crack"]
    for number, answer in enumerate(given):
        answers.give(number, answer)
    patches = answers.proposal.patches
    for file in ("labels.csv", "annotations.xml"):
        index = read(reviewed / file)
        labels = {str(name): index.class_names[label] for name, label in zip(index.files, index.labels, strict=True)}
        assert labels == {patches[i].file: given[i] for i in (0, 1, 3, 4)}
        assert index.positives == ("crack",)
        told = {remark.file: remark.reason for remark in index.account.left_out}
        assert told[patches[2].file] == "the answer is unsure"
        assert index.account.exit_status == 0
    index = read(reviewed / "labels.csv")
    assert index.groups is not None
    assert set(index.groups) <= {patch.photo for patch in patches}


def test_an_answer_may_be_changed_and_is_there_after_a_stop(reviewed: Path) -> None:
    answers = opened(reviewed)
    for number, answer in ((3, "crack"), (0, "sound"), (3, "unsure")):
        answers.give(number, answer)
        assert opened(reviewed).given == answers.given
    assert answers.given == {0: "sound", 3: "unsure"}
    assert str(answers) == "2 of 12 patches answered: 0 crack, 1 sound, 1 unsure"
    for number, answer in ((0, "maybe"), (12, "crack"), (-1, "crack")):
        with pytest.raises(ValueError, match="Received"):
            answers.give(number, answer)


def test_the_same_command_goes_on_and_proposes_what_comes_next(
    command_here: Command, reviewed: Path, model: str, site: Path
) -> None:
    before = (reviewed / "review.json").read_bytes()
    answers = opened(reviewed)
    for number in range(11):
        answers.give(number, ("crack", "sound")[number % 2])
    words = [f"model={model}", f"input={site}", "out=review", "count=12", *WORDS]
    done = command_here("review", *words)
    assert done.returncode == 0, done.stderr
    assert "Going on with 12 patches" in done.stdout
    assert "11 of 12 patches answered: 6 crack, 5 sound, 0 unsure" in done.stdout
    assert "same command" in done.stdout
    answers.give(11, "sound")
    done = command_here("review", *words)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Use them")]
    assert f"crackexp.adapt model={model} dataset=folder dataset.path=review/labels.csv" in line
    assert (reviewed / "review.json").read_bytes() == before


def test_another_choice_in_the_same_folder_is_refused(
    command_here: Command, reviewed: Path, model: str, site: Path
) -> None:
    done = command_here("review", f"model={model}", f"input={site}", "out=review", "count=20", "seed=1", *WORDS)
    assert done.returncode == 2
    assert "begun with count=12 seed=0. Type that to go on with it" in done.stderr
    assert "Received: count=20 seed=1" in done.stderr


def test_patches_may_be_drawn_as_they_come_and_files_are_accounted_for(
    command_here: Command, model: str, site: Path, tmp_path: Path
) -> None:
    (site / "notes.png").write_text("no photo")
    cv2.imwrite(str(site / "flat.png"), np.full((50, 50, 3), 9, np.uint8))
    words = [f"model={model}", f"input={site}", "choice=random", "count=1000", *WORDS]
    done = command_here("review", *words, "out=drawn")
    assert done.returncode == 3, done.stderr
    assert "left out: " in done.stdout
    assert "notes.png: not a JPEG" in done.stdout
    assert "doubted: " in done.stdout
    with (tmp_path / "drawn" / "annotations.xml").open() as stream:
        count = stream.read().count("<image ")
    assert f"Chosen      {count} of {count} patches of 4 photos" in done.stdout


def test_a_name_that_a_spreadsheet_takes_for_a_formula_stays_a_group(
    command_here: Command, model: str, site: Path, tmp_path: Path
) -> None:
    (site / "patch.png").rename(site / "=1+1, 'x'.png")
    done = command_here("review", f"model={model}", f"input='{site}/*.png'", "out=odd", "count=3", *WORDS)
    assert done.returncode == 0, done.stderr
    answers = opened(tmp_path / "odd")
    answers.give(0, "crack")
    with (tmp_path / "odd" / "labels.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["group"] == "'=1+1, 'x'.png"
    assert opened(tmp_path / "odd").given == {0: "crack"}


def test_names_of_any_kind_are_reviewed(command_here: Command, model: str, tmp_path: Path) -> None:
    files = draw_oddly_named(tmp_path / "odd caf\udce9")
    words = [f"model={model}", f"input='{tmp_path}/odd*/**/*'", "out=my review", f"count={len(files)}", *WORDS]
    for said in ("Chosen ", "Going on"):
        done = command_here("review", *words)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    answers = opened(tmp_path / "my review")
    for number in range(len(answers.proposal.patches)):
        answers.give(number, ("crack", "sound")[number % 2])
    index = read(tmp_path / "my review" / "labels.csv")
    assert len(index) == len(answers.proposal.patches) == len(files)
    assert "'dataset.path=my review/labels.csv'" in command_here("review", *words).stdout


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("count=0", ["count", "greater than 0"]),
        ("choice=best", ["choice", "teaching", "random"]),
        ("tile.size=2", ["tile.size", "greater than or equal to 16"]),
        ("port=70000", ["port", "65535"]),
        ("out=site", ["new or empty folder", "Received: out=site"]),
        ("input=nowhere", ["no images to read", "nowhere"]),
        ("input=site/notes.png", ["None of the photos can be read", "notes.png"]),
        ("cuont=3", ["'cuont'", "'count'"]),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(
    command_here: Command, model: str, site: Path, tmp_path: Path, argument: str, words: list[str]
) -> None:
    (site / "notes.png").write_text("no photo")
    given = dict.fromkeys([f"model={model}", "input=site", "out=new", *WORDS])
    key = argument.partition("=")[0] + "="
    done = command_here("review", *(word for word in given if not word.startswith(key)), argument)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_that_was_changed_is_refused(reviewed: Path) -> None:
    (reviewed / "labels.csv").write_text("file,label,group\npatches/none.png,crack,a\n")
    with pytest.raises(DataError, match=r"Line 2 of .* is no answer to this review"):
        opened(reviewed)
    (reviewed / "review.json").write_text((reviewed / "review.json").read_text().replace('"count"', '"count": {}, "x"'))
    with pytest.raises(DamagedFileError, match="not as it was written"):
        Proposal.read(reviewed)


@pytest.mark.slow
def test_the_commands_of_the_page_run(command_here: Command, model: str, site: Path, tmp_path: Path) -> None:
    """Each as it stands, but for the model, and without the page; see tests/browser/test_review_page.py for that."""
    page = (Path(__file__).parents[2] / "docs" / "review.md").read_text()
    lines = re.findall(r"^crackexp (\w+) (.*)$", page, re.MULTILINE)
    assert [name for name, _ in lines] == ["review", "adapt", "review"]
    site.rename(tmp_path / "photos")
    own = ["tile.size=40", "inference=xla"]
    surveyed = command_here("survey", f"model={model}", "input=photos", "out=survey", "tracking=none", *own)
    assert surveyed.returncode == 0, surveyed.stderr
    said = ""
    for name, text in lines:
        words = [f"model={model}" if word == "model=latest" else word for word in text.split()]
        done = command_here(name, *words, *(["serve=false", *own] if name == "review" else []))
        assert done.returncode == 0, done.stderr
        said += done.stdout
        if "out=review" in words:
            answers = opened(tmp_path / "review")
            for number, patch in enumerate(answers.proposal.patches):
                answers.give(number, "unsure" if number == 7 else ("sound", "crack")[patch.probability > 0.5])
    assert "49 used, 1 left out" in said
    assert "the answer is unsure" in said
    assert "0 accepted, 0 rejected" in said
