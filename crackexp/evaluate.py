"""Evaluates a logged model on a dataset: ``python -m crackexp.evaluate run=RUN dataset=NAME``."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from omegaconf import DictConfig

from crackexp.cli.main import leave, run
from crackexp.cli.shown_config import show_config
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import JobConfig
from crackexp.config.types import BatchSize, PrintConfig, Seed, Text
from crackexp.data.accounting import Account
from crackexp.tracking.run_names import with_model
from crackexp.tracking.server import require_server
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status
from crackexp.utils.timer import Timer

if TYPE_CHECKING:
    import numpy as np

    from crackexp.data.augmentation import View
    from crackexp.data.index import ImageIndex


class EvaluateConfig(JobConfig):
    """The config of ``python -m crackexp.evaluate``."""

    groups: ClassVar = ("paths", "dataset", "metrics", "evaluation", "inference", "report", "tracking")
    run: Text
    """The model: ready, latest, a run or its id, best:SWEEP, models:/NAME/VERSION, models:/NAME@ALIAS, or a folder."""
    seed: Seed
    """The seed of the bootstrap."""
    batch_size: BatchSize | None
    """The number of images in a batch; null for the number that is fastest."""
    print_config: PrintConfig = "changes"
    """What is printed of the config: all of it, the main values and what differs from the defaults, or nothing."""


def evaluate(composed: DictConfig, account: Account | None = None) -> dict[str, float]:
    """Evaluates one model on every image of one dataset, in a child run of the run that logged the model.

    Args:
        composed: The config that Hydra composed from ``conf/evaluate.yaml``.
        account: The account of the files of all datasets, which is filled here; None for a new one.

    Returns:
        The metrics by their names, as in ``result.json`` in the folder of the run.

    Raises:
        UserError: The config, the dataset or the name of the model has a mistake.
    """
    account = Account() if account is None else account
    timer = Timer()
    cfg = with_model(check(composed, EvaluateConfig), "run")
    logger, engine = instantiate(cfg.tracking), instantiate(cfg.inference)
    require_server(logger.store)

    status("Reading the images")
    with timer.section("data"):
        from crackexp.data.sources.folder import require_place
        from crackexp.data.splits.given_split import only_part
        from crackexp.data.summary import account_report, others_report, seen_report
        from crackexp.evaluation.extra_datasets import ExtraDatasets
        from crackexp.metrics.build import build_metrics
        from crackexp.reporting.terminal import print_plain, print_report

        require_place(cfg.dataset)
        metrics = build_metrics(cfg.metrics)
        own = {str(name): instantiate(node) for name, node in cfg.report.items() if node}
        extra = ExtraDatasets(cfg)
        dataset = instantiate(cfg.dataset)
        index = only_part(dataset.prepare(), "test", dataset.name)
        account.add(index.account)
        print_report(account_report(account))

    with timer.section("imports"), slow_imports():
        from crackexp.data.pipeline import image_batches
        from crackexp.evaluation.calibration import Calibration
        from crackexp.evaluation.doubts import doubts_section
        from crackexp.evaluation.evaluator import Evaluator
        from crackexp.evaluation.policy import FittedPolicy
        from crackexp.evaluation.report import evaluation_report, log_evaluation
        from crackexp.inference.engine import computing
        from crackexp.inference.explainer import Explainer
        from crackexp.predicting.loading import open_model
        from crackexp.reporting import Report
        from crackexp.tracking import run_log
        from crackexp.tracking.runs import training_digests

        output = Path(cfg.paths.output)
        run_log.write_config(output, cfg)

    with timer.section("model"):
        timer.watch_compilation()
        model = open_model(cfg, "run")
        index = index.judged_by(model.classes)
        seen = training_digests(model.trained_in, logger.store)
        extra.prepare(model.classes, seen or ())
        show_config(cfg, composed, cfg.get("print_config", "changes"))
        print_report(seen_report(dataset.name, index, seen))
        print_report(others_report(extra.indexes, extra.left_out))
        account.add(extra.account)

    status("Opening the store")
    with logger.run(f"evaluate-{dataset.name}", tags={}, parent=model.run_id):
        run_log.log_run(logger, cfg)
        run_log.log_dataset(logger, dataset.name, index, "evaluation")
        run_log.log_extra_datasets(logger, extra.indexes, extra.left_out)
        run_log.log_account(logger, account)
        status("Evaluating the model")
        with timer.section("evaluate"):
            network = engine.inference(model.classifier, cfg.batch_size)

            def predict(images: "ImageIndex", title: str, view: "View | None") -> "np.ndarray":
                batches = image_batches(images, model.image_size, network.batch_size, view)
                return network.predict(batches, len(images), f"Predicting {title}")

            @cache
            def explainer() -> Explainer:
                classifier = computing(model.classifier)
                return Explainer(classifier, model.classes.indices, batch_size=cfg.batch_size)

            def explain(images: "np.ndarray") -> "np.ndarray":
                return explainer().explain(images)

            policy = FittedPolicy(model.classes, Calibration(), model.thresholds)
            evaluator = Evaluator(cfg.evaluation, cfg.seed, model.image_size, predict, policy, metrics)
            result = evaluator.evaluate(dataset.name, index, extra.indexes)
        status("Logging the figures")
        with timer.section("logging"):
            doubts = result.doubts
            report = evaluation_report(result, cfg.evaluation, model.image_size, explain, doubts, own)
            log_evaluation(logger, result, report, doubts)
        results = result.all_metrics()
        run_log.write_result(output, logger, None, results, timer.summary())

    print_report(report)
    print_report(run_log.time_report(timer.summary()))
    print_plain(run_log.where_text(logger, output, None))
    print_report(Report("", doubts_section(doubts)))
    return results


def main(composed: DictConfig) -> float | None:
    """Evaluates the model and returns its accuracy, for a sweeper."""
    account = Account()
    accuracy = evaluate(composed, account)["test/accuracy"]
    leave(account.exit_status)
    return accuracy


if __name__ == "__main__":
    run(main, "evaluate", EvaluateConfig)
