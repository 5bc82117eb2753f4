"""The output of a cell of a Jupyter notebook, in which a line can be replaced."""

import html
import sys
import uuid
from typing import Any


class CellLine:
    """A line in the output of the cell that is being run, which is replaced each time that it is shown.

    Args:
        publisher: The `DisplayPublisher` of IPython in the kernel of the notebook.
    """

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self._id = uuid.uuid4().hex
        self._text: str | None = None

    def show(self, text: str, share: float | None = None) -> None:
        """Shows a text, with a bar where the share of the work that has been done, in [0, 1], is known."""
        if text == self._text:
            return
        bar = "" if share is None else f'<progress value="{share:.3f}" style="vertical-align: middle"></progress> '
        self._publisher.publish(
            {"text/plain": text, "text/html": f"{bar}{html.escape(text)}"},
            transient={"display_id": self._id},
            update=self._text is not None,
        )
        self._text = text

    def hide(self) -> None:
        """Leaves nothing of the line."""
        if self._text:
            self.show("")


def cell_line() -> CellLine | None:
    """Returns a line in the output of the cell that is being run; None outside of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return CellLine(shell.display_pub) if shell and getattr(shell, "kernel", None) else None
