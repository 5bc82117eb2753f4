"""Reports, and what shows them: the terminal, Markdown, an HTML page, and the artifacts of a run."""

from crackexp.reporting.report import (
    Card,
    Column,
    Figure,
    Gallery,
    Label,
    Overlay,
    Picture,
    Report,
    Section,
    Table,
)
from crackexp.reporting.section import ReportSection

__all__ = [
    "Card",
    "Column",
    "Figure",
    "Gallery",
    "Label",
    "Overlay",
    "Picture",
    "Report",
    "ReportSection",
    "Section",
    "Table",
]
