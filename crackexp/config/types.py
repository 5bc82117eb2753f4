"""The types of values in a config: tables, numbers with their ranges, texts, and lists.

The tables are strict: a number is not a bool and not a text, an integer is written without a
fraction, and no number is infinite or NaN. What was checked is what runs, since nothing is converted.

Constructors of parts name these types in their annotations, see `crackexp.config.schema`.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from posixpath import normpath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from crackexp.utils.store_uri import uri_problem

Number = TypeVar("Number", int, float)


class Strict(BaseModel):
    """A table of keys that refuses any other key, and any value of another type.

    The text below an attribute is the sentence that `--help` and error messages show of the key.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        defer_build=True,  # until a value is validated, since a command has more tables than it looks at
    )


class Node(Strict):
    """A table of keys that instantiates the class ``_target_``."""

    target: str = Field(alias="_target_")
    """The dotted name of the class to build."""
    recursive: bool = Field(True, alias="_recursive_")
    """Whether nodes inside are built before they are passed on."""
    convert: Literal["none", "partial", "object", "all"] = Field("none", alias="_convert_")
    """How Hydra passes tables and lists on."""


class OpenNode(Node):
    """A node of a class that takes further keys, of which nothing is known."""

    model_config = ConfigDict(extra="allow")
    partial: Literal[False] = Field(False, alias="_partial_")
    """Parts are built whole."""


UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of control characters, of bytes that are no UTF-8, and of line and paragraph separators."""


def _text(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("text", "must not be empty")
    if any(unicodedata.category(character) in UNPRINTABLE for character in value):
        raise PydanticCustomError("text", "must not contain control characters or line breaks")
    return value


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[\w.-]+", value) or not value.strip("."):
        raise PydanticCustomError("file_name", "must be a name of letters, digits, dots, dashes and underscores")
    return value


def _tag(value: str) -> str:
    if not re.fullmatch(r"[\w.\- :/]+", value) or normpath(value) != value or value.startswith((".", "/")):
        raise PydanticCustomError(
            "tag", "must be a tag that MLflow can keep: letters, digits, spaces, and any of . _ - : / inside"
        )
    return value


def _distinct(values: list[str]) -> list[str]:
    for value in values:
        if values.count(value) > 1:
            raise PydanticCustomError("distinct", "must not hold {value} twice", {"value": value})
    return values


def _sums_to_one(shares: list[float]) -> list[float]:
    if abs(sum(shares) - 1) > 1e-6:
        total = f"{sum(shares):g}"
        raise PydanticCustomError("ratio", "must sum to 1, such as [0.7,0.2,0.1], not to {total}", {"total": total})
    return shares


def _lower_first(bounds: list[Number]) -> list[Number]:
    if bounds[0] > bounds[1]:
        raise PydanticCustomError("lower_first", "must have its lower value first")
    return bounds


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise PydanticCustomError("odd", "must be odd")
    return value


def _name_pattern(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise PydanticCustomError("pattern", "must be a regular expression: {error}", {"error": str(error)}) from error
    if groups != 1:
        raise PydanticCustomError("pattern", "must have one pair of parentheses around the name, such as '(.+)__'")
    return value


Text = Annotated[str, Field(max_length=4096), AfterValidator(_text)]
"""One line of text: a path, an address, an id."""
NamePattern = Annotated[Text, AfterValidator(_name_pattern)]
"""A regular expression whose only group is the part of a text that is a name."""
FileName = Annotated[str, Field(max_length=100), AfterValidator(_file_name)]
"""The name of something that files and folders are named after."""
PrintConfig = Literal["full", "changes", "none"]
"""What a command prints of its config."""
Tag = Annotated[str, Field(max_length=250), AfterValidator(_tag)]
"""The key of a tag of an MLflow run."""


def _store_uri(uri: str) -> str:
    if problem := uri_problem(uri):
        raise PydanticCustomError("store_uri", "{problem}", {"problem": problem})
    return uri


StoreUri = Annotated[Text, AfterValidator(_store_uri)]
"""The address of an MLflow store."""


def text_ending(*endings: str) -> AfterValidator:
    """Marks a text that is a path with one of `endings`."""

    def check(value: str) -> str:
        if not _text(value).endswith(endings):
            raise PydanticCustomError("ending", "must end with {endings}", {"endings": " or ".join(endings)})
        return value

    return AfterValidator(check)


Distinct = AfterValidator(_distinct)
"""Marks a list that holds nothing twice."""

Odd = AfterValidator(_odd)
"""Marks an integer that must be odd."""

Positive = Annotated[int, Field(gt=0, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Epochs = Annotated[int, Field(gt=0, le=100_000)]
BatchSize = Annotated[int, Field(gt=0, le=65_536)]
ImageSize = Annotated[int, Field(ge=32, le=2048)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e6)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=1e6)]
LearningRate = Annotated[float, Field(gt=0, le=1000)]
Gigabytes = Annotated[float, Field(gt=0, le=1e6)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
SignedShare = Annotated[float, Field(ge=-1, le=1)]
Pair = Annotated[list[Number], Field(min_length=2, max_length=2, strict=False)]
"""Two numbers, in a list or a tuple."""
Bounds = Annotated[Pair[Number], AfterValidator(_lower_first)]
"""A pair (lower, upper) of the numbers between which one is drawn."""
ZoomFactor = Annotated[float, Field(gt=-1, lt=1)] | Bounds[Annotated[float, Field(gt=-1, le=1)]]
"""The change of a length, which is never down to nothing: a number f stands for the bounds -f and f."""
Ratio = Annotated[list[PositiveFloat], Field(min_length=3, max_length=3), AfterValidator(_sums_to_one)]
"""The shares of train, val and test."""
Inputs = Text | Annotated[list[Text], Field(min_length=1)]
"""Files, folders or patterns."""
Level = Annotated[float, Field(gt=0.5, lt=1)]
"""The confidence of a comparison."""
PhotoThreshold = Annotated[float, Field(gt=0, le=1)]
"""The threshold of heat maps, which are 0 where there is nothing."""
MmPerPx = Annotated[float, Field(gt=0, le=10_000)]
Precision = Literal["float32", "tensorfloat32", "mixed_bfloat16", "mixed_float16"]
Monitor = Literal["val_loss", "val_accuracy", "loss", "accuracy"]


def key_type(model: type[BaseModel], key: str) -> str:
    """Returns the values that a key takes, such as "int in [1, 100000]"; "" for a table of known keys or any value.

    Example:

    >>> class Keys(Strict):
    ...     rate: LearningRate | None
    ...     mode: Literal["min", "max"]
    >>> key_type(Keys, "rate"), key_type(Keys, "mode")
    ('float in (0, 1000] or null', 'min or max')
    """
    schema = _properties(model).get(key, {})
    return type_text(schema) if schema.keys() & {"type", "anyOf", "enum", "const"} else ""


@cache
def _properties(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True).get("properties", {})


def _as_yaml(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def type_text(schema: Mapping[str, Any], quote: Callable[[Any], str] = _as_yaml, plural: str = "") -> str:
    """Returns the values that a JSON Schema allows in words.

    Args:
        schema: The schema of a value that is no table of known keys.
        quote: A function that writes one of several values of which one must be chosen.
        plural: The ending of the type, which is "s" for the items of a list.
    """
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_text(part, quote, plural) for part in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        *first, last = map(quote, schema["enum"] if "enum" in schema else [schema["const"]])
        return f"{', '.join(first)} or {last}" if first else last
    kind = schema.get("type")
    if kind is None:
        return f"any value{plural}"
    if kind == "null":
        return quote(None)
    if kind == "boolean":
        return f"{quote(True)} or {quote(False)}"
    if kind == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        count = "" if most is None else f"{most} " if least == most else f"{least} to {most} "
        return f"list of {count}{type_text(schema['items'], quote, 's')}"
    name = {"integer": "int", "number": "float", "string": "text", "object": "table"}[kind]
    bounds = _interval(schema) if kind in ("integer", "number") else ""
    return f"{name}{plural} in {bounds}" if bounds else f"{name}{plural}"


def _interval(schema: Mapping[str, Any]) -> str:
    """Returns the bounds of a number, such as ``[0, 1)``, or "" where it has none."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if schema["type"] == "integer" and above is not None:
        low = above + 1
    first = f"[{_number(low)}" if low is not None else f"({_number(above)}" if above is not None else "(-inf"
    last = f"{_number(high)}]" if high is not None else f"{_number(below)})" if below is not None else "inf)"
    return "" if (first, last) == ("(-inf", "inf)") else f"{first}, {last}"


def _number(value: float) -> str:
    power = int(value).bit_length() - 1
    return f"2^{power}" if power > 30 and value == 2**power else f"{value:.15g}"
