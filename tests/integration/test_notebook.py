"""The notebook of the documentation runs as it stands, and its kept outputs are fit to be read."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "quickstart.ipynb"
KINDS = {"text/html": "table", "image/png": "picture", "image/jpeg": "picture"}


@pytest.fixture(scope="module")
def kept() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell: NotebookNode) -> Iterator[str]:
    """Yields what a reader sees of the outputs of a cell, but for pictures."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        for kind, text in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield text


def structure(notebook: NotebookNode) -> list[set[str]]:
    """Returns what the outputs of each cell are: tables, pictures and other text."""
    return [
        {
            KINDS.get(kind, "text") if kind != "text/html" or "<table" in output.data[kind] else "text"
            for output in cell.outputs
            for kind in output.get("data", {"text/plain": ""})
        }
        for cell in code_cells(notebook)
    ]


def test_the_kept_notebook_was_executed_from_its_first_cell_to_its_last(kept: NotebookNode) -> None:
    nbformat.validate(kept)
    cells = code_cells(kept)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = set().union(*structure(kept))
    assert {"table", "picture"} <= shown
    assert NOTEBOOK.stat().st_size < 400_000


def test_the_kept_outputs_are_those_of_no_particular_computer(kept: NotebookNode) -> None:
    assert set(kept.metadata) == {"kernelspec", "language_info"}
    for cell in code_cells(kept):
        assert not [output for output in cell.outputs if output.get("name") == "stderr"], cell.source
        assert not [output for output in cell.outputs if output.output_type == "error"], cell.source
        for text in texts(cell):
            assert "Warning" not in text
            assert not re.search(r"(?<![\w.<:/])/\w+/|file://|[A-Z]:\\", text), text


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_is_kept(kept: NotebookNode, tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "docs" / "execute_notebook.py"), str(tmp_path / "made.ipynb")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    made = nbformat.read(tmp_path / "made.ipynb", as_version=4)
    assert [cell.source for cell in made.cells] == [cell.source for cell in kept.cells]
    assert structure(made) == structure(kept)
    assert not [output for cell in code_cells(made) for output in cell.outputs if output.get("name") == "stderr"]
