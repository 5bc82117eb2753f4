"""The pictures of README and docs: each is shown somewhere, made by ``make pictures``, and of a moderate size."""

import json
import re
from pathlib import Path

from docs.pictures.make import FOLDER, WORDS
from docs.pictures.studio import LIMIT, ROOT, SHOTS


def shown_by(page: Path) -> set[Path]:
    """Returns the local files that a Markdown page shows as pictures."""
    links = re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", page.read_text())
    return {(page.parent / link).resolve() for link in links if "://" not in link}


def test_every_picture_of_the_docs_is_made_by_the_command_and_every_one_that_is_made_is_shown() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/README.md")]
    shown = set().union(*map(shown_by, pages))
    made = {FOLDER / f"{name}.png" for name in SHOTS}
    assert {file for file in shown if file.parent == FOLDER} == made
    assert set(FOLDER.glob("*.png")) == made
    assert set(json.loads(WORDS.read_text())) == set(SHOTS)
    assert not [file for file in shown if not file.is_file()]


def test_a_picture_loads_quickly() -> None:
    sizes = {file.name: file.stat().st_size for file in FOLDER.glob("*.png")}
    assert max(sizes.values()) < LIMIT, sizes
