"""The exports of Label Studio: JSON and JSON-MIN, see https://labelstud.io/guide/task_format."""

import codecs
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from crackexp.data.annotations.answers import AnnotatedImage, Answer
from crackexp.data.files.listing import IMAGE_SUFFIXES

_OWN_KEYS = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "image"}
)
"""The keys of JSON-MIN that are no controls."""
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Result(_Part):
    type: str = ""
    value: dict[str, Any] = {}


class _Annotation(_Part):
    result: list[_Result]
    was_cancelled: bool = False
    ground_truth: bool = False


class _Task(_Part):
    data: dict[str, Any]
    annotations: list[_Annotation] = []


def parse_label_studio(data: bytes) -> list[AnnotatedImage]:
    """Returns the images of an export.

    Choices are answers for an image; those of a single region are not. The labels of rectangles, polygons, brushes and
    other shapes are its shapes. Predictions are no answers. Where an annotation is marked as ground truth, the others
    of its image do not count.

    Args:
        data: The content of the file. JSON-MIN has one record for each annotation, which are put together by the name
            of the image. It does not tell choices from the data of a task, so it may have one control of choices only.

    Raises:
        ValueError: It is no such export. The message says what is wrong with it.
    """
    try:
        items = TypeAdapter(list[dict[str, Any]]).validate_json(data.removeprefix(codecs.BOM_UTF8), strict=True)
        full = ["data" in item for item in items]
        if all(full):
            tasks = TypeAdapter(list[_Task]).validate_python(items)
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    if not items:
        raise ValueError("it holds no tasks")
    if all(full):
        return [_from_task(task, number) for number, task in enumerate(tasks, 1)]
    if any(full):
        raise ValueError(f"task {full.index(False) + 1} has no data")
    return _from_records(items)


def _from_task(task: _Task, number: int) -> AnnotatedImage:
    given = [annotation for annotation in task.annotations if not annotation.was_cancelled]
    given = [annotation for annotation in given if annotation.ground_truth] or given
    answers = tuple(_answer([(r.type, r.value) for r in annotation.result], number) for annotation in given)
    return _image(task.data[_image_key(task.data, number)], answers, skipped=bool(task.annotations))


def _from_records(records: Sequence[Mapping[str, Any]]) -> list[AnnotatedImage]:
    """Reads the records of JSON-MIN: the data of a task, the answer of each control, and facts on the annotation."""
    images, controls = [], {}
    for number, record in enumerate(records, 1):
        key = _image_key(record, number)
        results: list[tuple[str, Mapping[str, Any]]] = []
        for name, value in record.items():
            if name in _OWN_KEYS or name == key:
                continue
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str):
                    one = {"choices": [one]}
                if not isinstance(one, dict):
                    continue
                if "choices" in one:
                    controls[name] = number
                results += [(kind, one) for kind in one if kind == "choices" or kind.endswith("labels")]
        images.append(_image(record[key], (_answer(results, number),)))
    if len(controls) > 1:
        raise ValueError(
            f"in JSON-MIN, the answer could be each of {', '.join(sorted(controls))}; export as JSON, which tells"
        )
    return images


def _answer(results: Sequence[tuple[str, Mapping[str, Any]]], number: int) -> Answer:
    choices: list[str] = []
    shapes: list[str] = []
    for kind, value in results:
        if kind == "choices" and "x" not in value:  # else it is a choice for a region, which has a place
            choices += _texts(value.get(kind), kind, number)
        elif kind.endswith("labels"):
            shapes += _texts(value.get(kind, []), kind, number)
    return Answer(tuple(choices), tuple(shapes))


def _texts(value: Any, kind: str, number: int) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        raise ValueError(f"task {number}: {kind} must be a list of texts, not {str(value)[:80]}")
    return [one.strip() for one in value]


def _image_key(data: Mapping[str, Any], number: int) -> str:
    """Returns the key of the data of a task that names its image."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if "image" in texts:
        return "image"
    keys = [key for key, text in texts.items() if PurePosixPath(_path(text)).suffix.lower() in IMAGE_SUFFIXES]
    if len(keys) != 1:
        named = f"several images: {', '.join(keys)}" if keys else "no image"
        raise ValueError(f"task {number} names {named}")
    return keys[0]


def _image(name: str, answers: tuple[Answer, ...], skipped: bool = False) -> AnnotatedImage:
    path = _path(name)
    stored = _UPLOADED.fullmatch(PurePosixPath(path).name)
    return AnnotatedImage(name, path, stored and stored[1], answers, skipped)


def _path(address: str) -> str:
    """Returns the path in the address of an image: of a local file, an upload, a web page or a bucket."""
    try:
        parts = urlsplit(address)
    except ValueError:  # such as an open bracket
        return address
    if parts.path.rstrip("/").endswith("/data/local-files"):
        return parse_qs(parts.query, errors="surrogateescape").get("d", [address])[-1]
    if "://" in address or parts.path.startswith("/data/"):
        return unquote(parts.path, errors="surrogateescape")
    return address


def _first(error: ValidationError) -> str:
    """Returns the first thing that is wrong, with the task that it is in."""
    first = error.errors(include_url=False)[0]
    said = first["msg"].replace("Input should be", "must be")
    if not first["loc"]:
        return said if first["type"] == "json_invalid" else "a list of tasks is needed"
    number, *keys = first["loc"]
    return f"task {int(number) + 1}: {'.'.join(map(str, keys)) or 'it'} {said[:1].lower()}{said[1:]}"
