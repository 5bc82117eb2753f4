"""Trains, tests and logs one crack classifier: ``python -m crackexp.train +experiment=mobilenet``.

In Python it is ``crackexp.train(config)``: the module itself can be called.
"""

import sys
from functools import partial
from pathlib import Path
from types import ModuleType

from omegaconf import DictConfig

from crackexp.cli.main import leave, run
from crackexp.cli.shown_config import show_config
from crackexp.config.checking import check, instantiate
from crackexp.data.accounting import Account
from crackexp.models.weight_files import require_weights
from crackexp.sweep import trial
from crackexp.sweep.callback import closing
from crackexp.sweep.identity import training_digest
from crackexp.tracking.result import RunResult, read_result
from crackexp.tracking.server import require_server
from crackexp.training.config import TrainConfig
from crackexp.training.resume import own_config, resumable
from crackexp.utils.distributed import initialize_distributed, is_first_process, with_own_output
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import command_progress, status
from crackexp.utils.timer import Timer


def train(composed: DictConfig, account: Account | None = None) -> dict[str, float]:
    """Runs one training job.

    Args:
        composed: The config that Hydra composed from ``conf/train.yaml``.
        account: The account of the files of all datasets, which is filled here; None for a new one.

    Returns:
        The metrics of the run by their names, as in ``result.json`` in the folder of the run.

    Raises:
        UserError: The config, the dataset or the tracking store has a mistake.
    """
    account = Account() if account is None else account
    timer = Timer()
    checked = check(composed, TrainConfig)
    initialize_distributed()
    cfg, resumed = own_config(checked)
    cfg = with_own_output(cfg)

    require_server(instantiate(cfg.tracking).store)
    require_weights(cfg.backbone)
    status("Looking for the dataset")
    from crackexp.data.sources.folder import require_place

    require_place(cfg.dataset)
    with timer.section("imports"), slow_imports():  # after the check, since Keras takes seconds to import
        from crackexp.data.summary import data_report, others_report
        from crackexp.evaluation.doubts import doubts_section
        from crackexp.models.calibrated import check_calibratable
        from crackexp.reporting import Report
        from crackexp.reporting.terminal import print_plain, print_report
        from crackexp.tracking import run_log
        from crackexp.tracking.logger import NoLogger
        from crackexp.training.build import build_module, profiled
        from crackexp.training.checkpoint import Checkpointer
        from crackexp.training.parts import build_parts
        from crackexp.training.run import evaluate_run, load_data, log_outcome, log_start, register

        parts = build_parts(cfg)

    status("Reading the images")
    with timer.section("data"):
        data = load_data(cfg, parts, account)
        show_config(cfg, None if checked.resume else composed, checked.get("print_config", "changes"))
        print_report(data_report(data.datamodule))
        print_report(others_report(data.extra.indexes, data.extra.left_out))
        this, output = trial.current(), Path(cfg.paths.output)
        identity = training_digest(cfg, data.datamodule.fingerprint, data.extra.fingerprints)
        if kept := this.finished(identity, output):
            return kept.metrics

    status("Building the model")
    with timer.section("model"):
        run_log.write_config(output, cfg)
        checkpointer = Checkpointer(cfg.paths.cache, resumed, data.datamodule.fingerprint, identity)
        build = partial(build_module, parts, cfg, data.datamodule.index.classes)
        module = parts.trainer.setup(build, data.datamodule, timer)
        if parts.policy.temperature:
            check_calibratable(module.head, "policy.temperature=true")
        callbacks = [instantiate(callback) for callback in cfg.callbacks.values() if callback]

    logger = parts.tracking if is_first_process() else NoLogger()
    # earlier versions called a trial a cell; their finished runs are still found by this tag
    tags = dict.fromkeys(cfg.tags, "true") | {"cell.id": identity, **this.tags}
    name = this.name or run_name(cfg)
    status("Opening the store")
    with logger.run(name, tags, this.parent, run_id=resumed), resumable(checkpointer, logger):
        if not checkpointer.restored:
            status("Logging the config and the data")
            with timer.section("logging"):
                log_start(logger, cfg, this.levels, data, account, module)
        status("Training")
        with timer.section("fit"), profiled(cfg.profile):
            history = parts.trainer.fit(callbacks, logger.log_metrics, checkpointer)
        status("Evaluating the model")
        with timer.section("evaluate"):
            outcome = evaluate_run(cfg, parts, data, module, history)
        status("Logging the figures and the model")
        with timer.section("logging"):
            model_uri = log_outcome(logger, cfg, data, module, history, outcome)
        times = parts.trainer.timings() | {f"time/{name}_seconds": value for name, value in timer.summary().items()}
        logger.log_metrics(times)
        metrics = outcome.metrics(history) | times
        run_log.write_result(output, logger, model_uri, metrics, timer.summary())
        verdict = register(logger, cfg, parts)

    checkpointer.remove()
    print_report(outcome.report)
    print_report(run_log.time_report(timer.summary()))
    print_plain(run_log.where_text(logger, output, model_uri, verdict))
    print_report(Report("", doubts_section(outcome.doubts)))
    return metrics


def run_name(cfg: DictConfig) -> str:
    """Returns the name of the run in the tracking store."""
    backbone = cfg.backbone.get("name", cfg.backbone["_target_"].rpartition(".")[2])
    mixed = [node.name for item in cfg.mix for node in item.values()]
    return f"{'+'.join([cfg.dataset.name, *mixed])}-{backbone}-{cfg.image_size}px-seed{cfg.seed}"


def main(composed: DictConfig) -> float | None:
    """Runs one training job and returns the metric that a sweeper optimizes."""
    account = Account()
    with trial.job(composed, account):
        metric = train(composed, account).get(composed.optimized_metric)
    leave(account.exit_status)
    return metric


class _CallableModule(ModuleType):
    """This module, which ``crackexp.train`` names, as the function of that name."""

    def __call__(self, config: DictConfig) -> RunResult:
        """Runs one training job.

        Args:
            config: The config of `crackexp.compose`.

        Returns:
            The metrics of the run, its id and the address of its model.

        Raises:
            UserError: The config, the dataset or the tracking store has a mistake.
        """
        output = Path(config.paths.output)
        output.mkdir(parents=True, exist_ok=True)
        with command_progress("Checking the config"):
            train(config)
        return read_result(output)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    run(main, "train", TrainConfig, closing)
