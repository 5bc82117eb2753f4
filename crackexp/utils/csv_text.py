"""Tables as CSV that people open in a spreadsheet, and that pandas reads back unchanged.

A spreadsheet computes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or the end of a line, also where it is
the name of a file that somebody else chose. As OWASP recommends ("CSV Injection"), an apostrophe is put before the
text of such a cell. A text that begins with apostrophes and then such a character gets one more, so that `unescaped`
brings every text back. Numbers are never touched.
"""

import csv
import re
from typing import TYPE_CHECKING, Any

from crackexp.utils.names import visible

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""The beginning of a text that a spreadsheet may compute, full-width signs among them."""


def csv_text(table: "pd.DataFrame", header: bool = True, index: bool = False) -> str:
    """Returns a table as CSV, every text in it escaped.

    Args:
        table: Any columns; texts of columns that hold other things too are escaped as well.
        header: Whether the first line names the columns.
        index: Whether the row labels are the first column.
    """
    table = table.reset_index() if index else table
    texts = {name: column.map(escaped) for name, column in table.items() if _may_hold_text(column)}
    table = table.assign(**texts).rename(columns=escaped)
    torn = any(column.map(lambda cell: isinstance(cell, str) and "\r" in cell).any() for column in texts.values())
    # Before Python 3.13 the csv module leaves a lone carriage return unquoted, which readers take for the end of a row.
    return table.to_csv(index=False, header=header, quoting=csv.QUOTE_NONNUMERIC if torn else csv.QUOTE_MINIMAL)


def escaped(cell: Any) -> Any:
    """Returns what stands in CSV for a cell: a text escaped, see above, and made `visible`; anything else as it is."""
    if not isinstance(cell, str):
        return cell
    text = visible(cell)
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: Any) -> Any:
    """Returns the text that `escaped` was given; anything else as it is."""
    if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell):
        return cell[1:]
    return cell


def _may_hold_text(column: "pd.Series") -> bool:
    import pandas as pd  # takes half a second, which --help and refusals do not wait for

    return pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)
