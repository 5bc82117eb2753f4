"""Executes the notebook of the documentation: ``python docs/execute_notebook.py [OUTPUT]``.

It runs in a temporary folder, as a user's would in an empty one. Without OUTPUT, its outputs are kept in the file.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parent / "notebooks" / "quickstart.ipynb"
SECONDS = 600
"""The number of seconds after which a cell is given up."""


def execute(notebook: NotebookNode) -> NotebookNode:
    """Executes the cells of a notebook, and returns it with their outputs.

    Left out are metadata of the computer, the path of the temporary folder, and outputs that show nothing, such as
    progress that has come to its end.

    Raises:
        CellExecutionError: A cell raised an exception.
    """
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=SECONDS, resources=resources, coalesce_streams=True)
        client.execute(env={**os.environ, "CRACKEXP_CACHE": f"{folder}/cache"})
    notebook = nbformat.reads(nbformat.writes(notebook).replace(folder, "."), as_version=4)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _shows(output)]
    return notebook


def _shows(output: NotebookNode) -> bool:
    """Returns whether an output shows anything."""
    return output.output_type != "display_data" or bool(output.data["text/plain"])


if __name__ == "__main__":
    nbformat.write(execute(nbformat.read(NOTEBOOK, as_version=4)), Path(sys.argv[1]) if sys.argv[1:] else NOTEBOOK)
