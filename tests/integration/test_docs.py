"""The documentation's examples are run as they stand."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import TINY, Command

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXTENDING = (ROOT / "docs" / "extending.md").read_text()
COMMANDS = [text for kind, _, text in BLOCK.findall(EXTENDING) if kind == "bash"]


@pytest.fixture
def own_parts(tmp_path: Path) -> None:
    """Writes the files that the page names."""
    for _, name, text in BLOCK.findall(EXTENDING):
        if name:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text((file.read_text() if file.exists() else "") + text)


@pytest.mark.usefixtures("own_parts")
@pytest.mark.parametrize("text", COMMANDS)
def test_an_example_of_extending_runs(command: Command, tmp_path: Path, patches: Path, text: str) -> None:
    words = shlex.split(text)
    assert words[:3] == ["python", "-m", "crackexp.train"]
    if "dataset=named_files" in words:
        (tmp_path / "PATCHES").mkdir()
        for folder, name in (("Positive", "crack"), ("Negative", "sound")):
            for file in (patches / folder).iterdir():
                shutil.copy(file, tmp_path / "PATCHES" / f"{name}_{file.name}")
    else:
        words += ["dataset=folder", f"dataset.path={patches}"]
    tiny = [key for key in TINY if "two_convolutions" not in text or not key.startswith("backbone")]
    done = command("train", *words[3:], *tiny, "epochs=1", "tracking=none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accuracy" in done.stdout


def test_commands_of_the_readme_are_known() -> None:
    """Every make target and entry point that the README names exists."""
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", readme, re.MULTILINE)):
        assert f"\n{target}:" in makefile
    for entry in set(re.findall(r"python -m crackexp\.(\w+)", readme)):
        assert (ROOT / "crackexp" / f"{entry}.py").is_file()
    for link in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / link).exists(), link
