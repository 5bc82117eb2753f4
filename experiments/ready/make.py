"""Makes the model that crackexp comes with: trains ``+experiment=robust`` and writes its head and its metadata.

Type: python experiments/ready/make.py PATCHES, where PATCHES holds the Mendeley set, or a sample of it.
"""

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.models.backbone import Application
from crackexp.models.ready import FACTS, FOLDER, WEIGHTS, ready_head, ready_network, recipe_of
from crackexp.tracking.model_facts import ModelFacts
from crackexp.tracking.models import LoggedModel, load

CLASSES, POSITIVE = ["sound", "crack"], "crack"


def main() -> None:
    """Trains the model, writes it, and checks that what was written predicts what was trained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=Path)
    patches = parser.parse_args().patches.resolve()
    words = [
        "+experiment=robust",
        "dataset=folder",
        f"dataset.path={patches}",
        "task_name=ready",
        "hydra.run.dir=ready",
    ]
    subprocess.run([sys.executable, "-m", "crackexp.train", *words], check=True)
    cfg = OmegaConf.load("ready/config.yaml")
    result = json.loads(Path("ready/result.json").read_text())
    store = f"sqlite:///{Path('mlruns/mlflow.db').resolve()}"
    model = load(result["run_id"], store, "model")
    metadata = write(model, cfg, result["metrics"])
    check(model, ready_network(metadata), sorted(patches.rglob("*.jpg"))[::40])
    print(f"{FOLDER}: {sum(file.stat().st_size for file in FOLDER.iterdir()) / 1e3:.0f} kB")


def write(model: LoggedModel, cfg: OmegaConf, metrics: dict[str, float]) -> dict:
    """Writes the head and the metadata of a trained model, and returns the metadata."""
    backbone = Application(cfg.backbone.name, weights="bundled", output_layer=cfg.backbone.output_layer)
    _, head = ready_head(cfg.head.hidden, backbone.build(cfg.image_size, 0), model.classes.indices)
    for layer in head.layers:
        if layer.weights:
            layer.set_weights(model.classifier.get_layer(layer.name).get_weights())
    FOLDER.mkdir(exist_ok=True)
    head.save_weights(WEIGHTS)
    facts = ModelFacts.read(
        {
            "class_names": CLASSES if model.classes.indices == [1] else CLASSES[::-1],
            "positive": POSITIVE,
            "threshold": model.thresholds.crack,
            "unsure_from": model.thresholds.unsure,
            "image_size": model.image_size,
            "network": {
                "backbone": cfg.backbone.name,
                "output_layer": cfg.backbone.output_layer,
                "hidden": cfg.head.hidden,
            },
            "made": datetime.now(UTC).date().isoformat(),
            "recipe": recipe_of(OmegaConf.to_container(cfg, resolve=True)),
            "test_accuracy": metrics["test/accuracy"],
        }
    )
    metadata = facts.seal([WEIGHTS])
    FACTS.write_text(json.dumps(metadata, indent=1) + "\n")
    return metadata


def check(trained: LoggedModel, written: object, files: list[Path]) -> None:
    """Raises where the written model does not predict what the trained one does."""
    pixels = np.stack([resize(load_image(file), trained.image_size) for file in files])
    expected, found = (network.predict(pixels, verbose=0) for network in (trained.classifier, written))
    np.testing.assert_allclose(found, expected, atol=1e-5)


if __name__ == "__main__":
    main()
