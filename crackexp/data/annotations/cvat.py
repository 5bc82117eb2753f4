"""The exports of CVAT: "CVAT for images 1.1", see https://docs.cvat.ai/docs/other/xml_format."""

from xml.etree import ElementTree

from crackexp.data.annotations.answers import AnnotatedImage, Answer


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, the only place where entities are declared, before any of them is read."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type, which CVAT never does; entities are not read")


def parse_cvat(data: bytes) -> list[AnnotatedImage]:
    """Returns the images of an export.

    Tags are answers for an image, and the labels of boxes, polygons and other shapes are its shapes. CVAT does not keep
    predictions apart, so those that were imported into it are answers too.

    Args:
        data: The content of the file.

    Raises:
        ValueError: It is no such export. The message says what is wrong with it.
    """
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_WithoutDoctype()))
    except (ElementTree.ParseError, LookupError) as error:  # LookupError: an unknown encoding
        raise ValueError(str(error)) from None
    if root.tag != "annotations":
        raise ValueError(f"it begins with <{str(root.tag)[:80]}> instead of <annotations>")
    version = root.findtext("version", "1.1").strip()
    if not version.startswith("1."):
        raise ValueError(f"its version is {version[:80]}, and 1.1 is read")
    if root.find("track") is not None:
        raise ValueError("it holds tracks of a video; export it as CVAT for images 1.1")
    images = root.findall("image")
    if not images:
        raise ValueError("it holds no images")
    return [_image(image, number) for number, image in enumerate(images, 1)]


def _image(image: ElementTree.Element, number: int) -> AnnotatedImage:
    name = image.get("name", "")
    if not name.strip():
        raise ValueError(f"image {number} has no name")
    choices: list[str] = []
    shapes: list[str] = []
    for child in image:
        label = child.get("label", "").strip()
        if not label:
            raise ValueError(f"<{child.tag}> of the image {name} has no label")
        (choices if child.tag == "tag" else shapes).append(label)
    answers = (Answer(tuple(choices), tuple(shapes)),) if choices or shapes else ()
    subset = image.get("subset", "")  # the folder of the image in the export of a project
    return AnnotatedImage(name, f"{subset}/{name}", answers=answers)
