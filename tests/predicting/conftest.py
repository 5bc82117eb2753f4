"""A logged model whose answers differ from image to image."""

from pathlib import Path

import keras
import numpy as np
import pytest

from crackexp.models.backbone import SmallCNN
from crackexp.models.classifier import build_classifier
from crackexp.models.heads import build_head
from tests.tracking.test_logger import make_logger

FACTS = {"class_names": ["Negative", "Positive"], "positive": "Positive", "threshold": 0.5, "unsure_from": 0.5}


@pytest.fixture(scope="session")
def classifier() -> keras.Model:
    """32 pixels a side; the darker an image, the likelier a crack: the probability is 1/2 at a mean of 128."""
    classifier = build_classifier(SmallCNN([4, 8]).build(32, 0), build_head(8, 2, 0.3, 0))
    shades = np.stack([np.full((32, 32, 3), shade, np.uint8) for shade in (64, 128, 192)])
    embed = keras.Model(classifier.input, classifier.get_layer("pool").output)
    dark, middle, light = embed.predict(shades, verbose=0).astype(np.float64)
    towards = (dark - light) / np.sum((dark - light) ** 2)
    kernel = np.stack([-4 * towards, 4 * towards], axis=1)
    classifier.get_layer("probabilities").set_weights([kernel, -middle @ kernel])
    return classifier


@pytest.fixture(scope="session")
def model(classifier: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a logged model."""
    logger = make_logger(tmp_path_factory.mktemp("logged"))
    with logger.run("a run", {}):
        logger.log_model(classifier, FACTS)
    (file,) = (Path(str(logger.artifacts)) / "models").rglob("MLmodel")
    return str(file.parent)
