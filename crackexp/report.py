"""What a run leaves behind besides its weights: params, files, figures, tables and result.json."""

import math
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from crackexp import __version__
from crackexp.config.commands import next_command
from crackexp.config.overrides import task_overrides
from crackexp.data.accounting import Account
from crackexp.data.datamodule import DataModule
from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.data.index import ImageIndex
from crackexp.data.splits.leaks import Leaks
from crackexp.evaluation.figures import reliability_diagram
from crackexp.evaluation.policy import FittedPolicy
from crackexp.evaluation.report import (
    classification_report_text,
    decisions_table,
    metrics_table,
    most_wrong,
    predictions_table,
)
from crackexp.metrics.intervals import Interval
from crackexp.models.calibrated import calibrated
from crackexp.reporting import Column, Report, Section, Table, figures
from crackexp.tracking.environment import git_state, hardware, packages
from crackexp.tracking.logger import Logger
from crackexp.tracking.result import RESULT, RunResult
from crackexp.training.history import TrainingHistory
from crackexp.training.module import CrackModule
from crackexp.utils.csv_text import csv_text
from crackexp.utils.files import write_text
from crackexp.utils.names import visible
from crackexp.utils.seeds import generator

if TYPE_CHECKING:
    from crackexp.judging import Judged

GRID = 9


def log_run(logger: Logger, cfg: DictConfig, levels: Mapping[str, Any] | None = None) -> None:
    """Logs config, overrides, code, packages and machine.

    Files in the run's own folder are no params: they would tell any two runs apart.

    Args:
        logger: of the run.
        cfg: checked.
        levels: what a sweep varies; a chosen option such as backbone=resnet50 is no key of the config.
    """
    params = {**(levels or {}), **_flatten(cfg)}
    logger.log_params({key: value for key, value in params.items() if cfg.paths.output not in str(value)})
    logger.log_text(OmegaConf.to_yaml(cfg), "config/config.yaml")
    if HydraConfig.initialized():
        overrides = task_overrides(HydraConfig.get())
        logger.log_text("\n".join(overrides) + "\n", "config/overrides.txt")
    logger.log_text("\n".join(packages()) + "\n", "environment/packages.txt")
    tags = {f"hardware.{key}": value for key, value in hardware().items()}
    tags["crackexp.version"] = __version__
    git = git_state(Path(__file__).parent) or git_state(Path.cwd())
    if git:
        tags |= {"git.commit": git.commit, "git.dirty": str(bool(git.diff)).lower()}
        if git.diff:
            logger.log_text(git.diff, "environment/git.diff")
    logger.set_tags(tags)


def log_data(logger: Logger, datamodule: DataModule) -> None:
    """Logs the datasets with their digests, the split, sample images and the views of one of them."""
    log_dataset(logger, datamodule.dataset.name, datamodule.index, "training")
    for mixed in datamodule.mix:
        log_dataset(logger, mixed.name, mixed.index, "mixed")
        logger.log_params({f"data.mixed_images.{mixed.name}": len(mixed.train)})
        rows = {"file": map(visible, mixed.train.files.tolist()), "digest": mixed.train.digests}
        logger.log_text(csv_text(pd.DataFrame(rows)), f"data/mixed/{mixed.name}.csv")
    logger.log_file(datamodule.split.manifest, "data")
    sizes = {part: len(getattr(datamodule, part)) for part in ("train", "val", "test")}
    logger.log_params({f"data.{part}_images": count for part, count in sizes.items()})
    if leaks := datamodule.split.leaks:
        log_leaks(logger, leaks)

    train, size = datamodule.train, datamodule.image_size
    chosen = generator(datamodule.seed, "samples").permutation(len(train))[:GRID]
    names = [train.class_names[train.labels[row]] for row in chosen]
    logger.log_figure(figures.sample_grid(_images(train, chosen, size), names), "data/samples.png")

    cracked = int(np.flatnonzero(train.damaged)[0])
    image, digest = resize(load_image(train.path(cracked)), size), str(train.digests[cracked])
    views = [datamodule.view(epoch)(image, digest) for epoch in range(GRID)]
    logger.log_figure(figures.augmentation_grid(np.stack(views)), "data/augmentations.png")


def log_others(logger: Logger, others: Mapping[str, ImageIndex], left_out: Mapping[str, int]) -> None:
    """Logs the other datasets that the run is judged on, and how many images were left out of each."""
    for name, index in others.items():
        log_dataset(logger, name, index, "evaluation")
        logger.log_params({f"data.also.{name}.images": len(index), f"data.also.{name}.left_out": left_out[name]})


def log_account(logger: Logger, account: Account) -> None:
    """Logs how many files were used, left out, doubted and ignored, and a table of those left out and doubted."""
    logger.log_params({f"data.files_{name}": count for name, count in account.counts.items()})
    if account.left_out or account.doubts:
        logger.log_text(csv_text(account.table()), "data/files.csv")


def log_leaks(logger: Logger, leaks: Leaks) -> None:
    """Logs how many test images training has seen, and which."""
    counts = {"data.test_copies_in_train": leaks.copies, "data.test_photos_in_train": leaks.photos}
    logger.log_params({name: count for name, count in counts.items() if count is not None})
    rows = [(visible(file), visible(mate), kind, similarity) for file, mate, kind, similarity in leaks.rows]
    table = pd.DataFrame(rows, columns=["file", "mate", "kind", "similarity"])
    logger.log_text(csv_text(table), "data/leaks.csv")


def log_dataset(logger: Logger, name: str, index: ImageIndex, context: str) -> None:
    """Logs which images were used, and what for."""
    counts = np.bincount(index.labels, minlength=len(index.class_names))
    profile = {
        "images": len(index),
        "positive": index.classes.positive,
        **{f"images_{name}": int(n) for name, n in zip(index.class_names, counts, strict=True)},
    }
    logger.log_dataset(name, index.root, index.fingerprint, profile, context)


def log_network(logger: Logger, module: CrackModule) -> None:
    """Logs the summary and the picture of the network, and its sizes."""
    text = StringIO()
    module.classifier.summary(line_length=100, print_fn=lambda line: text.write(f"{line}\n"), show_trainable=True)
    logger.log_text(text.getvalue(), "network/summary.txt")
    layers = [
        (
            layer.name,
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            layer.count_params(),
            layer.trainable,
        )
        for layer in module.classifier.layers
    ]
    logger.log_figure(figures.architecture(layers), "network/architecture.png")
    logger.log_params(
        {
            "network.parameters": module.classifier.count_params(),
            "network.trainable_parameters": sum(
                math.prod(weight.shape) for weight in module.classifier.trainable_weights
            ),
        }
    )


def log_training(logger: Logger, history: TrainingHistory) -> None:
    """Logs the training curves."""
    figure = figures.training_curves(history.metrics, history.before, history.phases)
    logger.log_figure(figure, "training/curves.png")


def named_metrics(prefix: str, scores: Mapping[str, Interval]) -> dict[str, float]:
    """Returns PREFIX/NAME, PREFIX/NAME_low and PREFIX/NAME_high of each metric; what is no number is left out."""
    ends = {
        f"{prefix}/{name}{end}": value
        for name, score in scores.items()
        for end, value in (("", score.value), ("_low", score.low), ("_high", score.high))
    }
    return {name: value for name, value in ends.items() if math.isfinite(value)}


def log_predictions(
    logger: Logger,
    judged: "Judged",
    policy: FittedPolicy,
    settings: DictConfig,
    image_size: int,
    explain: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Logs what the classifier says of images: figures, tables and galleries.

    With two classes the decision follows from the prediction, but for the threshold. With more, what was decided stands
    beside what was predicted in each of the tables. Images of one class have no curves.

    Args:
        logger: of the run.
        judged: the images, and what the classifier says of them.
        policy: that decided.
        settings: the config group `evaluation`.
        image_size: S, of the pictures in the galleries, pixels.
        explain: maps images (k, S, S, 3) uint8 to what in them speaks for damage, (k, S, S) float32, see `GradCam`.
    """
    index, probabilities, prefix = judged.index, judged.probabilities, judged.prefix
    labels, names, positive = index.labels, index.class_names, index.classes.indices[0]
    predictions = probabilities.argmax(axis=1)
    decided = judged.decisions if len(policy.classes.names) > 2 else None
    scores = judged.whole.scores if decided is None else {**judged.whole.scores, **judged.decided}
    logger.log_text(csv_text(metrics_table(scores), index=True), f"{prefix}/metrics.csv")
    text, counts = classification_report_text(labels, predictions, names), None
    if decided is not None:
        counts = decisions_table(labels, decided, index.classes, policy.thresholds.defect)
        text += f"\nDecisions, {policy}\n{counts.to_string()}\n"
    logger.log_text(text, f"{prefix}/classification_report.txt")
    table = predictions_table(index.files, index.digests, labels, probabilities, index.classes, index.groups, decided)
    logger.log_text(csv_text(table), f"{prefix}/predictions.csv")

    drawn = {
        "confusion_matrix": figures.confusion_matrix(labels, predictions, names, counts),
        "reliability": reliability_diagram(labels, probabilities),
    }
    if len(np.unique(labels)) > 1:
        drawn["roc_curve"] = figures.roc_curve(labels, probabilities, names, positive)
        drawn["precision_recall_curve"] = figures.precision_recall_curve(labels, probabilities, names, positive)
    for name, figure in drawn.items():
        logger.log_figure(figure, f"{prefix}/{name}.png")

    batch = generator(0, "prediction grid").permutation(len(index))[:GRID]
    titles = [f"{names[labels[row]]} / {names[predictions[row]]}" for row in batch]
    grid = figures.prediction_grid(_images(index, batch, image_size), titles, labels[batch] == predictions[batch])
    logger.log_figure(grid, f"{prefix}/predictions.png")
    worst = most_wrong(labels, probabilities, settings.gallery)
    shown = _images(index, worst, image_size)
    errors = int((labels != predictions).sum())
    gallery = figures.error_gallery(shown, explain(shown), table.iloc[worst], errors, index.classes.target)
    logger.log_figure(gallery, f"{prefix}/most_wrong.png")


def log_model(
    logger: Logger, cfg: DictConfig, module: CrackModule, datamodule: DataModule, policy: FittedPolicy
) -> str | None:
    """Logs the whole classifier, calibrated, with what a user of it must know, and returns its URI."""
    index, calibration = datamodule.index, policy.calibration
    classifier = calibrated(module.classifier, calibration.scale, calibration.shift, index.classes.indices)
    metadata = {
        "class_names": list(index.class_names),
        "positive": index.classes.positive,
        "threshold": policy.thresholds.crack,
        "unsure_from": policy.thresholds.unsure,
        "temperature": calibration.temperature,
        "image_size": cfg.image_size,
        "dataset": datamodule.dataset.name,
        "dataset_digest": index.fingerprint,
        "mixed_digests": {mixed.name: mixed.index.fingerprint for mixed in datamodule.mix},
        "crackexp_version": __version__,
    }
    return logger.log_model(classifier, metadata)


def time_report(seconds: Mapping[str, float]) -> Report:
    """Returns where the seconds of a run went, and the share of each section.

    Args:
        seconds: The seconds by the name of the section; "total" is all of them.
    """
    shares = [f"{value / max(seconds['total'], 1e-9):.0%}" for value in seconds.values()]
    columns = [
        Column("section", list(seconds)),
        Column("seconds", [f"{value:.1f}" for value in seconds.values()], list(seconds.values()), numeric=True),
        Column("share", shares, numeric=True),
    ]
    return Report("Time", [Section("Time", tables=[Table(columns)])])


def where_text(logger: Logger, output: Path, model_uri: str | None, verdict: str | None = None) -> str:
    """Returns lines that say where a run lies, what became of its model in the registry, and what to type next."""
    lines = [f"Output      {output}", *logger.where()]
    if model_uri:
        lines += [
            f"Model       {model_uri}",
            f"Judge it    {next_command('evaluate', f'run={logger.run_id}', 'dataset=folder', 'dataset.path=PATCHES')}",
        ]
    return "\n".join([*lines, *([f"Registry    {verdict}"] if verdict else [])])


def write_config(folder: Path, cfg: DictConfig) -> None:
    """Writes the resolved config as ``config.yaml``; Hydra's own ``.hydra/config.yaml`` is the one before."""
    write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg))


def write_result(
    folder: Path,
    logger: Logger,
    model_uri: str | None,
    metrics: Mapping[str, float],
    seconds: Mapping[str, float],
) -> None:
    """Writes and logs ``result.json``, see `RunResult`."""
    result = RunResult(run_id=logger.run_id, model_uri=model_uri, metrics=dict(metrics), seconds=dict(seconds))
    text = result.text()
    write_text(folder / RESULT, text)
    logger.log_text(text, RESULT)


def _images(index: ImageIndex, rows: np.ndarray, size: int) -> np.ndarray:
    return np.stack([resize(load_image(index.path(int(row))), size) for row in rows])


def _flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the values of a config by their keys; of a list of tables by place and key."""
    tables = OmegaConf.is_list(node) and any(OmegaConf.is_dict(item) for item in node)
    if not OmegaConf.is_dict(node) and not tables:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, value in enumerate(node) if tables else node.items():
        flat |= _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
