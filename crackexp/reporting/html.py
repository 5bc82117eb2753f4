"""Renders reports as HTML pages that need no other file."""

import base64
import io
from importlib.metadata import version
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure as Drawing

from crackexp.reporting.report import Report
from crackexp.utils.pictures import encode_jpeg

DPI = 150
"""The resolution of a figure on a page, in dots per inch."""
REM = 6.6
"""The width of a figure on a page, in rem per inch."""


def page(report: Report) -> str:
    """Returns a report as an HTML page, in which Jinja escapes all texts of the report."""
    sections = report.shown("html")
    galleries = [gallery for section in sections for gallery in section.galleries if gallery.overlays]
    return _ENVIRONMENT.get_template("page.html").render(
        report=report,
        sections=sections,
        overlays=galleries[0].overlays if galleries else (),
        version=version("crackexp"),
    )


def _source(source: np.ndarray | bytes | str) -> str:
    """Returns what an image element loads: an address relative to the page, or the picture itself."""
    if isinstance(source, str):
        return quote(source)
    data = source if isinstance(source, bytes) else encode_jpeg(source, 85)
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def png(drawing: Drawing) -> bytes:
    """Returns a drawing as a PNG file."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


_ENVIRONMENT = Environment(
    loader=PackageLoader("crackexp.reporting", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_ENVIRONMENT.filters |= {"source": _source, "png": png, "rem": lambda drawing: f"{REM * drawing.get_figwidth():.0f}"}
