"""The documentation's examples are run as they stand."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from hydra.utils import get_class

from crackexp.__main__ import COMMANDS as COMMAND_NAMES
from crackexp.config.contracts import CONTRACTS
from tests.conftest import TINY, Command

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXTENDING = (ROOT / "docs" / "extending.md").read_text()
COMMANDS = [text for kind, _, text in BLOCK.findall(EXTENDING) if kind == "bash"]


def called(line: str) -> list[str]:
    """Returns the name and the words of the command that a line calls in either form; of another line, nothing."""
    match shlex.split(line, comments=True):
        case ["python", "-m", module, *words] if module.startswith("crackexp."):
            return [module.removeprefix("crackexp."), *words]
        case ["crackexp", "sweep", *words]:
            return ["train", "-m", *words]
        case ["crackexp", name, *words] if not name.startswith("-"):
            return [name, *words]
    return []


@pytest.fixture
def own_parts(tmp_path: Path) -> None:
    """Writes the files that the page names."""
    for _, name, text in BLOCK.findall(EXTENDING):
        if name:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text((file.read_text() if file.exists() else "") + text)


@pytest.mark.slow
@pytest.mark.usefixtures("own_parts")
@pytest.mark.parametrize("text", COMMANDS)
def test_an_example_of_extending_runs(command: Command, tmp_path: Path, patches: Path, text: str) -> None:
    name, *words = called(text.replace("\\\n", " "))
    assert name == "train"
    if "dataset=named_files" in words:
        (tmp_path / "PATCHES").mkdir()
        for folder in ("Positive", "Negative"):
            for file in (patches / folder).iterdir():
                shutil.copy(file, tmp_path / "PATCHES" / f"{folder.lower()}_{file.name}")
    else:
        words += ["dataset=folder", f"dataset.path={patches}"]
    tiny = [key for key in TINY if "two_convolutions" not in text or not key.startswith("backbone")]
    tiny = [key for key in tiny if key != "inference=xla" or "inference=" not in text]
    tracking = [] if "tracking=" in text else ["tracking=none"]
    done = command("train", *words, *tiny, "epochs=1", *tracking)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accuracy" in done.stdout


def readme_commands() -> list[list[str]]:
    """Returns the commands of the README, each once."""
    blocks = [text for kind, _, text in BLOCK.findall((ROOT / "README.md").read_text()) if kind == "bash"]
    found = dict.fromkeys(tuple(called(line)) for text in blocks for line in text.splitlines())
    return [list(words) for words in found if words]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_commands_of_the_readme_run(command_here: Command, tmp_path: Path, patches: Path) -> None:
    """Each in turn as it stands, but for its dataset, which is a small one, and its size."""
    run_id = ""
    for entry, *words in readme_commands():
        if entry == "app":  # runs until it is stopped; see tests/browser/test_app_page.py
            continue
        words = [word.replace("RUN_ID", run_id) for word in words if not word.startswith("dataset")]
        words = [f"input={patches}" if word.startswith("input=") else word for word in words]
        if entry in ("train", "evaluate", "audit", "calibrate", "adapt"):
            words += ["dataset=folder", f"dataset.path={patches}"]
            words += ["evaluation.resamples=20"] if entry in ("train", "evaluate") else []
        if entry == "train":
            alone = "backbone=small_cnn" in words
            words += [
                key for key in TINY if not (alone and key.startswith("backbone.")) and not key.startswith("image")
            ]
            words += [] if any(word.startswith("image_size") for word in words) else ["image_size=32"]
        done = command_here(entry, *words)
        assert done.returncode == 0, f"{words}\n{done.stderr}"
        results = sorted(tmp_path.glob("outputs/*/*/*/result.json"), key=lambda file: file.stat().st_mtime)
        if results:
            run_id = json.loads(results[-1].read_text())["run_id"]


def test_commands_of_the_readme_are_known() -> None:
    """Every make target that the README names exists, and users of the first version find their commands."""
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", readme, re.MULTILINE)):
        assert f"\n{target}:" in makefile
    assert "\npython -m crackexp.train +experiment=mobilenet\n" in readme
    assert {"train", "evaluate", "predict", "survey", "check"} <= {entry for entry, *_ in readme_commands()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    blocks = [text.replace("\\\n", " ") for kind, _, text in BLOCK.findall(page.read_text()) if kind == "bash"]
    lines = [line for text in blocks for line in text.splitlines() if line.startswith(("crackexp ", "python -m "))]
    names = {words[0] for words in map(called, lines) if words}
    assert names <= set(COMMAND_NAMES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_docs_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s:]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings], link


def test_the_page_on_extending_names_the_base_class_of_every_group() -> None:
    rows = re.findall(r"^\| \[?`([\w.]+)`.*?\| `(crackexp|keras)([\w.]+)` \|", EXTENDING, re.MULTILINE)
    named = {group.removesuffix(".NAME"): get_class(package + name) for group, package, name in rows}
    contracts = dict(CONTRACTS)
    contracts["augmentation.transforms"] = contracts.pop("augmentation").tables["transforms"]
    assert named == {group: get_class(contract.base) for group, contract in contracts.items()}


def test_every_config_of_the_page_on_extending_is_chosen_by_a_command() -> None:
    configs = re.findall(r"^```yaml file=own/(\w+)/(\w+)\.yaml$", EXTENDING, re.MULTILINE)
    chosen = " ".join(COMMANDS).split()
    assert [f"{group}={option}" for group, option in configs if f"{group}={option}" not in chosen] == []
    assert configs
