"""Classifies images with a logged model: ``python -m crackexp.predict model=MODEL input=IMAGES``."""

import sys
from pathlib import Path
from typing import Annotated, ClassVar

from omegaconf import DictConfig

from crackexp.cli.main import leave, run
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import ModelConfig
from crackexp.config.types import Inputs, Probability, text_ending
from crackexp.data.accounting import Account
from crackexp.tracking.run_names import with_model
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status


class PredictConfig(ModelConfig):
    """The config of ``python -m crackexp.predict``."""

    groups: ClassVar = ("paths", "inference", "tracking")
    input: Inputs
    """A file, a folder, a pattern, or a list of them; "-" reads names from standard input."""
    out: Annotated[str, text_ending(".csv", ".jsonl", ".parquet")]
    """The file of the table: .csv, .parquet or .jsonl."""
    threshold: Probability | None
    """The least probability of a crack, or of damage, that counts as one; null for the threshold of the model."""


def predict(composed: DictConfig) -> Account:
    """Writes a table of the predictions of a model for images.

    Args:
        composed: The config that Hydra composed from ``conf/predict.yaml``.

    Returns:
        The account of the files, which says for each one whether it was used or left out.

    Raises:
        UserError: The config or the name of the model has a mistake, or there are no files to read.
    """
    cfg = with_model(check(composed, PredictConfig))
    engine = instantiate(cfg.inference)

    status("Looking for images")
    from crackexp.predicting.inputs import named_inputs

    account = Account()
    inputs = named_inputs(cfg.input, sys.stdin, account)
    with slow_imports():
        from crackexp.data.summary import account_report
        from crackexp.predicting.loading import open_model
        from crackexp.predicting.predictor import Predictor
        from crackexp.predicting.tables import counts_text, writing
        from crackexp.reporting.terminal import print_plain, print_report

    predictor = Predictor(open_model(cfg), cfg.threshold, cfg.batch_size, account, engine)
    status("Classifying")
    with writing(Path(cfg.out)) as write:
        for rows in predictor.tables(inputs):
            write(rows)
    print_plain(f"{counts_text(predictor.counts)}\nTable       {cfg.out}")
    print_report(account_report(account))
    return account


def main(composed: DictConfig) -> None:
    """Classifies images and exits with a status that says whether all files were read."""
    leave(predict(composed).exit_status)


if __name__ == "__main__":
    run(main, "predict", PredictConfig)
