"""What is checked between keys of a config that are each right on their own."""

from collections.abc import Mapping
from typing import Any

from crackexp.config.mistakes import source
from crackexp.config.options import packaged_targets


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
    problems += _check_given(values)
    return problems + check_place("dataset", values.get("dataset", {}))


def _check_given(values: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong where a dataset that is known to come without a split is to keep its own."""
    target = values.get("dataset", {}).get("_target_")
    own = target not in packaged_targets("dataset") or target.endswith(".ImageFolder")
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
