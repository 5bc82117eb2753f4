"""The HTML pages that commands write: templates of Jinja, in which every value is escaped."""

from typing import Any

from jinja2 import Environment, PackageLoader


def render(package: str, name: str, /, **values: Any) -> str:
    """Returns the page that a template makes of some values.

    Args:
        package: The package in whose folder the template lies, such as ``crackexp.auditing``.
        name: The file name of the template.
        values: What the template shows.
    """
    environment = Environment(loader=PackageLoader(package, "."), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(name).render(**values)
