"""Shows what in patches speaks for a crack: ``python -m crackexp.explain model=MODEL input=PATCHES out=FOLDER``."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli import run
from crackexp.config import check
from crackexp.predict import INCOMPLETE
from crackexp.roots import ExplainRoot


def explain(composed: DictConfig) -> int:
    """Writes a picture of what speaks for a class in each image, a table and a page.

    Args:
        composed: what Hydra composed from ``conf/explain.yaml``.

    Returns:
        How many of the named images could not be read.

    Raises:
        UserError: a mistake in the config, the name of the model, a class or a layer, or nothing to read at all.
    """
    cfg = check(composed, ExplainRoot)

    from crackexp.prediction.inputs import named

    inputs = named(cfg.input, sys.stdin)

    from crackexp import console
    from crackexp.opening import open_model
    from crackexp.prediction.explanations import Explanations
    from crackexp.prediction.predictor import Predictor
    from crackexp.prediction.tables import writing

    model = open_model(cfg)
    predictor = Predictor(model, cfg.threshold, cfg.batch_size, cfg.target, cfg.layer)
    made = Explanations(Path(cfg.out), predictor.target, predictor.enlarge)
    table = Path(cfg.out, "explanations.csv")
    with writing(table) as write:
        for rows, maps in predictor.explained(inputs):
            write(made.add(rows, maps))
    made.finish(f"{cfg.model}, layer {predictor.layer}, {predictor.thresholds}", predictor.counts)
    console.print_predictions(predictor.counts, predictor.unread, predictor.photos, table)
    console.print_plain(f"Report      {made.page}")
    return predictor.counts["unread"]


def main(composed: DictConfig) -> None:
    """Explains, and ends with a status that says whether all was read."""
    if explain(composed):
        sys.exit(INCOMPLETE)


if __name__ == "__main__":
    run(main, "explain")
