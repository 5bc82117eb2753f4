"""Executes the notebook of the documentation: ``python docs/execute_notebook.py [OUTPUT]``.

It runs in a temporary folder, as a user's would in an empty one. Without OUTPUT, its outputs are kept in the file.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parent / "notebooks" / "quickstart.ipynb"
SECONDS = 600
"""The number of seconds after which a cell is given up."""


def execute(notebook: NotebookNode) -> None:
    """Executes the cells of a notebook, which gets their outputs.

    Args:
        notebook: The notebook. Metadata of the computer are left out of it, and so are outputs that show nothing, such
            as progress that has come to its end.

    Raises:
        CellExecutionError: A cell raised an exception.
    """
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}, coalesce_streams=True
        )
        client.execute()
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _shows(output)]


def _shows(output: NotebookNode) -> bool:
    """Returns whether an output shows anything."""
    return output.output_type != "display_data" or any(output.data.values())


if __name__ == "__main__":
    read = nbformat.read(NOTEBOOK, as_version=4)
    execute(read)
    nbformat.write(read, Path(sys.argv[1]) if sys.argv[1:] else NOTEBOOK)
