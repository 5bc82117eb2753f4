"""Trains, tests and logs one crack classifier: ``python -m crackexp.train +experiment=mobilenet``."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.budget import TimeBudget
from crackexp.cli import leave, run
from crackexp.config.checking import check, instantiate, listed
from crackexp.config.contracts import require_all_kept
from crackexp.config.roots import TrainRoot
from crackexp.data.accounting import Account
from crackexp.resume import own_config, resumable
from crackexp.sweep import cell
from crackexp.sweep.identity import cell_id
from crackexp.training.processes import apart, is_first, join_processes


def train(composed: DictConfig, account: Account | None = None) -> dict[str, float]:
    """Runs one training job.

    Args:
        composed: what Hydra composed from ``conf/train.yaml``.
        account: Where it is noted what becomes of the files of all datasets.

    Returns:
        The metrics of the run by name, as in ``result.json`` of the run's folder.

    Raises:
        UserError: a mistake in the config, the dataset or the tracking store.
    """
    account = Account() if account is None else account
    budget = TimeBudget()
    checked = check(composed, TrainRoot)
    join_processes()
    cfg = apart(own_config(checked))

    with budget.section("data"):
        from crackexp.data.datamodule import DataModule
        from crackexp.data.folder import require_places
        from crackexp.data.mix import Mixed
        from crackexp.data.summary import account_report, data_report, others_report
        from crackexp.other_sets import OtherSets
        from crackexp.reporting.terminal import print_config, print_plain, print_report

        print_config(cfg)
        others = OtherSets(cfg)
        require_places(cfg.mix, "mix")
        datamodule = DataModule(
            dataset=instantiate(cfg.dataset),
            split=instantiate(cfg.split),
            augmentation=instantiate(cfg.augmentation),
            image_size=cfg.image_size,
            batch_size=cfg.batch_size,
            seed=cfg.seed,
            mix=[Mixed(dataset, **beside) for dataset, beside in listed(cfg, "mix")],
        )
        datamodule.prepare()
        account.add(datamodule.account)
        print_report(account_report(account))
        datamodule.setup()
        classes = datamodule.index.classes
        others.prepare(classes, datamodule.seen)
        policy = instantiate(cfg.policy)
        policy.require_enough(datamodule.val.damaged, classes.defect)
        print_report(data_report(datamodule))
        print_report(others_report(others.indexes, others.left_out))
        account.add(others.account)
        this, output = cell.current(), Path(cfg.paths.output)
        identity = cell_id(cfg, datamodule.fingerprint, others.fingerprints)
        if result := this.finished(identity, output):
            return result.metrics

    with budget.section("imports"):
        from crackexp import report
        from crackexp.console import print_judgement
        from crackexp.evaluation.doubts import doubts_section, training_doubt
        from crackexp.judging import Judge, log_judgement
        from crackexp.models.calibrated import check_calibratable
        from crackexp.reporting import Report
        from crackexp.tracking.logger import NoLogger
        from crackexp.training.build import build_module, profiled
        from crackexp.training.state import TrainingStates

        require_all_kept(cfg)
        trainer = instantiate(cfg.trainer)
        logger = instantiate(cfg.tracking) if is_first() else NoLogger()
        report.write_config(output, cfg)

    with budget.section("model"):
        states = TrainingStates(cfg.paths.cache, checked.resume, datamodule.fingerprint, identity)
        trainer.setup(budget)
        module = build_module(cfg, classes)
        trainer.prepare(module, datamodule)
        if policy.temperature:
            check_calibratable(module.head, "policy.temperature=true")
        callbacks = [instantiate(callback) for callback in cfg.callbacks.values() if callback]

    tags = dict.fromkeys(cfg.tags, "true") | {"cell.id": identity, **this.tags}
    name = this.name or run_name(cfg)
    with logger.run(name, tags, this.parent, run_id=checked.resume), resumable(states, logger):
        if not states.saved:
            with budget.section("logging"):
                report.log_run(logger, cfg, this.levels)
                report.log_data(logger, datamodule)
                report.log_others(logger, others.indexes, others.left_out)
                report.log_account(logger, account)
                report.log_network(logger, module)
        with budget.section("fit"), profiled(cfg.profile):
            trainer.fit(callbacks, logger.log_metrics, states)
        with budget.section("evaluate"):
            val, said = datamodule.val, trainer.predict(datamodule.val, "val")
            final = module.score(val.labels, said)
            deciding = policy.fit(val.labels, said, classes)
            judge = Judge(cfg.evaluation, cfg.seed, cfg.image_size, trainer.predict, deciding)
            judgement = judge(f"{cfg.dataset.name}, test", datamodule.test, others.indexes)
            before = trainer.before.get("val/accuracy_before")
            doubts = [*training_doubt(before, final["accuracy"]), *judgement.doubts]
        with budget.section("logging"):
            report.log_training(logger, trainer)
            logger.log_metrics(deciding.metrics())
            log_judgement(logger, judgement, doubts, cfg.evaluation, cfg.image_size, trainer.explain)
            model_uri = report.log_model(logger, cfg, module, datamodule, deciding)
        times = trainer.speed() | {f"time/{k}_seconds": v for k, v in budget.summary().items()}
        logger.log_metrics(times)
        metrics = {f"train/{name}": trainer.history[name][-1] for name in ("loss", "accuracy")}
        metrics |= {f"val/{name}": value for name, value in final.items()} | trainer.before
        metrics |= deciding.metrics() | judgement.metrics() | times
        report.write_result(output, logger, model_uri, metrics, budget.summary())
        verdict = None
        if cfg.register:
            from crackexp.tracking.registry import register_run

            verdict = register_run(logger, cfg.register, cfg.sweep.metric, cfg.sweep.level)

    states.remove()
    print_judgement("Test", judgement, cfg.evaluation.level)
    print_report(report.time_report(budget.summary()))
    print_plain(report.where_text(logger, output, model_uri, verdict))
    print_report(Report("", doubts_section(doubts)))
    return metrics


def run_name(cfg: DictConfig) -> str:
    """Returns the name of the run in the tracking store."""
    backbone = cfg.backbone.get("name", cfg.backbone["_target_"].rpartition(".")[2])
    mixed = [node.name for item in cfg.mix for node in item.values()]
    return f"{'+'.join([cfg.dataset.name, *mixed])}-{backbone}-{cfg.image_size}px-seed{cfg.seed}"


def main(composed: DictConfig) -> float | None:
    """Trains, and returns the metric that a sweeper optimizes."""
    account = Account()
    with cell.job(composed, account):
        metric = train(composed, account).get(composed.optimized_metric)
    leave(account)
    return metric


if __name__ == "__main__":
    run(main, "train")
