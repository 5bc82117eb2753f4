"""``python -m crackexp.explain`` as users type it: pictures, a table, a page, and how it ends."""

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from crackexp.data.images.decode import load_image
from tests.conftest import Command


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """A patch with a dark half, one without, both of a shape of their own, and a file that is no image."""
    folder = tmp_path / "some patches"
    folder.mkdir()
    light = np.full((90, 120, 3), 230, np.uint8)
    cv2.imwrite(str(folder / "light #1.png"), light)
    light[:, 60:] = 10
    cv2.imwrite(str(folder / "half.png"), light)
    (folder / "notes.jpg").write_text("no image")
    return folder


def test_a_folder_of_patches_is_explained(command_here: Command, model: str, patches: Path, tmp_path: Path) -> None:
    done = command_here("explain", f"model={model}", f"input='{patches}'", "out=explained")
    assert done.returncode == 3, done.stderr
    for words in ("crack       1\n", "sound       1\n", "unread      1\n", "notes.jpg: not a JPEG", "report.html"):
        assert words in done.stdout
    out = tmp_path / "explained"
    table = pd.read_csv(out / "explanations.csv").set_index(pd.Index(["half", "light", "notes"]))
    assert list(table) == ["path", "label", "probability", "decision", "reason", "doubt", "picture"]
    assert table["decision"].tolist()[:2] == ["crack", "sound"]
    assert table["picture"].isna().tolist() == [False, False, True]

    picture = load_image(out / table["picture"]["half"])
    assert picture.shape == (360, 960, 3)
    plain, evidence = np.split(picture.astype(int), 2, axis=1)
    assert np.abs(plain[:, :200] - 230).max() < 12
    orange = evidence[..., 0] - evidence[..., 2]
    assert orange[:, 320:].mean() > 30, "the dark half speaks for a crack"
    assert orange[:, :160].mean() < -10, "the light one against it"

    page = (out / "report.html").read_text()
    assert "layer block_2_relu" in page
    assert page.index('class="name">half.png<') < page.index('class="name">light #1.png<'), "relative to the input"
    for name in re.findall('src="([^"]*)"', page):
        assert (out / name.replace("%20", " ").replace("%23", "#")).is_file()
    assert "http" not in page


def test_another_class_and_another_layer_are_explained_on_request(
    command_here: Command, model: str, patches: Path, tmp_path: Path
) -> None:
    words = [f"model={model}", f"input='{patches}/half.png'", "out=explained", "target=Negative", "layer=block_1_conv"]
    done = command_here("explain", *words)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "explained" / "report.html").read_text()
    assert "against Negative" in page
    assert "layer block_1_conv" in page


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("target=Cracked", ["no such class", "Negative, Positive", "Received: target=Cracked"]),
        ("layer=block_2_rely", ["Did you mean block_2_relu", "Received: layer=block_2_rely"]),
        ("layer=pool", ["a layer with height and width", "Received: layer=pool"]),
        ("input=nowhere", ["input=FILES", "nowhere: there is no such file"]),
        ("threshold=2", ["threshold", "less than or equal to 1"]),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(
    command_here: Command, model: str, patches: Path, tmp_path: Path, argument: str, words: list[str]
) -> None:
    given = [argument] if argument.startswith("input=") else [f"input='{patches}'", argument]
    done = command_here("explain", f"model={model}", *given, "out=explained")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "explained").exists()
