"""What a class takes to be built, read from its source: nothing is imported, and nothing of it runs.

Importing a backbone means importing Keras, which takes seconds. A mistake in a config is to be told at once, and
a class of the user's own is not to run before its config was looked at. So griffe reads the constructors.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import griffe

from crackexp.utils.source_code import find_module

REQUIRED: Any = object()
"""Stands where an argument has no default."""

_TYPING = ("builtins", "typing", "collections.abc", "pydantic", "annotated_types", "crackexp.config.types")
"""Modules that are imported for the types that annotations name. They are small; what others name is any value."""
_EMPTY = ("object", "abc.ABC", "typing.Protocol", "typing.Generic")
"""Base classes whose constructors take nothing."""
_PLAIN = (int, float, str, bool, NoneType)
_REFUSING = ("keras.",)
"""Libraries whose classes refuse the keyword arguments that they do not name, though ``**kwargs`` is declared."""


@dataclass(frozen=True)
class Argument:
    """An argument of a constructor.

    Attributes:
        type: The type that its annotation names, with the range where it is `Annotated`. `Any` where the annotation is
            missing, or is no type that a YAML file can hold.
        default: Its default. None where that is an expression, and `REQUIRED` where there is none.
        description: What the docstring says of it, in one line. It may be empty.
    """

    type: Any
    default: Any
    description: str


@dataclass(frozen=True)
class Signature:
    """The keyword arguments of a class.

    Attributes:
        arguments: The arguments by their names.
        open: Whether the class takes further keyword arguments, of which nothing is known.
    """

    arguments: Mapping[str, Argument] = field(default_factory=dict)
    open: bool = False


@cache
def signature_of(target: str) -> Signature | None:
    """Reads the constructor of a class, or the one that it inherits.

    Keyword arguments that a constructor passes on as ``**kwargs`` are those of its base class.

    Args:
        target: The dotted name of the class, which may be one that a package re-exports.

    Returns:
        The signature, or None where no class of that name stands in the source.

    Example:

    >>> widths = signature_of("crackexp.models.backbone.SmallCNN").arguments["widths"]
    >>> widths.description
    'The number of channels of each block.'
    """
    found = _find(target)
    return None if found is None else _read(found)


def _find(target: str) -> griffe.Class | None:
    """Finds a class by its dotted name, by way of the imports of its module."""
    name, seen = target, set()
    while name not in seen:
        seen.add(name)
        module, _, leaf = name.rpartition(".")
        tree = _module(module) if module else None
        member = tree.members.get(leaf) if tree else None
        if isinstance(member, griffe.Alias):
            name = member.target_path
        else:
            return member if isinstance(member, griffe.Class) else None
    return None


@cache
def _module(name: str) -> griffe.Module | None:
    file = find_module(name)
    if file is None or file.suffix != ".py":
        return None
    try:
        code = file.read_text(encoding="utf-8")
        package = griffe.Module(name, filepath=file) if file.name == "__init__.py" else None
        return griffe.visit(name, filepath=file, code=code, parent=package)
    except (SyntaxError, UnicodeDecodeError):
        return None


def _read(part: griffe.Class) -> Signature:
    constructor = part.members.get("__init__")
    inherited = _inherited(part)
    if not isinstance(constructor, griffe.Function):
        return inherited
    told = _descriptions(part) | _descriptions(constructor)
    own, rest = {}, ""
    for parameter in list(constructor.parameters)[1:]:
        if parameter.kind is griffe.ParameterKind.var_keyword:
            rest = parameter.name
        elif parameter.kind not in (griffe.ParameterKind.var_positional, griffe.ParameterKind.positional_only):
            default = REQUIRED if parameter.default is None else _literal(str(parameter.default))
            own[parameter.name] = Argument(_type(parameter.annotation), default, told.get(parameter.name, ""))
    if not rest:
        return Signature(own)
    if not re.search(rf"super\(\)\.__init__\([^)]*\*\*{rest}\b", _source(constructor)):
        return Signature(own, not part.path.startswith(_REFUSING))
    described = {
        name: Argument(argument.type, argument.default, told.get(name, argument.description))
        for name, argument in inherited.arguments.items()
        if name not in own
    }
    return Signature({**own, **described}, inherited.open)


def _inherited(part: griffe.Class) -> Signature:
    """Returns the signature of the first base class that takes something; of a base class not found, an open one."""
    bases = [base.canonical_path if isinstance(base, griffe.Expr) else str(base) for base in part.bases]
    signatures = [signature_of(base) or Signature(open=True) for base in bases if base not in _EMPTY]
    return next((signature for signature in signatures if signature.arguments or signature.open), Signature())


def _source(function: griffe.Function) -> str:
    lines = Path(str(function.filepath)).read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[(function.lineno or 1) - 1 : function.endlineno])


def _descriptions(documented: griffe.Class | griffe.Function) -> dict[str, str]:
    """Returns the first paragraph that the docstring has for each argument, as one line."""
    if documented.docstring is None:
        return {}
    sections = griffe.parse_google(documented.docstring, warnings=False)
    parameters = [item for section in sections if section.kind.value == "parameters" for item in section.value]
    return {item.name: " ".join(item.description.partition("\n\n")[0].split()) for item in parameters}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def _type(annotation: str | griffe.Expr | None) -> Any:
    """Returns the type that an annotation names, or `Any` where it is none that a config is held to."""
    if annotation is None or isinstance(annotation, str):
        return Any
    names = [part for part in annotation.iterate(flat=True) if isinstance(part, griffe.ExprName)]
    try:
        namespace = {name.name: _object(name.canonical_path) for name in names}
        holder = type("Holder", (), {"__annotations__": {"value": str(annotation)}})
        found = get_type_hints(holder, localns=namespace, include_extras=True)["value"]
    except (ImportError, AttributeError, NameError, TypeError, SyntaxError):
        return Any
    return found if all(_plain(inner) for inner in _leaves(found)) else Any


def _object(path: str) -> Any:
    """Returns what a dotted name stands for, where it belongs to one of the packages of types."""
    module, _, name = path.rpartition(".")
    if not module:
        module = "builtins"
    if not any(module == package or module.startswith(f"{package}.") for package in _TYPING):
        raise ImportError(path)
    return getattr(import_module(module), name)


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yields the types that a type is made of, without what is said about them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin in (Union, UnionType, list, dict, Sequence, Mapping):
        for inner in get_args(annotation):
            yield from _leaves(inner)
    elif origin is not Literal:
        yield annotation


def _plain(kind: Any) -> bool:
    return kind is Any or kind in (*_PLAIN, list, dict)
