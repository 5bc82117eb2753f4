"""Trains, tests and logs one crack classifier: ``python -m crackexp.train +experiment=mobilenet``."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli.main import leave, run
from crackexp.config.checking import check, instantiate, listed
from crackexp.data.accounting import Account
from crackexp.sweep import trial
from crackexp.sweep.callback import closing
from crackexp.sweep.identity import training_digest
from crackexp.training.config import TrainConfig
from crackexp.training.resume import own_config, resumable
from crackexp.utils.distributed import initialize_distributed, is_first_process, with_own_output
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
    cfg = with_own_output(own_config(checked))

    with timer.section("imports"):  # after the check, since Keras takes seconds to import
        from crackexp.data.auxiliary import AuxiliaryDataset
        from crackexp.data.datamodule import DataModule
        from crackexp.data.sources.folder import require_places
        from crackexp.data.summary import account_report, data_report, others_report
        from crackexp.evaluation.extra_datasets import ExtraDatasets
        from crackexp.reporting.terminal import print_config, print_plain, print_report
        from crackexp.training.parts import build_parts

        parts = build_parts(cfg)

    with timer.section("data"):
        print_config(cfg)
        extra = ExtraDatasets(cfg)
        require_places(cfg.mix, "mix")
        datamodule = DataModule(
            dataset=parts.dataset,
            split=parts.split,
            augmentation=parts.augmentation,
            image_size=cfg.image_size,
            batch_size=cfg.batch_size,
            seed=cfg.seed,
            mix=[AuxiliaryDataset(dataset, **beside) for dataset, beside in listed(cfg, "mix")],
        )
        datamodule.prepare()
        account.add(datamodule.account)
        print_report(account_report(account))
        datamodule.setup()
        classes = datamodule.index.classes
        extra.prepare(classes, datamodule.seen)
        parts.policy.require_enough(datamodule.val.damaged, classes.defect)
        print_report(data_report(datamodule))
        print_report(others_report(extra.indexes, extra.left_out))
        account.add(extra.account)
        this, output = trial.current(), Path(cfg.paths.output)
        identity = training_digest(cfg, datamodule.fingerprint, extra.fingerprints)
        if kept := this.finished(identity, output):
            return kept.metrics

    with timer.section("imports"):
        from crackexp.evaluation.doubts import doubts_section, training_doubt
        from crackexp.evaluation.evaluator import Evaluator
        from crackexp.evaluation.report import evaluation_report, log_evaluation
        from crackexp.models.calibrated import check_calibratable
        from crackexp.reporting import Report
        from crackexp.tracking import run_log
        from crackexp.tracking.logger import NoLogger
        from crackexp.training import run_log as training_log
        from crackexp.training.build import build_module, profiled
        from crackexp.training.checkpoint import Checkpointer

        trainer, policy = parts.trainer, parts.policy
        logger = parts.tracking if is_first_process() else NoLogger()
        run_log.write_config(output, cfg)

    with timer.section("model"):
        checkpointer = Checkpointer(cfg.paths.cache, checked.resume, datamodule.fingerprint, identity)
        module = trainer.setup(lambda: build_module(parts, cfg, classes), datamodule, timer)
        if policy.temperature:
            check_calibratable(module.head, "policy.temperature=true")
        callbacks = [instantiate(callback) for callback in cfg.callbacks.values() if callback]

    # earlier versions called a trial a cell; their finished runs are still found by this tag
    tags = dict.fromkeys(cfg.tags, "true") | {"cell.id": identity, **this.tags}
    name = this.name or run_name(cfg)
    with logger.run(name, tags, this.parent, run_id=checked.resume), resumable(checkpointer, logger):
        if not checkpointer.restored:
            with timer.section("logging"):
                run_log.log_run(logger, cfg, this.levels)
                training_log.log_data(logger, datamodule)
                run_log.log_extra_datasets(logger, extra.indexes, extra.left_out)
                run_log.log_account(logger, account)
                training_log.log_network(logger, module)
        with timer.section("fit"), profiled(cfg.profile):
            history = trainer.fit(callbacks, logger.log_metrics, checkpointer)
        with timer.section("evaluate"):
            val, said = datamodule.val, trainer.predict(datamodule.val, "val")
            final = module.score(val.labels, said)
            deciding = policy.fit(val.labels, said, classes)
            evaluator = Evaluator(cfg.evaluation, cfg.seed, cfg.image_size, trainer.predict, deciding, parts.metrics)
            result = evaluator.evaluate(f"{cfg.dataset.name}, test", datamodule.test, extra.indexes)
            before = history.before.get("val/accuracy_before")
            doubts = [*training_doubt(before, final["accuracy"]), *result.doubts]
        with timer.section("logging"):
            training_log.log_training(logger, history)
            logger.log_metrics(deciding.metrics())
            report = evaluation_report(result, cfg.evaluation, cfg.image_size, trainer.explain, doubts, parts.report)
            log_evaluation(logger, result, report, doubts)
            model_uri = training_log.log_model(logger, cfg, module, datamodule, deciding)
        times = trainer.timings() | {f"time/{k}_seconds": v for k, v in timer.summary().items()}
        logger.log_metrics(times)
        results = {f"train/{name}": history.metrics[name][-1] for name in ("loss", "accuracy")}
        results |= {f"val/{name}": value for name, value in final.items()} | history.before
        results |= deciding.metrics() | result.all_metrics() | times
        run_log.write_result(output, logger, model_uri, results, timer.summary())
        verdict = None
        if cfg.register and logger.store:
            from crackexp.tracking.registry import register_run

            verdict = register_run(logger, cfg.register, parts.compared_by, cfg.sweep.level)

    checkpointer.remove()
    print_report(report)
    print_report(run_log.time_report(timer.summary()))
    print_plain(run_log.where_text(logger, output, model_uri, verdict))
    print_report(Report("", doubts_section(doubts)))
    return results


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
    leave(account)
    return metric


if __name__ == "__main__":
    run(main, "train", TrainConfig, closing)
