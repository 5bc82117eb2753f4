"""Files for Label Studio and CVAT: their documented structure, and the labels that are read from them again."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crackexp.data.annotations.label_studio import parse_label_studio
from crackexp.data.annotations.writing import Box, LabelledImage, labelling_config, write_cvat, write_label_studio
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.utils.errors import DataError

WALL = LabelledImage("north/wall 1.jpg", 400, 200, "crack", (Box("crack", 100, 50, 200, 20.5),), score=0.75)


def write_json(folder: Path, images: list[LabelledImage]) -> Path:
    write_label_studio(folder / "tasks.json", images, "annotations")
    return folder / "tasks.json"


def write_xml(folder: Path, images: list[LabelledImage]) -> Path:
    write_cvat(folder / "annotations.xml", images, "annotations")
    return folder / "annotations.xml"


@pytest.mark.parametrize("write", [write_json, write_xml])
def test_what_is_written_is_read_again(
    tmp_path: Path, draw_tree: Callable[..., Path], write: Callable[[Path, list[LabelledImage]], Path]
) -> None:
    folder = draw_tree(tmp_path / "set", {"a & b": 2, 'Nord "Süd" 100%': 2, "c#d+e": 2})
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    labels = ["crack", "sound", None, "unsure", None, "sound"]
    boxes = [(), (), (Box("crack", 1, 1, 2, 2),), (), (), ()]
    images = [LabelledImage(file, 8, 8, label, given) for file, label, given in zip(files, labels, boxes, strict=True)]
    index = ImageFolder(
        name="folder", path=write(folder, images), positive=None, limit=None, on_bad_file="error", cache=tmp_path
    ).prepare()
    read = dict(zip(index.files.tolist(), (index.class_names[label] for label in index.labels), strict=True))
    assert read == {files[0]: "crack", files[1]: "sound", files[2]: "crack", files[5]: "sound"}
    reasons = {remark.file: remark.reason for remark in index.account.left_out}
    assert reasons == {files[3]: "the answer is unsure", files[4]: "it is not annotated"}


def test_a_task_of_label_studio_has_the_documented_structure(tmp_path: Path) -> None:
    write_label_studio(tmp_path / "tasks.json", [WALL], "predictions", model_version="mobilenet 3")
    choice = {"id": "1-1", "to_name": "image", "from_name": "class", "type": "choices", "value": {"choices": ["crack"]}}
    place = {"x": 25.0, "y": 25.0, "width": 50.0, "height": 10.25, "rotation": 0, "rectanglelabels": ["crack"]}
    size = {"original_width": 400, "original_height": 200, "image_rotation": 0}
    box = {"id": "1-2", "to_name": "image", "from_name": "damage", "type": "rectanglelabels", **size, "value": place}
    assert json.loads((tmp_path / "tasks.json").read_text()) == [
        {
            "data": {"image": "/data/local-files/?d=north/wall%201.jpg"},
            "predictions": [{"result": [choice, box], "model_version": "mobilenet 3", "score": 0.75}],
        }
    ]


def test_predictions_are_not_read_as_labels(tmp_path: Path) -> None:
    write_label_studio(tmp_path / "tasks.json", [WALL], "predictions")
    [image] = parse_label_studio((tmp_path / "tasks.json").read_bytes())
    assert image.path == WALL.file
    assert image.answers == ()


def test_the_config_of_a_project_names_the_controls_of_the_tasks(tmp_path: Path) -> None:
    view = ElementTree.fromstring(labelling_config(["crack", 'sound "A"'], boxes=["crack"]))
    [task] = json.loads(write_json(tmp_path, [WALL]).read_text())
    controls = {node.get("name"): (node.tag.lower(), node.get("toName")) for node in view}
    for result in task["annotations"][0]["result"]:
        assert controls[result["from_name"]] == (result["type"], result["to_name"])
    assert view.find("Image").attrib == {"name": "image", "value": "$image"}
    assert [node.get("value") for node in view.iter("Choice")] == ["crack", 'sound "A"']
    assert [node.get("value") for node in view.iter("Label")] == ["crack"]


def test_a_file_for_cvat_has_the_documented_structure(tmp_path: Path) -> None:
    write_cvat(tmp_path / "annotations.xml", [WALL, LabelledImage("b.jpg", 8, 9)], "predictions")
    root = ElementTree.parse(tmp_path / "annotations.xml").getroot()
    assert root.tag == "annotations"
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "2"
    assert root.findtext("meta/task/mode") == "annotation"
    assert [name.text for name in root.iterfind("meta/task/labels/label/name")] == ["crack"]
    first, second = root.findall("image")
    assert first.attrib == {"id": "0", "name": "north/wall 1.jpg", "width": "400", "height": "200"}
    assert second.attrib == {"id": "1", "name": "b.jpg", "width": "8", "height": "9"}
    assert first.find("tag").attrib == {"label": "crack", "source": "auto"}
    edges = {"xtl": "100.00", "ytl": "50.00", "xbr": "300.00", "ybr": "70.50"}
    assert first.find("box").attrib == {"label": "crack", "source": "auto", "occluded": "0", "z_order": "0", **edges}
    assert not list(second)


def test_names_that_are_not_utf_8_reach_label_studio_and_not_cvat(tmp_path: Path) -> None:
    image = LabelledImage(os.fsdecode(b"caf\xe9.jpg"), 8, 8, "crack")
    [read] = parse_label_studio(write_json(tmp_path, [image]).read_bytes())
    assert read.path == image.file
    with pytest.raises(DataError, match=r"cannot hold the character '\\udce9' .* Received: caf\\xe9\.jpg"):
        write_xml(tmp_path, [image])
    assert not (tmp_path / "annotations.xml").exists()


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((0, 0, 0, 1), "an area"),
        ((0, 0, float("nan"), 1), "finite"),
        ((-1, 0, 2, 2), "in its image of 8 x 8"),
        ((5, 5, 4, 1), "in its image"),
    ],
)
def test_a_box_outside_of_its_image_is_refused(box: tuple[float, float, float, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LabelledImage("a.jpg", 8, 8, "crack", (Box("crack", *box),))
