"""Labels written as files that Label Studio and CVAT import."""

import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

from crackexp.utils.errors import DataError
from crackexp.utils.files import replacing
from crackexp.utils.names import on_one_line

Kind = Literal["annotations", "predictions"]
"""Whether labels are those of people, or those of a model which people are to look at."""

LOCAL_FILES = "/data/local-files/?d="
"""The beginning of the addresses by which Label Studio shows files of its own machine."""
_IMAGE, _CHOICES, _RECTANGLES = "image", "class", "damage"
"""The names of the tags in `labelling_config`."""
_ROUNDING = 1e-6
"""How many pixels the edges of a box may be outside of its image, since their sum is rounded."""
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Box:
    """A rectangle in an image.

    Attributes:
        label: The name of what is in it.
        x: Its left edge, in pixels of the image.
        y: Its upper edge.
        width: Its width, above 0.
        height: Its height, above 0.

    Raises:
        ValueError: An edge is not finite, or the box has no area.
    """

    label: str
    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        edges = (self.x, self.y, self.width, self.height)
        if not all(map(math.isfinite, edges)) or self.width <= 0 or self.height <= 0:
            raise ValueError(f"A box needs finite edges and an area. Received: {edges}")


@dataclass(frozen=True)
class LabelledImage:
    """An image with its label and boxes.

    Attributes:
        file: The path of the image as the program is to know it, with slashes.
        width: The width of the image in pixels.
        height: The height of the image in pixels.
        label: The class of the image; None leaves it open.
        boxes: The boxes in it.
        score: The probability of the label, in predictions; None where it is not known.

    Raises:
        ValueError: The image has no area, or a box is not in it.

    Example:

    >>> image = LabelledImage("site 1/wall.jpg", 400, 200, "crack", (Box("crack", 100, 50, 200, 20),))
    >>> write_label_studio(Path("tasks.json"), [image], kind="annotations")
    >>> write_cvat(Path("annotations.xml"), [image], kind="annotations")
    """

    file: str
    width: int
    height: int
    label: str | None = None
    boxes: Sequence[Box] = ()
    score: float | None = None

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"An image needs a width and a height. Received: {self.width} x {self.height}")
        right, lower = self.width + _ROUNDING, self.height + _ROUNDING
        for box in self.boxes:
            if min(box.x, box.y) < 0 or box.x + box.width > right or box.y + box.height > lower:
                raise ValueError(f"A box must be in its image of {self.width} x {self.height} px. Received: {box}")


def write_label_studio(
    file: Path,
    images: Iterable[LabelledImage],
    kind: Kind,
    address: str = LOCAL_FILES,
    model_version: str = "crackexp",
) -> None:
    """Writes a JSON file of tasks that Label Studio imports into a project with the `labelling_config` of the labels.

    Args:
        file: The file to write. Its folder is created.
        images: The images.
        kind: Whether the labels are annotations, or predictions for annotators to correct.
        address: What is put before the path of each image, to make it an address that Label Studio opens.
        model_version: The name of the model, by which Label Studio tells predictions apart.
    """
    tasks = []
    for number, image in enumerate(images, 1):
        task: dict[str, Any] = {"data": {_IMAGE: address + quote(os.fsencode(image.file))}}
        if results := _results(image, number):
            given: dict[str, Any] = {"result": results}
            if kind == "predictions":
                given["model_version"] = model_version
                if image.score is not None:
                    given["score"] = image.score
            task[kind] = [given]
        tasks.append(task)
    text = json.dumps(tasks, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def labelling_config(classes: Iterable[str], boxes: Iterable[str] = ()) -> str:
    """Returns the labelling configuration of a Label Studio project for the tasks of `write_label_studio`.

    Args:
        classes: The labels that an image may have.
        boxes: The labels that a box may have.

    Example:

    >>> print(labelling_config(["crack", "sound"]))
    <View>
      <Image name="image" value="$image" />
      <Choices name="class" toName="image" choice="single">
        <Choice value="crack" />
        <Choice value="sound" />
      </Choices>
    </View>
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=_IMAGE, value=f"${_IMAGE}")
    choices = ElementTree.SubElement(view, "Choices", name=_CHOICES, toName=_IMAGE, choice="single")
    for name in classes:
        ElementTree.SubElement(choices, "Choice", value=_in_xml(name))
    if labels := list(boxes):
        rectangles = ElementTree.SubElement(view, "RectangleLabels", name=_RECTANGLES, toName=_IMAGE)
        for name in labels:
            ElementTree.SubElement(rectangles, "Label", value=_in_xml(name))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode")


def write_cvat(file: Path, images: Iterable[LabelledImage], kind: Kind) -> None:
    """Writes an XML file that CVAT uploads as "CVAT 1.1" into a task with the same images and labels.

    Args:
        file: The file to write. Its folder is created.
        images: The images, in the order of the task. CVAT finds them by their names.
        kind: Whether CVAT shows the labels as made by people or by a model.

    Raises:
        DataError: XML cannot hold the name of a file or a label.
    """
    listed, source = list(images), "manual" if kind == "annotations" else "auto"
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    ElementTree.SubElement(task, "size").text = str(len(listed))
    ElementTree.SubElement(task, "mode").text = "annotation"
    labels = ElementTree.SubElement(task, "labels")
    named = {image.label for image in listed if image.label} | {box.label for one in listed for box in one.boxes}
    for name in sorted(named):
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = _in_xml(name)
        ElementTree.SubElement(label, "attributes")
    for number, image in enumerate(listed):
        facts = {"id": str(number), "name": _in_xml(image.file), "width": str(image.width), "height": str(image.height)}
        node = ElementTree.SubElement(root, "image", facts)
        for box in image.boxes:
            right, lower = box.x + box.width, box.y + box.height
            edges = {"xtl": box.x, "ytl": box.y, "xbr": right, "ybr": lower}
            places = {name: f"{value:.2f}" for name, value in edges.items()}
            shape = {"label": box.label, "source": source, "occluded": "0", **places, "z_order": "0"}
            ElementTree.SubElement(node, "box", shape)
        if image.label is not None:
            ElementTree.SubElement(node, "tag", label=image.label, source=source)
    ElementTree.indent(root)
    data = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    with replacing(file) as temporary:
        temporary.write_bytes(data)


def _results(image: LabelledImage, number: int) -> list[dict[str, Any]]:
    """Returns the results of an annotation or a prediction, each with an identifier of its own in the file."""
    results: list[dict[str, Any]] = []
    if image.label is not None:
        results.append({"from_name": _CHOICES, "type": "choices", "value": {"choices": [image.label]}})
    for box in image.boxes:
        value = {
            "x": 100 * box.x / image.width,
            "y": 100 * box.y / image.height,
            "width": 100 * box.width / image.width,
            "height": 100 * box.height / image.height,
            "rotation": 0,
            "rectanglelabels": [box.label],
        }
        size = {"original_width": image.width, "original_height": image.height, "image_rotation": 0}
        results.append({"from_name": _RECTANGLES, "type": "rectanglelabels", **size, "value": value})
    return [{"id": f"{number}-{place}", "to_name": _IMAGE, **result} for place, result in enumerate(results, 1)]


def _in_xml(text: str) -> str:
    if found := _NOT_IN_XML.search(text):
        raise DataError(
            f"XML cannot hold the character {found[0]!a} of a name. Rename it. Received: {on_one_line(text)}"
        )
    return text
