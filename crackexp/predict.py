"""Classifies images with a logged model: ``python -m crackexp.predict model=MODEL input=IMAGES``."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli import leave, run
from crackexp.config.checking import check
from crackexp.config.roots import PredictRoot
from crackexp.data.accounting import Account


def predict(composed: DictConfig) -> Account:
    """Writes a table of what a model says of each image.

    Args:
        composed: what Hydra composed from ``conf/predict.yaml``.

    Returns:
        What became of each file that was named or found.

    Raises:
        UserError: a mistake in the config or the name of the model, or nothing to read at all.
    """
    cfg = check(composed, PredictRoot)

    from crackexp.prediction.inputs import named

    account = Account()
    inputs = named(cfg.input, sys.stdin, account)

    from crackexp.data.summary import account_report
    from crackexp.opening import open_model
    from crackexp.prediction.predictor import Predictor
    from crackexp.prediction.tables import counts_text, writing
    from crackexp.reporting.terminal import print_plain, print_report

    predictor = Predictor(open_model(cfg), cfg.threshold, cfg.batch_size, account=account)
    with writing(Path(cfg.out)) as write:
        for rows in predictor.tables(inputs):
            write(rows)
    print_plain(f"{counts_text(predictor.counts)}\nTable       {cfg.out}")
    print_report(account_report(account))
    return account


def main(composed: DictConfig) -> None:
    """Classifies, and ends with a status that says whether all was read."""
    leave(predict(composed))


if __name__ == "__main__":
    run(main, "predict")
