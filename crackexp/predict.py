"""Classifies images with a logged model: ``python -m crackexp.predict model=MODEL input=IMAGES``."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli import run
from crackexp.config import check
from crackexp.roots import PredictRoot

INCOMPLETE = 3
"""Exit status where some of what was named could not be read."""


def predict(composed: DictConfig) -> int:
    """Writes a table of what a model says of each image.

    Args:
        composed: what Hydra composed from ``conf/predict.yaml``.

    Returns:
        How many of the named images could not be read.

    Raises:
        UserError: a mistake in the config or the name of the model, or nothing to read at all.
    """
    cfg = check(composed, PredictRoot)

    from crackexp.prediction.inputs import named

    inputs = named(cfg.input, sys.stdin)

    from crackexp import console
    from crackexp.opening import open_model
    from crackexp.prediction.predictor import Predictor
    from crackexp.prediction.tables import writing

    predictor = Predictor(open_model(cfg), cfg.threshold, cfg.batch_size)
    with writing(Path(cfg.out)) as write:
        for rows in predictor.tables(inputs):
            write(rows)
    console.print_predictions(predictor.counts, predictor.unread, predictor.photos, Path(cfg.out))
    return predictor.counts["unread"]


def main(composed: DictConfig) -> None:
    """Classifies, and ends with a status that says whether all was read."""
    if predict(composed):
        sys.exit(INCOMPLETE)


if __name__ == "__main__":
    run(main, "predict")
