"""Digests of source code, with which stored results are recognised as outdated after an edit of the code.

A digest covers the given modules and all modules that they import, which are found from their import statements, also
inside functions. No code is run. Comments, docstrings and formatting do not change a digest.
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
"""The packages whose classes are not the user's own."""

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_LIBRARIES = tuple(
    {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {Path(folder).resolve() for folder in (*site.getsitepackages(), site.getusersitepackages())}
)


def source_digest(part: Any) -> str | None:
    """Returns 32 hex digits over the source of a user's own part, or None for a part of crackexp or Keras.

    The digest covers the modules that define its class and the bases of that class, and the user's own modules that
    these import. For a class without a file, such as one in a notebook, it covers the text of the class. Where there is
    no text either, it is random, so that no stored result is found again.

    Args:
        part: A class, a function, or an instance of a class.
    """
    kind = part if isinstance(part, type) or inspect.isroutine(part) else type(part)
    kinds = [base for base in getattr(kind, "__mro__", (kind,)) if base.__module__.partition(".")[0] not in KNOWN]
    if not kinds:
        return None
    texts = []
    for base in kinds:
        module = sys.modules.get(base.__module__)
        if getattr(module, "__file__", None) is None:
            try:
                texts.append(inspect.getsource(base))
            except (OSError, TypeError):
                texts.append(uuid.uuid4().hex)
    return digest_of({base.__module__ for base in kinds}, extra=texts)


def digest_of(modules: Iterable[str], leave_out: Collection[str] = (), extra: Iterable[str] = ()) -> str:
    """Returns 32 hex digits over the source of modules and of all that they import.

    Imports are followed among the user's own modules, and within crackexp where one of its modules is given. For an
    installed library, only the given module and the version of the library count.

    Args:
        modules: The names of modules, which need not be imported. Names that are not modules are ignored.
        leave_out: The names of modules and packages that do not count.
        extra: Further texts that the digest covers.
    """
    parts = [f"{name} {_file_digest(file)}" for name, file in sorted(_closure(set(modules), tuple(leave_out)))]
    return hashlib.blake2b("\n".join([*parts, *extra]).encode(), digest_size=16).hexdigest()


def find_module(name: str) -> Path | None:
    """Returns the file of a module without importing it, or None where there is none."""
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
    """Yields the name and the file of each module that a digest covers."""
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
    """Returns whether a top-level module belongs to Python or to an installed package."""
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
    """Returns the names that a module may import: those after ``import``, and both parts of ``from ... import``."""
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
    """Yields the nodes of a module, without the blocks that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _run_nodes(node)


def _file_digest(file: Path) -> str:
    """Returns a digest of the syntax of a Python file without its docstrings, or of the bytes of any other file."""
    tree = _tree(file, file.stat().st_mtime_ns)
    content = ast.dump(tree).encode() if tree else file.read_bytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@cache
def _tree(file: Path, modified: int) -> ast.Module | None:
    """Returns the syntax tree of a Python file without docstrings, or None where the file is not Python."""
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
