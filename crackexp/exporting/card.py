"""The file ``model.json`` beside exported files, which says what a program needs to use them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crackexp import __version__
from crackexp.data.classes.decisions import Classes
from crackexp.exporting.formats import FORMATS
from crackexp.models.weights import weights_digest
from crackexp.tracking.models import LoggedModel
from crackexp.utils.files import write_text

CARD = "model.json"


def facts_of(model: LoggedModel) -> dict[str, Any]:
    """Returns what a program needs to use `model`, serializable as JSON, without its files."""
    size = model.image_size
    return {
        "class_names": list(model.classes.names),
        "positive": model.classes.positive,
        "threshold": model.thresholds.crack,
        "unsure_from": model.thresholds.unsure,
        "image_size": size,
        "input": f"uint8 (n, {size}, {size}, 3), RGB from 0 to 255; preprocessing is inside",
        "resize": f"the whole image to {size} x {size}, whatever its shape, no crop and no border: "
        f"bilinear, or by area averaging where its longer side is more than {2 * size}",
        "output": f"float32 (n, {len(model.classes.names)}), the probability of each of class_names",
        "decision": _rule(model.classes),
        "run_id": model.run_id,
        "weights_digest": weights_digest(model.classifier),
        "crackexp_version": __version__,
    }


def _rule(classes: Classes) -> str:
    """Returns the rule of `Thresholds.decide` in words."""
    if len(classes.names) == 2:
        return (
            "crack where the probability of positive is at least threshold, else unsure from unsure_from on, else sound"
        )
    return (
        f"{classes.defect} where the probabilities of the classes of positive add up to threshold or more, else unsure "
        "where they add up to unsure_from or more, or one of them is the most probable class, else sound"
    )


def clear_others(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Removes the exported files of another model from `folder`.

    Returns:
        The entries of ``model.json`` for files of this model, by file name.
    """
    try:
        before = json.loads((folder / CARD).read_text())
        files: dict[str, Any] = before.pop("files")
        names = files.keys() & {kind.file for kind in FORMATS.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    if before == facts:
        return files
    for name in names:
        (folder / name).unlink(missing_ok=True)
    return {}


def write_card(folder: Path, facts: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    """Writes ``model.json`` with the facts of a model and an entry for each file, by file name."""
    write_text(folder / CARD, json.dumps({**facts, "files": files}, indent=2) + "\n")
