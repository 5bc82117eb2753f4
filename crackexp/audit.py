"""Looks for what is wrong with a dataset: ``python -m crackexp.audit dataset=NAME``."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli import leave, run
from crackexp.config.checking import check, instantiate
from crackexp.config.roots import AuditRoot
from crackexp.data.accounting import Account


def audit(composed: DictConfig, account: Account | None = None) -> dict[str, float]:
    """Finds copies, contradicting and suspected labels, outliers and unreadable files, and what a split lets through.

    Args:
        composed: what Hydra composed from ``conf/audit.yaml``.
        account: Where it is noted what becomes of the files of the dataset.

    Returns:
        How often each was found, by the name of its metric.

    Raises:
        UserError: a mistake in the config or the dataset.
    """
    account = Account() if account is None else account
    cfg = check(composed, AuditRoot)

    from crackexp.data.duplicates import find_duplicates
    from crackexp.data.given_split import check_split
    from crackexp.data.one_class import require_two_classes
    from crackexp.data.summary import account_report
    from crackexp.data.thumbnails import thumbnails
    from crackexp.reporting import terminal

    cache = Path(cfg.paths.cache)
    dataset = instantiate(cfg.dataset)
    splitter = instantiate(cfg.split) if "split" in cfg else None
    check_split(dataset, splitter)
    index = dataset.prepare()
    require_two_classes(index)
    account.add(index.account)
    terminal.print_report(account_report(account))
    split = splitter.split(index) if splitter else None
    copies = find_duplicates(index, cache)
    looks = thumbnails(index, cache)

    from crackexp import report
    from crackexp.auditing.audit_report import audit_report
    from crackexp.auditing.findings import audit_images
    from crackexp.data.pipeline import image_batches
    from crackexp.reporting import artifacts
    from crackexp.sources import source_digest
    from crackexp.training.embeddings import Embedder
    from crackexp.training.inference import fastest_batch
    from crackexp.training.programs import keep_programs, set_precision

    set_precision("float32")
    keep_programs(cache)
    logger = instantiate(cfg.tracking)
    size = cfg.image_size
    builder = instantiate(cfg.backbone)
    backbone = builder.build(size, cfg.seed)
    backbone.trainable = False
    embedder = Embedder(
        backbone, size, fastest_batch(size), cache, cfg.embeddings_gb * 1e9, source=source_digest(builder)
    )

    with logger.run(f"audit-{dataset.name}", tags={}):
        report.log_run(logger, cfg)
        report.log_dataset(logger, dataset.name, index, "audit")
        report.log_account(logger, account)
        table = embedder.embed(index, "plain", lambda part, batch: image_batches(part, size, batch), "Embedding images")
        found = audit_images(index, looks, copies, split, table[:], cfg.seed)
        judge = f"split {split.name}, " if split else ""
        how = f"{index.root}; {judge}embeddings by {backbone.name} at {size} px"
        made = audit_report(dataset.name, how, index, found, cfg.shown)
        files = artifacts.write(made, Path(cfg.out))
        metrics = {f"audit/{finding.name}": float(finding.count) for finding in found.findings}
        logger.log_metrics(metrics | {"audit/images": float(len(index))})
        for file in files:
            logger.log_file(file, "audit")
        for path, drawing in artifacts.drawings(made):
            logger.log_figure(drawing, f"audit/{path}")
    terminal.print_report(made)
    terminal.print_plain(f"Report      {files[-1]}")
    return metrics


def main(composed: DictConfig) -> None:
    """Audits, and ends with a status that says whether all files were read."""
    account = Account()
    audit(composed, account)
    leave(account)


if __name__ == "__main__":
    run(main, "audit")
