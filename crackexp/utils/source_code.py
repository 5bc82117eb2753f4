"""Digests of source code, by which stored results tell that the code behind them was edited.

A digest covers the modules that it is asked about and all modules that these import, found by reading their import
statements, inside functions too; nothing is run. It does not change with comments, docstrings and layout.
"""

import ast
import hashlib
import importlib.metadata
import inspect
import site
import sys
import sysconfig
import uuid
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
KNOWN = ("crackexp", "keras", "jax", "numpy", *sys.stdlib_module_names)
"""Packages that the class of a part may come from without being the user's own."""

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_LIBRARIES = tuple(
    {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {Path(folder).resolve() for folder in (*site.getsitepackages(), site.getusersitepackages())}
)


def source_digest(part: Any) -> str | None:
    """Returns 32 hex digits over the source of a part of the user's own, or None where it is crackexp's or Keras'.

    Covered are the modules that define its class and the bases of that class, and those of the user's own modules that
    these import. A class without a file, as in a notebook, is known by its own text; without even that, nothing that
    was stored by it is found again.

    Args:
        part: a class, a function, or an object of a class.
    """
    kind = part if isinstance(part, type) or inspect.isroutine(part) else type(part)
    kinds = [one for one in getattr(kind, "__mro__", (kind,)) if one.__module__.partition(".")[0] not in KNOWN]
    if not kinds:
        return None
    texts = []
    for one in kinds:
        module = sys.modules.get(one.__module__)
        if getattr(module, "__file__", None) is None:
            try:
                texts.append(inspect.getsource(one))
            except (OSError, TypeError):
                texts.append(uuid.uuid4().hex)
    return digest_of({one.__module__ for one in kinds}, extra=texts)


def digest_of(modules: Iterable[str], leave_out: Collection[str] = (), extra: Iterable[str] = ()) -> str:
    """Returns 32 hex digits over the source of modules and of what they import.

    Imports are followed among the user's own modules, and within crackexp where a module of it is named. Of an
    installed library the named module counts, and the version.

    Args:
        modules: names of modules, imported or not; a name of something else is passed over.
        leave_out: names of modules that do not count, with all that lies below them.
        extra: texts that count too.
    """
    parts = [f"{name} {_file_digest(file)}" for name, file in sorted(_closure(set(modules), tuple(leave_out)))]
    return hashlib.blake2b("\n".join([*parts, *extra]).encode(), digest_size=16).hexdigest()


def find_module(name: str) -> Path | None:
    """Returns the file of a module, which is not imported, or None where there is none."""
    if name == "__main__" and (script := getattr(sys.modules[name], "__file__", None)):
        return Path(script)
    place: list[str] | None = None
    origin = None
    for end in range(1, name.count(".") + 2):
        spec = _find(".".join(name.split(".")[:end]), place)
        if spec is None:
            return None
        place = list(spec.submodule_search_locations or [])
        origin = spec.origin
    return Path(origin) if origin and Path(origin).is_file() else None


def _closure(named: set[str], leave_out: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Yields name and file of each module that counts."""
    within_crackexp = any(name.partition(".")[0] == PACKAGE.name for name in named)
    seen = set()
    waiting = list(named)
    while waiting:
        name = waiting.pop()
        if name in seen or any(name == other or name.startswith(f"{other}.") for other in leave_out):
            continue
        seen.add(name)
        top = name.partition(".")[0]
        if name not in named and _in_library(top):
            continue
        file = find_module(name)
        if file is None:
            continue
        if _in_library(top):
            yield f"{name} {_version(top)}", file
        elif within_crackexp or not file.resolve().is_relative_to(PACKAGE):
            yield name, file
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            waiting += [name.rpartition(".")[0]] if "." in name else []
            waiting += _imports(file, package)


@cache
def _in_library(top: str) -> bool:
    """Says whether a top-level module comes with Python or was installed as a package."""
    if top == PACKAGE.name:
        return False
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return True
    spec = _find(top, None)
    places = [spec.origin] if spec and spec.origin else list((spec and spec.submodule_search_locations) or [])
    return any(Path(place).resolve().is_relative_to(folder) for place in places for folder in _LIBRARIES)


def _version(top: str) -> str:
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _find(name: str, place: list[str] | None) -> Any:
    if place == []:
        return None
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, place) if find else None
        if spec is not None:
            return spec
    return None


def _imports(file: Path, package: str) -> list[str]:
    """Returns the names that a module may import: those after ``import``, and those of both parts of ``from``."""
    names: list[str] = []
    tree = _tree(file, file.stat().st_mtime_ns)
    for node in _run_nodes(tree) if tree else ():
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return names


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields the nodes of a module but for what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _run_nodes(node)


def _file_digest(file: Path) -> str:
    """Returns a digest of the syntax of a Python file without its docstrings, of the bytes of any other file."""
    tree = _tree(file, file.stat().st_mtime_ns)
    content = ast.dump(tree).encode() if tree else file.read_bytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@cache
def _tree(file: Path, modified: int) -> ast.Module | None:
    """Returns the syntax of a Python file without docstrings; None where it is no Python."""
    if file.suffix != ".py":
        return None
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return tree
