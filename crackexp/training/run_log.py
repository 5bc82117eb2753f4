"""Logs a training run: its data, network and training curves, and the trained model."""

import math
from io import StringIO

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from crackexp import __version__
from crackexp.data.datamodule import DataModule
from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.data.pipeline import resized_images
from crackexp.data.splits.leaks import Leaks
from crackexp.evaluation.policy import FittedPolicy
from crackexp.models.calibrated import calibrated
from crackexp.reporting import figures
from crackexp.tracking.logger import Logger
from crackexp.tracking.run_log import log_dataset
from crackexp.training.history import TrainingHistory
from crackexp.training.module import CrackModule
from crackexp.utils.csv_text import csv_text
from crackexp.utils.names import visible
from crackexp.utils.seeds import generator

GRID = 9
"""The number of sample images that are shown, and the largest number of pictures of one of them: it and its views."""


def log_data(logger: Logger, datamodule: DataModule, epochs: int) -> None:
    """Logs the datasets with their digests, the split, sample images, and one of them as the first epochs show it.

    Args:
        logger: The logger of the run.
        datamodule: The images of the run.
        epochs: The largest number of epochs of the run.
    """
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
    logger.log_figure(figures.sample_grid(resized_images(train, chosen, size), names), "data/samples.png")

    cracked = int(np.flatnonzero(train.damaged)[0])
    image, digest = resize(load_image(train.path(cracked)), size), str(train.digests[cracked])
    views = [datamodule.view(epoch)(image, digest) for epoch in range(min(epochs, GRID - 1))]
    logger.log_figure(figures.augmentation_grid(image, views), "data/augmentations.png")


def log_leaks(logger: Logger, leaks: Leaks) -> None:
    """Logs how many test images training has seen, and which."""
    counts = {"data.test_copies_in_train": leaks.copies, "data.test_photos_in_train": leaks.photos}
    logger.log_params({name: count for name, count in counts.items() if count is not None})
    rows = [(visible(file), visible(mate), kind, similarity) for file, mate, kind, similarity in leaks.rows]
    table = pd.DataFrame(rows, columns=["file", "mate", "kind", "similarity"])
    logger.log_text(csv_text(table), "data/leaks.csv")


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
