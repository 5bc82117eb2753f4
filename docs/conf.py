"""The configuration of the documentation site, which ``make docs`` builds with Sphinx in ``build/site``."""

import sys
from pathlib import Path
from typing import Any, get_type_hints

from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

sys.path.insert(0, str(Path(__file__).parent))

import reference_pages

import crackexp

ROOT = Path(__file__).parents[1]
CARD = "crackexp/models/ready_model/README"
NAVIGATION = {
    "Start": ["docs/notebooks/quickstart", "docs/datasets", "docs/files"],
    "Train": ["docs/augmentation", "docs/sweeps", "docs/many_machines", "docs/resume", "docs/tracking"],
    "Judge": ["docs/evaluation", "docs/decisions", "docs/generalising", "docs/audit", "docs/registry"],
    "Use": ["docs/prediction", "docs/explanations", "docs/app", "docs/review", "docs/export", "docs/python", CARD],
    "Extend": ["docs/extending"],
    "Reference": ["docs/reference/commands", "docs/reference/groups", "docs/reference/api"],
    "Internals": ["docs/tour", "docs/architecture", "CONTRIBUTING", "CHANGELOG"],
    "Measurements": sorted(f"experiments/{file.parent.name}/README" for file in ROOT.glob("experiments/*/README.md")),
}
"""The pages by the heading under which the navigation shows them. The README is the home page."""

project = "crackexp"
version = release = crackexp.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/notebooks/*.ipynb",
    "docs/reference/**/*.md",
    "docs/reference/*.md",
    "experiments/*/README.md",
    f"{CARD}.md",
]
exclude_patterns = [
    ".*",
    "build",
    "conf",
    "dist",
    "hydra_plugins",
    "mlruns",
    "multirun",
    "outputs",
    "tests",
]

myst_heading_anchors = 4
nb_execution_mode = "off"
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"crackexp {release}"
html_extra_path = ["site"]
html_static_path = ["static"]
html_css_files = ["notebook.css"]
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}


def write_reference(app: Sphinx) -> None:
    """Writes the pages of the reference, before Sphinx looks for pages."""
    reference_pages.write(Path(app.srcdir) / "docs" / "reference")


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Adds the navigation to the README, which is shown without it elsewhere."""
    if page == root_doc:
        trees = [
            "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", *pages, "```"])
            for caption, pages in NAVIGATION.items()
        ]
        source[0] += "\n" + "\n\n".join(trees) + "\n"


def leave_ranges_out(app: Sphinx, function: Any, bound: bool) -> None:
    """Leaves the ranges of numbers out of a signature, since the pages of the keys have them in words."""
    if "Annotated[" in str(getattr(function, "__annotations__", "")):
        function.__annotations__ = get_type_hints(function)


def whole_sentences(docstring: GoogleDocstring, preprocess_types: bool = False) -> list[tuple[str, str, list[str]]]:
    """Returns a section on results as it stands. Napoleon would take what is before a colon in it for the type."""
    lines = docstring._dedent(docstring._consume_to_next_section())
    return [("", "", lines)] if lines else []


def setup(app: Sphinx) -> None:
    """Connects the functions above to the steps of the build."""
    GoogleDocstring._consume_returns_section = whole_sentences
    app.connect("builder-inited", write_reference)
    app.connect("autodoc-before-process-signature", leave_ranges_out)
    app.connect("source-read", add_navigation)
