"""Packages that are installed only with an extra of crackexp."""

import importlib.util
from collections.abc import Iterable

from crackexp.utils.errors import ConfigError


def require_extra(user: str, modules: Iterable[str], extra: str, received: str) -> None:
    """Raises ConfigError where a needed module is not installed. No module is imported.

    Args:
        user: The part that needs the modules, as the beginning of a sentence.
        modules: The dotted names of the modules.
        extra: The extra of crackexp that installs them.
        received: The input of the user that asks for the part, for the message.
    """
    missing = [module.rpartition(".")[2] for module in modules if not _installed(module)]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise ConfigError(
            f"{user} needs {' and '.join(missing)}, which {are} not installed. Type pip install 'crackexp[{extra}]'. "
            f"Received: {received}"
        )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
