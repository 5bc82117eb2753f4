"""Shows where a model sees a crack: ``python -m crackexp.explain model=MODEL input=PATCHES out=FOLDER``."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli.main import leave, run
from crackexp.config.checking import check
from crackexp.config.settings import ModelConfig
from crackexp.config.types import Inputs, Probability, Text
from crackexp.data.accounting import Account
from crackexp.tracking.run_names import with_model
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status


class ExplainConfig(ModelConfig):
    """The config of ``python -m crackexp.explain``."""

    input: Inputs
    """A file, a folder, a pattern, or a list of them; "-" reads names from standard input."""
    out: Text
    """The folder of report.html, explanations.csv and images/."""
    target: Text | None
    """The class to explain; null for damage, which is one class or several."""
    layer: Text | None
    """The layer whose feature maps are weighted; null for the last one with height and width."""
    threshold: Probability | None
    """The least probability of a crack, or of damage, that counts as one; null for the threshold of the model."""


def explain(composed: DictConfig) -> Account:
    """Writes for each image a picture of the parts that speak for a class, and a table and a page of all images.

    Args:
        composed: The config that Hydra composed from ``conf/explain.yaml``.

    Returns:
        The account of the files, which says for each one whether it was used or left out.

    Raises:
        UserError: The config, or the name of the model, a class or a layer has a mistake, or there are no files.
    """
    cfg = with_model(check(composed, ExplainConfig))

    status("Looking for images")
    from crackexp.predicting.inputs import input_folder, named_inputs

    account = Account()
    inputs = named_inputs(cfg.input, sys.stdin, account)
    with slow_imports():
        from crackexp.data.summary import account_report
        from crackexp.predicting.explanations import Explanations
        from crackexp.predicting.loading import model_name, open_model
        from crackexp.predicting.predictor import ExplainingPredictor
        from crackexp.predicting.tables import counts_text, writing
        from crackexp.reporting import artifacts
        from crackexp.reporting.terminal import print_plain, print_report

    model = open_model(cfg)
    predictor = ExplainingPredictor(
        model, cfg.target, cfg.layer, threshold=cfg.threshold, batch_size=cfg.batch_size, account=account
    )
    folder = input_folder(cfg.input, inputs)
    made = Explanations(Path(cfg.out), predictor.target, predictor.enlarge, folder)
    table = Path(cfg.out, "explanations.csv")
    status("Explaining")
    with writing(table) as write:
        for part, rows, maps in predictor.explained(inputs):
            write(made.add(part, rows, maps))
    status("Writing the report")
    how = f"{model_name(cfg)}, layer {predictor.layer}, {predictor.thresholds}"
    result = made.report(how, predictor.counts, predictor.thresholds.defect)
    page = artifacts.write(result, Path(cfg.out))[-1]
    print_plain(f"{counts_text(predictor.counts)}\nTable       {table}")
    print_report(account_report(account))
    print_plain(f"Report      {page}")
    return account


def main(composed: DictConfig) -> None:
    """Explains images and exits with a status that says whether all files were read."""
    leave(explain(composed).exit_status)


if __name__ == "__main__":
    run(main, "explain", ExplainConfig)
