"""Exports of Label Studio and CVAT as datasets: which files they mean, their labels, and what is told of the others."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from crackexp.data.index import ImageIndex
from crackexp.data.sources import annotation_file
from crackexp.data.sources.image_folder import ImageFolder
from crackexp.utils.errors import DataError

DrawTree = Callable[..., Path]


@pytest.fixture
def images(tmp_path: Path, draw_tree: DrawTree) -> Path:
    """Two folders of images, numbered from 00000.jpg."""
    return draw_tree(tmp_path / "set", {"north": 3, "south": 2})


def prepare(file: Path, **options: object) -> ImageIndex:
    given = {"positive": None, "limit": None, "on_bad_file": "error", **options}
    return ImageFolder(name="folder", path=file, cache=file.parent.parent / "cache", **given).prepare()


def classes(index: ImageIndex) -> dict[str, str]:
    """Returns the class of each file."""
    return {file: index.class_names[label] for file, label in zip(index.files.tolist(), index.labels, strict=True)}


def told(index: ImageIndex) -> dict[str, str]:
    """Returns the reason of each file that was left out."""
    return {remark.file: remark.reason for remark in index.account.left_out}


def choice(*names: str) -> dict[str, Any]:
    return {"id": "a", "from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": list(names)}}


def rectangle(name: str) -> dict[str, Any]:
    value = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 5.5, "rotation": 0, "rectanglelabels": [name]}
    return {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value, "original_width": 8}


def task(image: str, *annotations: Sequence[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """Returns a task of Label Studio with annotations, each of which has results."""
    given = [{"id": 1, "was_cancelled": False, "result": list(results), **facts} for results in annotations]
    return {"id": 1, "data": {"image": image}, "annotations": given, "predictions": []}


def label_studio(folder: Path, *tasks: object) -> Path:
    (folder / "export.json").write_text(json.dumps(list(tasks)))
    return folder / "export.json"


def cvat(folder: Path, *images: str, head: str = "") -> Path:
    """Writes an export of CVAT; each image is its name and what is in it, separated by a bar."""
    nodes = []
    for number, image in enumerate(images):
        name, _, inside = image.partition("|")
        nodes.append(f'<image id="{number}" name={quoteattr(name)} width="8" height="8">{inside}</image>')
    text = f"{head}<annotations><version>1.1</version><meta><task/></meta>{''.join(nodes)}</annotations>"
    (folder / "annotations.xml").write_text(text)
    return folder / "annotations.xml"


TWO = [task("north/00000.jpg", [choice("crack")]), task("south/00000.jpg", [choice("sound")])]
"""An image of each class."""


def test_choices_are_the_classes_of_images(images: Path) -> None:
    index = prepare(label_studio(images, *TWO, task("north/00001.jpg", [choice("sound")])))
    assert classes(index) == {"north/00000.jpg": "crack", "north/00001.jpg": "sound", "south/00000.jpg": "sound"}
    assert index.positives == ("crack",)
    assert index.account.exit_status == 0


def test_tags_are_the_classes_of_images(images: Path) -> None:
    tags = '<tag label="crack" source="manual"><attribute name="width">2</attribute></tag>'
    index = prepare(cvat(images, f"north/00000.jpg|{tags}", 'south/00001.jpg|<tag label="sound"/>'))
    assert classes(index) == {"north/00000.jpg": "crack", "south/00001.jpg": "sound"}


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=photos/north/00001.jpg",
        "/data/local-files/?d=photos%2Fnorth%2F00001.jpg",
        "http://localhost:8080/data/local-files/?d=north/00001.jpg",
        "https://example.org/photos/north/00001.jpg?signature=a/b#c",
        "s3://bucket/site/north/00001.jpg",
        "C:\\photos\\north\\00001.jpg",
        "/home/anna/north/00001.jpg",
    ],
)
def test_addresses_lead_to_files(images: Path, address: str) -> None:
    index = prepare(label_studio(images, *TWO, task(address, [choice("crack")])))
    assert classes(index)["north/00001.jpg"] == "crack"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("wall.jpg", "/data/upload/3/0123abcd-wall.jpg"),
        ("wall 3 (1).jpg", "/data/upload/3/0123abcd-wall_3_1.jpg"),
        ("Stütze.jpg", "/data/upload/3/0123abcd-St%C3%BCtze.jpg"),
        ("0123abcd-wall.jpg", "/data/upload/3/0123abcd-wall.jpg"),
    ],
)
def test_uploads_lead_to_the_files_that_they_were(images: Path, name: str, address: str) -> None:
    (images / "north" / "00002.jpg").rename(images / "north" / name)
    index = prepare(label_studio(images, *TWO, task(address, [choice("crack")])))
    assert classes(index)[f"north/{name}"] == "crack"


def test_the_subset_of_a_project_of_cvat_is_a_folder(images: Path) -> None:
    text = cvat(images, 'x.jpg|<tag label="sound"/>', '00000.jpg|<tag label="crack"/>').read_text()
    text = text.replace('name="00000.jpg"', 'name="00000.jpg" subset="south"').replace("x.jpg", "00001.jpg")
    text = text.replace('name="00001.jpg"', 'name="00001.jpg" subset="north"')
    (images / "annotations.xml").write_text(text)
    assert classes(prepare(images / "annotations.xml")) == {"north/00001.jpg": "sound", "south/00000.jpg": "crack"}


LEFT_OUT = {
    "nothing": ([], {}, "it is not annotated"),
    "skipped": ([[]], {"was_cancelled": True}, "its annotation was skipped"),
    "empty": ([[]], {}, "it has no answer"),
    "no choice": ([[choice()]], {}, "it has no answer"),
    "unsure": ([[choice("Unsure")]], {}, "the answer is unsure"),
    "several": ([[choice("crack", "sound")]], {}, "several answers: crack, sound"),
    "disagreement": ([[choice("crack")], [choice("sound")]], {}, "its annotations disagree: crack; sound"),
    "doubt": ([[choice("crack")], [choice("unsure")]], {}, "its annotations disagree: crack; the answer is unsure"),
    "contradiction": ([[choice("sound"), rectangle("crack")]], {}, "the answer is sound, but crack is drawn in it"),
    "other box": ([[rectangle("rebar")]], {}, "it has no answer, and what is drawn in it is no damage class: rebar"),
    "boxes": ([[rectangle("crack"), rectangle("spalling")]], {}, "several classes are drawn in it: crack, spalling"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_an_image_without_a_clear_answer_is_left_out_with_the_reason(images: Path, name: str) -> None:
    annotations, facts, reason = LEFT_OUT[name]
    index = prepare(label_studio(images, *TWO, task("north/00001.jpg", *annotations, **facts)))
    assert len(index) == 2
    assert told(index)["north/00001.jpg"] == reason
    assert index.account.exit_status == 0


def test_predictions_are_no_answers(images: Path) -> None:
    guess = {"data": {"image": "north/00001.jpg"}, "predictions": [{"result": [choice("crack")], "score": 0.9}]}
    assert told(prepare(label_studio(images, *TWO, guess)))["north/00001.jpg"] == "it is not annotated"


def test_annotations_that_agree_count_once_and_skipped_ones_not(images: Path) -> None:
    agreed = task("north/00001.jpg", [choice("sound")], [choice("sound")], [choice("crack")])
    agreed["annotations"][2]["was_cancelled"] = True
    assert classes(prepare(label_studio(images, *TWO, agreed)))["north/00001.jpg"] == "sound"


def test_the_ground_truth_decides(images: Path) -> None:
    disputed = task("north/00001.jpg", [choice("sound")], [choice("crack")])
    disputed["annotations"][1]["ground_truth"] = True
    assert classes(prepare(label_studio(images, *TWO, disputed)))["north/00001.jpg"] == "crack"


def test_boxes_of_a_damage_class_make_a_class(images: Path) -> None:
    boxes = task("north/00001.jpg", [rectangle("crack"), rectangle("rebar"), rectangle("crack")])
    assert classes(prepare(label_studio(images, *TWO, boxes)))["north/00001.jpg"] == "crack"
    polygon = '<polygon label="crack" points="1,1;2,2;2,1" occluded="0" z_order="0"/>'
    file = cvat(images, f"north/00001.jpg|{polygon}", 'south/00000.jpg|<tag label="sound"/>', "south/00001.jpg")
    index = prepare(file)
    assert classes(index) == {"north/00001.jpg": "crack", "south/00000.jpg": "sound"}
    assert told(index)["south/00001.jpg"] == "it is not annotated"


def test_what_damage_is_can_be_typed(images: Path) -> None:
    boxes = task("north/00001.jpg", [rectangle("D00")])
    file = label_studio(images, boxes, task("south/00000.jpg", [choice("fine")]))
    assert classes(prepare(file, positive="D00"))["north/00001.jpg"] == "D00"


def test_choices_for_a_region_say_nothing_of_the_image(images: Path) -> None:
    region = choice("severe")
    region["value"] |= {"x": 1, "y": 1, "width": 5, "height": 5}
    index = prepare(label_studio(images, *TWO, task("north/00001.jpg", [region, choice("sound")])))
    assert classes(index)["north/00001.jpg"] == "sound"


def test_classes_choose_among_answers_of_several_kinds(images: Path) -> None:
    tasks = [task(f"north/0000{i}.jpg", [choice("wall"), choice(name)]) for i, name in enumerate(("crack", "sound"))]
    file = label_studio(images, *tasks)
    with pytest.raises(DataError, match=r"None of 2 images .* several answers: wall, crack .*dataset\.classes=\["):
        prepare(file)
    assert classes(prepare(file, classes=["crack", "sound"])) == {
        "north/00000.jpg": "crack",
        "north/00001.jpg": "sound",
    }


def test_images_that_the_export_does_not_name_are_told(images: Path) -> None:
    index = prepare(label_studio(images, *TWO))
    assert told(index)["north/00002.jpg"] == "export.json does not name it"


def test_names_that_lead_to_no_file_are_listed(images: Path) -> None:
    file = label_studio(images, *TWO, *(task(f"lost {i}.jpg", [choice("crack")]) for i in range(25)))
    with pytest.raises(DataError, match=r"25 images of the export do not lead .*\n  lost 0\.jpg is no file") as caught:
        prepare(file)
    assert "and 5 more" in str(caught.value)
    assert f"or leave missing files out with dataset.on_bad_file=skip. Received: dataset.path={file}" in str(
        caught.value
    )
    index = prepare(file, on_bad_file="skip")
    assert len(index) == 2
    assert "no file below" in told(index)["lost 3.jpg"]
    assert index.account.exit_status == 3


def test_names_that_could_be_several_files_are_listed(images: Path) -> None:
    file = label_studio(images, *TWO, task("00001.jpg", [choice("crack")]))
    with pytest.raises(DataError, match=r"00001\.jpg could be each of north/00001\.jpg, south/00001\.jpg") as caught:
        prepare(file, on_bad_file="skip")
    assert "on_bad_file=skip" not in str(caught.value)


def test_two_names_for_one_file_are_listed(images: Path) -> None:
    file = label_studio(images, *TWO, task("north/00002.jpg", [choice("crack")]), task("00002.jpg", [choice("sound")]))
    with pytest.raises(DataError, match=r"00002\.jpg and north/00002\.jpg are both north/00002\.jpg"):
        prepare(file)


def minimal(image: str, **answers: Any) -> dict[str, Any]:
    facts = {"annotator": 1, "annotation_id": 1, "created_at": "2026-01-01", "updated_at": "2026-01-01"}
    return {"image": image, "id": 1, **answers, **facts, "lead_time": 2.5}


def test_json_min_is_read(images: Path) -> None:
    records = [minimal("north/00000.jpg", kind="crack"), minimal("north/00001.jpg", kind="sound")]
    records += [
        minimal("north/00001.jpg", kind="crack"),
        minimal("south/00000.jpg", kind={"choices": ["crack", "sound"]}),
    ]
    records += [
        minimal("south/00001.jpg", box=[{"x": 1, "rectanglelabels": ["crack"]}]),
        minimal("north/00002.jpg", kind="sound"),
    ]
    index = prepare(label_studio(images, *records))
    assert classes(index) == {"north/00000.jpg": "crack", "north/00002.jpg": "sound", "south/00001.jpg": "crack"}
    assert told(index) == {
        "north/00001.jpg": "its annotations disagree: sound; crack",
        "south/00000.jpg": "several answers: crack, sound",
    }


def test_json_min_with_two_texts_is_refused(images: Path) -> None:
    records = [minimal("north/00000.jpg", kind="crack", site="A1"), minimal("north/00001.jpg", kind="sound")]
    with pytest.raises(DataError, match=r"could be each of kind, site; export as JSON"):
        prepare(label_studio(images, *records))


def test_the_image_of_a_task_may_have_another_key(images: Path) -> None:
    photo = {"data": {"photo": "north/00001.jpg", "site": "A1"}, "annotations": [{"result": [choice("sound")]}]}
    assert classes(prepare(label_studio(images, *TWO, photo)))["north/00001.jpg"] == "sound"


BROKEN_JSON = {
    "empty": ("", "EOF"),
    "cut": (json.dumps(TWO)[:-30], "Invalid JSON: EOF"),
    "no list": ('{"data": {}}', "a list of tasks is needed"),
    "no tasks": ("[]", "it holds no tasks"),
    "no objects": ("[1]", "task 1: it must be an object"),
    "nested": ("[" * 100_000, "recursion limit"),
    "data": ('[{"data": 3}]', "task 1: data must be"),
    "results": (
        '[{"data": {"image": "a.jpg"}, "annotations": [{"result": 1}]}]',
        "task 1: annotations.0.result must be",
    ),
    "flag": (json.dumps([task("a.jpg", [], was_cancelled="no")]), "was_cancelled must be a valid boolean"),
    "choices": (
        json.dumps([task("a.jpg", [choice() | {"value": {"choices": "crack"}}])]),
        "choices must be a list of texts",
    ),
    "no image": ('[{"data": {"text": "a"}}]', "task 1 names no image"),
    "two images": ('[{"data": {"a": "a.jpg", "b": "b.jpg"}}]', "task 1 names several images: a, b"),
    "mixed": ('[{"data": {"image": "a.jpg"}}, {"image": "a.jpg"}]', "task 2 has no data"),
    "latin": ("[\xe9]".encode("latin-1").decode("utf-8", "surrogateescape"), "Invalid JSON"),
}
ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
BROKEN_XML = {
    "empty": ("", "no element found"),
    "cut": ("<annotations><image name='a.jpg'", "unclosed token"),
    "entities": (f"{ENTITIES}<annotations>&b;</annotations>", "it declares a document type"),
    "files": (
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotations>&a;</annotations>',
        "document type",
    ),
    "another file": ("<html/>", "it begins with <html> instead of <annotations>"),
    "video": ("<annotations><track/></annotations>", "tracks of a video; export it as CVAT for images 1.1"),
    "version": ("<annotations><version>2.0</version></annotations>", "its version is 2.0"),
    "no images": ("<annotations/>", "it holds no images"),
    "no name": ("<annotations><image/></annotations>", "image 1 has no name"),
    "no label": (
        "<annotations><image name='a.jpg'><box/></image></annotations>",
        "<box> of the image a.jpg has no label",
    ),
    "encoding": ('<?xml version="1.0" encoding="klingon"?><annotations/>', "unknown encoding"),
    "nested": (f"<annotations>{'<a>' * 50_000}{'</a>' * 50_000}</annotations>", "it holds no images"),
}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        *(("export.json", text, said) for text, said in BROKEN_JSON.values()),
        *(("annotations.xml", text, said) for text, said in BROKEN_XML.values()),
    ],
    ids=[*(f"json {name}" for name in BROKEN_JSON), *(f"xml {name}" for name in BROKEN_XML)],
)
def test_a_file_that_is_no_export_is_refused_in_a_sentence(images: Path, name: str, text: str, said: str) -> None:
    (images / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError) as caught:
        prepare(images / name)
    assert said in str(caught.value)
    assert str(caught.value).endswith(f"Received: dataset.path={images / name}")


def test_a_file_that_is_too_large_is_refused_unread(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation_file, "MAX_BYTES", 10)
    with pytest.raises(DataError, match=r"at most 0 MB are read\. Export fewer tasks"):
        prepare(label_studio(images, *TWO))


def test_an_export_beside_loose_images_is_named(images: Path) -> None:
    file = label_studio(images / "north", *TWO)
    with pytest.raises(DataError, match=f"type dataset.path={file} if that file"):
        prepare(images / "north")
