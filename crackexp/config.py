"""From a composed config to a checked one: resolved once, every mistake named with its key, value and fix."""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra.utils
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError, create_model

from crackexp import schema
from crackexp.errors import ConfigError
from crackexp.options import compose_listed, suggest, typed


def check(cfg: DictConfig, root: type[schema.Strict]) -> DictConfig:
    """Resolves every interpolation of `cfg` once and checks it whole.

    The items of lists of options, `schema.LISTED`, become ``{OPTION: {key: value}}`` with all keys of the option.

    Args:
        cfg: what Hydra composed, with the scalars of `root` and groups of `schema.GROUPS`.
        root: schema of the scalars at the top, such as `roots.TrainRoot`.

    Returns:
        The resolved config, read-only.

    Raises:
        ConfigError: lists all mistakes, a line each.
    """
    values = _resolve(compose_listed(cfg))
    problems = [problem for path in schema.LISTED for problem in _check_listed(path, values)]
    scalars = {key: value for key, value in values.items() if key not in _groups()}
    problems += _validate(root, scalars, prefix="")
    for group in _groups() & values.keys():
        problems += _check_group(group, values[group])
    if not problems:
        problems += _check_across(values)
    if problems:
        raise ConfigError("\n".join(problems))
    checked = OmegaConf.create(values)
    OmegaConf.set_readonly(checked, True)
    return checked


def check_register(values: Mapping[str, Any]) -> list[str]:
    """Returns what keeps a model that is to be registered from being so."""
    if values.get("register") is None:
        return []
    received = f"Received: {_source('register', values['register'])}"
    if values["tracking"]["_target_"].endswith(".NoLogger"):
        return [f"tracking=none has no registry. Type tracking=local, or leave out register. {received} tracking=none"]
    if values["tracking"].get("log_model") is False:
        return [
            "A model that is not logged cannot be registered. Type tracking.log_model=true, or leave out register. "
            f"{received} tracking.log_model=False"
        ]
    return []


def instantiate(node: Any, **kwargs: Any) -> Any:
    """Builds the object that a config node describes: the one door to `hydra.utils.instantiate`.

    Raises:
        ConfigError: what a UserError inside the target says, or that its arguments do not fit.
    """
    try:
        return hydra.utils.instantiate(node, **kwargs)
    except hydra.errors.InstantiationException as error:
        if isinstance(error.__cause__, ConfigError):
            raise error.__cause__ from None
        target = OmegaConf.select(node, "_target_") if OmegaConf.is_config(node) else None
        raise ConfigError(
            f"{target} cannot be built from its config: {error.__cause__ or error}. "
            f"Received: {dict(node) if node else node}"
        ) from error


def listed(cfg: DictConfig, path: str) -> list[tuple[Any, dict[str, Any]]]:
    """Builds the datasets of a checked list of options.

    Args:
        cfg: checked.
        path: of the list, such as ``mix``.

    Returns:
        Of each item the dataset, and the values of the keys that an item takes beside those of its dataset.

    Raises:
        ConfigError: see `instantiate`.
    """
    beside = schema.LISTED[path].model_fields
    built = []
    for option, node in [pair for item in OmegaConf.select(cfg, path) for pair in item.items()]:
        own = OmegaConf.create({key: value for key, value in node.items() if key not in beside})
        try:
            built.append((instantiate(own), {key: node[key] for key in beside}))
        except ConfigError as error:
            raise ConfigError(f"{option} in {path}: {error}") from error
    return built


def _groups() -> set[str]:
    return {*schema.GROUPS, "callbacks"}


def _resolve(cfg: DictConfig) -> dict[str, Any]:
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise ConfigError("\n".join(f"{key} has no value. Type {key}=VALUE." for key in missing))
    try:
        container = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"The config cannot be resolved: {error}") from error
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _check_listed(path: str, values: dict[str, Any]) -> list[str]:
    """Checks the composed options of the list at `path`, and fills in what stands beside the keys of each dataset."""
    parent, _, key = path.rpartition(".")
    items = (values.get(parent) or {}).get(key) if parent else values.get(key)
    extra = schema.LISTED[path]
    models = {
        target: create_model(model.__name__, __base__=(extra, model))
        for target, model in schema.GROUPS["dataset"].items()
    }
    names: list[Any] = []
    problems: list[str] = []
    for option, node in [pair for item in items or [] for pair in item.items()]:
        prefix = f"{path}.{option}"
        beside = {key: node[key] for key in extra.model_fields if key in node}
        wrong = _check_node(prefix, node, models) + _check_place(prefix, node)
        if node.get("_target_") not in models:
            wrong += _validate(extra, beside, prefix)
        if not wrong:
            node |= extra.model_validate(beside).model_dump()
        name = node.get("name")
        if name in names or not re.fullmatch(r"[\w.-]+", str(name)):
            wrong.append(
                f"Each dataset in {path} has a name of its own, of letters, digits, dots and dashes. "
                f"Type {typed(f'{prefix}.name')}. Received: {_source(f'{prefix}.name', name)}"
            )
        problems += wrong
        names.append(name)
    return problems


def _check_group(group: str, node: Any) -> list[str]:
    if group == "callbacks":
        if not isinstance(node, Mapping):
            return [f"callbacks must be a table of named callbacks. Received: callbacks={node}"]
        return [
            problem
            for name, callback in node.items()
            if callback is not None
            for problem in _check_node(f"callbacks.{name}", callback, schema.CALLBACKS)
        ]
    if group == "augmentation" and isinstance(node, Mapping):
        transforms = node.get("transforms") or {}
        problems = [
            f"augmentation.transforms.{name} needs a _target_. Received: {transform}"
            for name, transform in transforms.items()
            if transform is not None and "_target_" not in transform
        ]
        if problems:
            return problems
    return _check_node(group, node, schema.GROUPS[group])


def _check_node(path: str, node: Any, models: Mapping[str, type[schema.Strict]]) -> list[str]:
    if not isinstance(node, Mapping):
        choice = path.split(".")[0]
        return [f"{path} must be a table, chosen by {choice}=NAME. Received: {path}={node}"]
    if "" in models:
        return _validate(models[""], node, path)
    target = node.get("_target_")
    if not isinstance(target, str):
        return [f"{path} needs a _target_: the class to build. Received: {path}={dict(node)}"]
    if target in models:
        return _validate(models[target], node, path)
    if target.startswith("crackexp.") or not _module_exists(target):
        return [
            f"{path}._target_ names no class that can be imported.{suggest(target, models)} "
            f"A class of your own must be importable from where you stand. "
            f"Received: {path}._target_={target}"
        ]
    return _validate(schema.OwnNode, node, path)


def _module_exists(target: str) -> bool:
    module = target.rpartition(".")[0]
    try:
        return bool(module) and importlib.util.find_spec(module.split(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _validate(model: type[schema.Strict], node: Mapping[str, Any], prefix: str) -> list[str]:
    try:
        model.model_validate(dict(node))
    except ValidationError as errors:
        return [_explain(error, model, prefix) for error in errors.errors()]
    return []


def _explain(error: Any, model: type[schema.Strict], prefix: str) -> str:
    key = ".".join(str(part) for part in ([prefix] if prefix else []) + list(error["loc"]))
    value = error["input"]
    if error["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()]
        known = [name for name in known if not name.startswith("_")]
        hint = suggest(str(error["loc"][-1]), known)
        return f"{key} is no key of {prefix or 'the config'}.{hint} Received: {_source(key, value)}"
    if error["type"] == "missing":
        return f"{key} has no value. Type {typed(key)}. Received: {_source(prefix or key, value)}"
    hint = ""
    if error["type"] == "literal_error" and isinstance(value, str):
        choices = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        hint = suggest(value, choices)
    message = error["msg"].replace("Input should", "must").replace("String should", "must")
    return f"{key}: {message}.{hint} Type {typed(key)}. Received: {_source(key, value)}"


def _source(key: str, value: Any) -> str:
    """Says ``key=value`` and where it came from: an override, or the file of the chosen option."""
    text = f"{key}={value}" if not isinstance(value, Mapping) else f"{key}={dict(value)}"
    if not HydraConfig.initialized():
        return text
    hydra_config = HydraConfig.get()
    whole = re.sub(r"(\.\d+)+$", "", key)
    for override in hydra_config.overrides.task:
        name = override.lstrip("+~").partition("=")[0]
        if name == whole or (name in schema.LISTED and key.startswith(f"{name}.")):
            return f"{text} (override {override})"
    group = key.split(".")[0]
    choice = hydra_config.runtime.choices.get(group)
    file = f"{group}/{choice}.yaml" if choice else f"{hydra_config.job.config_name}.yaml"
    return f"{text} (config {file}, or what it includes)"


def _check_across(values: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong between keys that are each right on their own."""
    problems: list[str] = []
    if "split" in values and "ratio" in values["split"]:
        ratio = values["split"]["ratio"]
        if abs(sum(ratio) - 1) > 1e-6:
            problems.append(
                f"split.ratio must sum to 1, not {sum(ratio):g}. Type split.ratio=[0.7,0.2,0.1]. "
                f"Received: {_source('split.ratio', ratio)}"
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
        problems += _check_weights(values["backbone"])
    if "loss" in values and not values["loss"]["_target_"].rpartition(".")[2].startswith(
        ("SparseCategorical", "Categorical")
    ):
        problems.append(
            "The head gives one probability a class (softmax), which this loss does not fit. "
            "Type loss=sparse_categorical_crossentropy. "
            f"Received: {_source('loss._target_', values['loss']['_target_'])}"
        )
    problems += check_register(values)
    return problems + _check_place("dataset", values.get("dataset", {}))


def _check_place(prefix: str, dataset: Mapping[str, Any]) -> list[str]:
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
        f"Type backbone.weights=FILE. Received: {_source('backbone.weights', weights)}"
    ]


def _check_batch(values: Mapping[str, Any], train_share: float) -> list[str]:
    dataset = values["dataset"]
    known = [n for n in (dataset.get("count"), dataset.get("limit")) if n is not None]
    if known and not values["mix"] and values["batch_size"] > int(min(known) * train_share):
        return [
            f"batch_size is larger than the {int(min(known) * train_share)} training images. "
            f"Type a smaller batch_size, or a larger dataset.limit. "
            f"Received: {_source('batch_size', values['batch_size'])}"
        ]
    return []
