"""What is checked between keys of a config that are each right on their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crackexp.config.mistakes import source
from crackexp.config.schema import GROUPS

APPLICATION = "crackexp.models.backbone.Application"


def check_across(values: Mapping[str, Any]) -> list[str]:
    """Returns what does not fit together in a config, a sentence each.

    Args:
        values: checked key by key. The keys of classes of the user's own may be anything.
    """
    problems: list[str] = []
    split = values.get("split", {})
    if split.get("_target_", "").startswith("crackexp.") and "ratio" in split:
        ratio = values["split"]["ratio"]
        if abs(sum(ratio) - 1) > 1e-6:
            problems.append(
                f"split.ratio must sum to 1, not {sum(ratio):g}. Type split.ratio=[0.7,0.2,0.1]. "
                f"Received: {source('split.ratio', ratio)}"
            )
        elif "batch_size" in values:
            problems += _check_batch(values, ratio[0])
    if "trainer" in values and "backbone" in values:
        from_nothing = values["backbone"]["_target_"].endswith(".SmallCNN")
        if from_nothing and values["trainer"]["_target_"].endswith(".FrozenTrainer"):
            problems.append(
                "backbone=small_cnn has no pretrained weights, so its frozen features mean nothing. "
                "Type trainer=scratch. Received: backbone=small_cnn trainer=frozen"
            )
        cells = values["head"]["_target_"].endswith(".CellHead")
        if cells and values["trainer"].get("head_epochs") == 0:
            problems.append(
                "head=cells standardises what a trained backbone sees, and is fitted before anything else. "
                "Type trainer=frozen or trainer=finetune. Received: head=cells trainer.head_epochs=0"
            )
    if "backbone" in values and values["backbone"]["_target_"] == APPLICATION:
        problems += _check_weights(values["backbone"])
    problems += _check_given(values) + check_register(values)
    return problems + check_place("dataset", values.get("dataset", {}))


def check_register(values: Mapping[str, Any]) -> list[str]:
    """Returns what keeps a model that is to be registered from being so."""
    if values.get("register") is None:
        return []
    received = f"Received: {source('register', values['register'])}"
    if values["tracking"]["_target_"].endswith(".NoLogger"):
        return [f"tracking=none has no registry. Type tracking=local, or leave out register. {received} tracking=none"]
    if values["tracking"].get("log_model") is False:
        return [
            "A model that is not logged cannot be registered. Type tracking.log_model=true, or leave out register. "
            f"{received} tracking.log_model=False"
        ]
    return []


def _check_given(values: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong where a dataset that is known to come without a split is to keep its own."""
    target = values.get("dataset", {}).get("_target_")
    own = target not in GROUPS["dataset"] or target.endswith(".ImageFolder")
    if own or not values.get("split", {}).get("_target_", "").endswith(".GivenSplit"):
        return []
    name = values["dataset"]["name"]
    return [
        f"{name} comes without a split; folders and tables may have one (dataset=folder). Type split=ratio or "
        f"split=grouped. Received: dataset={name} split=given"
    ]


def check_place(prefix: str, dataset: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong where a dataset is said to lie in two places."""
    if dataset.get("path") and dataset.get("archive"):
        return [
            f"{prefix}.path and {prefix}.archive are two places for one dataset. Give one of them. "
            f"Received: {prefix}.path={dataset['path']} {prefix}.archive={dataset['archive']}"
        ]
    return []


def _check_weights(backbone: Mapping[str, Any]) -> list[str]:
    weights, name, alpha = backbone.get("weights"), backbone.get("name"), backbone.get("alpha", 1.0)
    if weights == "bundled" and (name, alpha) != ("mobilenet_v2", 1.0):
        return [
            "backbone.weights=bundled fits mobilenet_v2 with alpha 1 only. Type "
            "backbone.weights=imagenet to download, or backbone.weights=FILE. "
            f"Received: name={name} alpha={alpha}"
        ]
    if weights in (None, "bundled", "imagenet") or Path(weights).is_file():
        return []
    return [
        "backbone.weights is none of bundled, imagenet and null, and no file either. "
        f"Type backbone.weights=FILE. Received: {source('backbone.weights', weights)}"
    ]


def _check_batch(values: Mapping[str, Any], train_share: float) -> list[str]:
    dataset = values["dataset"]
    known = [n for n in (dataset.get("count"), dataset.get("limit")) if isinstance(n, int)]
    if known and not values["mix"] and values["batch_size"] > int(min(known) * train_share):
        return [
            f"batch_size is larger than the {int(min(known) * train_share)} training images. "
            f"Type a smaller batch_size, or a larger dataset.limit. "
            f"Received: {source('batch_size', values['batch_size'])}"
        ]
    return []
