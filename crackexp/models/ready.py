"""The model that crackexp comes with: a head of ``+experiment=robust``, for the bundled weights of its backbone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from crackexp.models.backbone import Application
from crackexp.models.classifier import build_classifier
from crackexp.models.heads import MultipleInstanceHead

FOLDER = Path(__file__).with_name("ready_model")
"""The folder of its files: the weights of its head, its metadata, and its card."""
_RECIPE = (
    "image_size",
    "batch_size",
    "epochs",
    "dropout",
    "mix",
    "backbone",
    "head",
    "loss",
    "optimizer",
    "augmentation",
)
WEIGHTS, FACTS, CARD = FOLDER / "head.weights.h5", FOLDER / "facts.json", FOLDER / "README.md"


def recipe_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the weights of a model depend on, of the resolved config of its training.

    The metadata hold it, so that it shows where the experiment was changed and the model was not made anew.

    Args:
        config: The config, without the folders that are the user's own.
    """
    recipe = {key: config[key] for key in _RECIPE}
    return json.loads(json.dumps(recipe), object_hook=lambda node: {k: v for k, v in node.items() if k != "cache"})


def ready_metadata() -> dict[str, Any]:
    """Returns the metadata of the model, as `tracking.model_facts.ModelFacts` reads them."""
    return dict(json.loads(FACTS.read_text()))


def ready_network(metadata: dict[str, Any]) -> keras.Model:
    """Builds the model, which maps (n, S, S, 3) uint8 images to (n, 2) probabilities.

    Args:
        metadata: The metadata of the model.

    Raises:
        DataError: The weights of the backbone are not here.
    """
    made = metadata["network"]
    backbone = Application(made["backbone"], weights="bundled", output_layer=made["output_layer"])
    network = backbone.build(metadata["image_size"], 0)
    embedding, head = ready_head(made["hidden"], network, [metadata["class_names"].index(metadata["positive"])])
    head.load_weights(WEIGHTS)
    return build_classifier(embedding, head)


def ready_head(hidden: int, backbone: keras.Model, positives: list[int]) -> tuple[keras.Model, keras.Model]:
    """Returns a backbone with the layers that make its embeddings, and an untrained head of two classes.

    Args:
        hidden: The number of units of the first dense layer of the head.
        backbone: The network of the backbone.
        positives: The indices of the classes that are damage.
    """
    head = MultipleInstanceHead(hidden=hidden, dropout=0.0)
    return head.embedding(backbone), head.build(backbone.output_shape[1:], 2, positives, 0)
