"""What annotators say of an image, and the class that follows from it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crackexp.data.classes.decisions import UNSURE
from crackexp.data.classes.names import meaning


class Answer(NamedTuple):
    """One annotation of an image.

    Attributes:
        choices: The labels of the image as a whole: choices in Label Studio, tags in CVAT.
        shapes: The labels of the boxes, polygons and other shapes that were drawn in the image.
    """

    choices: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnnotatedImage:
    """An image of an annotation file.

    Attributes:
        name: The name of the image, as the file has it.
        path: The path in that name, without what an address has beside it.
        uploaded: The name that the image may have had before the program stored it; None where it is not known.
        answers: The annotations, without those that were skipped.
        skipped: Whether an annotator skipped the image.
    """

    name: str
    path: str
    uploaded: str | None = None
    answers: tuple[Answer, ...] = ()
    skipped: bool = False


def class_of(image: AnnotatedImage, classes: Sequence[str] | None, positives: Collection[str] | None) -> str:
    """Returns the class of an image.

    The class is the choice for the image. Without a choice, an image with shapes of one damage class is of this class.
    Nothing else makes a class: an image in which nothing was drawn may be sound, or was not looked at.

    Args:
        image: The image.
        classes: The classes that count where an annotation has choices of several kinds; None for all.
        positives: The damage classes that the user typed; None to know them by their names.

    Raises:
        ValueError: The class is not known. The message is the reason, in a few words.

    Example:

    >>> wall = AnnotatedImage("wall.jpg", "wall.jpg", answers=(Answer(shapes=("crack", "crack")),))
    >>> class_of(wall, classes=None, positives=None)
    'crack'
    """
    if not image.answers:
        raise ValueError("its annotation was skipped" if image.skipped else "it is not annotated")
    found = list(dict.fromkeys(_judged(answer, classes, positives) for answer in image.answers))
    if len(found) > 1:
        raise ValueError(f"its annotations disagree: {'; '.join(label or reason for label, reason in found)}")
    label, reason = found[0]
    if label is None:
        raise ValueError(reason)
    return label


def _judged(answer: Answer, classes: Sequence[str] | None, positives: Collection[str] | None) -> tuple[str | None, str]:
    """Returns the class that follows from one annotation; or None, and the reason."""
    choices, shapes = list(dict.fromkeys(answer.choices)), list(dict.fromkeys(answer.shapes))
    if any(choice.casefold() == UNSURE and choice not in (classes or ()) for choice in choices):
        return None, "the answer is unsure"
    choices = [choice for choice in choices if classes is None or choice in classes] or choices
    if len(choices) > 1:
        return None, f"several answers: {', '.join(choices)}"
    damage = [shape for shape in shapes if _is_damage(shape, positives)]
    if choices and damage and not _is_damage(choices[0], positives):
        return None, f"the answer is {choices[0]}, but {damage[0]} is drawn in it"
    if choices:
        return choices[0], ""
    if len(damage) > 1:
        return None, f"several classes are drawn in it: {', '.join(damage)}"
    if damage:
        return damage[0], ""
    if shapes:
        return None, f"it has no answer, and what is drawn in it is no damage class: {', '.join(shapes)}"
    return None, "it has no answer"


def _is_damage(name: str, positives: Collection[str] | None) -> bool:
    return meaning(name) in ("crack", "damage") if positives is None else name in positives
