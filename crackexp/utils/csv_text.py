"""Tables as CSV that can be opened in a spreadsheet safely, and that pandas reads back unchanged.

A spreadsheet treats a cell as a formula if it begins with ``=``, ``+``, ``-``, ``@``, a tab or the end of a line, even
if it is the name of a file that somebody else chose. As OWASP recommends ("CSV Injection"), such a text gets a leading
apostrophe. A text that begins with apostrophes and then such a character gets one more, so that `unescaped` restores
every text. Numbers are not changed.
"""

import csv
import re
from typing import TYPE_CHECKING, Any

from crackexp.utils.names import visible

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""The beginning of a text that a spreadsheet may treat as a formula, which may be a full-width character."""


def csv_text(table: "pd.DataFrame", header: bool = True, index: bool = False) -> str:
    """Returns a table as CSV with all texts escaped.

    Args:
        table: A table with any columns. Texts in columns of mixed types are escaped too.
        header: Whether the first line names the columns.
        index: Whether the row labels are the first column.
    """
    table = table.reset_index() if index else table
    texts = {name: column.map(escaped) for name, column in table.items() if _may_hold_text(column)}
    table = table.assign(**texts).rename(columns=escaped)
    torn = any(column.map(lambda cell: isinstance(cell, str) and "\r" in cell).any() for column in texts.values())
    # Before Python 3.13, the csv module does not quote a lone carriage return, which readers take for the end of a row.
    return table.to_csv(index=False, header=header, quoting=csv.QUOTE_NONNUMERIC if torn else csv.QUOTE_MINIMAL)


def escaped(cell: Any) -> Any:
    """Returns the value of a cell in CSV: a text is escaped and made `visible`, and anything else stays as it is."""
    if not isinstance(cell, str):
        return cell
    text = visible(cell)
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: Any) -> Any:
    """Returns the text from which `escaped` made this one. Anything else stays as it is."""
    if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell):
        return cell[1:]
    return cell


def _may_hold_text(column: "pd.Series") -> bool:
    import pandas as pd  # imported late: it takes half a second, which --help and errors do not need

    return pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)
