"""Audits a dataset: ``python -m crackexp.audit dataset=NAME``."""

from pathlib import Path
from typing import Annotated, ClassVar

from omegaconf import DictConfig
from pydantic import Field

from crackexp.cli.main import leave, run
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import JobConfig
from crackexp.config.types import Gigabytes, ImageSize, Text
from crackexp.data.accounting import Account
from crackexp.models.weight_files import require_weights
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status


class AuditConfig(JobConfig):
    """The config of ``python -m crackexp.audit``."""

    groups: ClassVar = ("paths", "dataset", "split", "backbone", "inference", "tracking")
    optional: ClassVar = ("split",)
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """The seed of the folds."""
    image_size: ImageSize
    """The side of images in pixels for embeddings; with that of a training, its stored embeddings are used."""
    out: Text
    """The folder of report.html and the tables."""
    shown: Annotated[int, Field(ge=1, le=500)]
    """The largest number of pictures in a section of the page."""
    embeddings_gb: Gigabytes
    """The gigabytes that stored embeddings of all runs may take; those not used for longest are removed first."""


def audit(composed: DictConfig, account: Account | None = None) -> dict[str, float]:
    """Finds copies, contradicting and suspected labels, outliers, unreadable files, and leaks of a split.

    Args:
        composed: The config that Hydra composed from ``conf/audit.yaml``.
        account: The account of the files of the dataset, which is filled here; None for a new one.

    Returns:
        The number of times that each kind of problem was found, by the name of its metric.

    Raises:
        UserError: The config or the dataset has a mistake.
    """
    account = Account() if account is None else account
    cfg = check(composed, AuditConfig)

    engine = instantiate(cfg.inference)
    require_weights(cfg.backbone)
    status("Reading the images")
    from crackexp.data.classes.single import require_two_classes
    from crackexp.data.duplicates import find_duplicates
    from crackexp.data.splits.base import check_split
    from crackexp.data.summary import account_report
    from crackexp.data.thumbnails import thumbnails
    from crackexp.reporting import terminal

    cache = Path(cfg.paths.cache)
    dataset = instantiate(cfg.dataset)
    splitter = instantiate(cfg.split) if "split" in cfg else None
    if splitter is not None:
        check_split(dataset, splitter)
    index = dataset.prepare()
    require_two_classes(index)
    account.add(index.account)
    terminal.print_report(account_report(account))
    split = splitter.split(index) if splitter else None
    copies = find_duplicates(index, cache)
    looks = thumbnails(index, cache)

    with slow_imports():
        from crackexp.auditing.audit_report import audit_report
        from crackexp.auditing.findings import audit_images
        from crackexp.data.pipeline import image_batches
        from crackexp.embeddings.embedder import Embedder
        from crackexp.inference.compilation import keep_programs, set_precision
        from crackexp.reporting import artifacts
        from crackexp.tracking import run_log
        from crackexp.utils.source_code import source_digest

    set_precision("float32")
    keep_programs(cache)
    status("Building the backbone")
    logger = instantiate(cfg.tracking)
    size = cfg.image_size
    builder = instantiate(cfg.backbone)
    backbone = builder.build(size, cfg.seed)
    backbone.trainable = False
    embedder = Embedder(
        backbone, size, None, cache, cfg.embeddings_gb * 1e9, source=source_digest(builder), engine=engine
    )

    status("Auditing the images")
    with logger.run(f"audit-{dataset.name}", tags={}):
        run_log.log_run(logger, cfg)
        run_log.log_dataset(logger, dataset.name, index, "audit")
        run_log.log_account(logger, account)
        table = embedder.embed(index, "plain", lambda part, batch: image_batches(part, size, batch), "Embedding images")
        result = audit_images(index, looks, copies, split, table[:], cfg.seed)
        judge = f"split {split.name}, " if split else ""
        how = f"{index.root}; {judge}embeddings by {backbone.name} at {size} px"
        status("Writing the report")
        made = audit_report(dataset.name, how, index, result, cfg.shown)
        files = artifacts.write(made, Path(cfg.out))
        metrics = {f"audit/{finding.name}": float(finding.count) for finding in result.findings}
        logger.log_metrics(metrics | {"audit/images": float(len(index))})
        for file in files:
            logger.log_file(file, "audit")
        for path, drawing in artifacts.drawings(made):
            logger.log_figure(drawing, f"audit/{path}")
    terminal.print_report(made)
    terminal.print_plain(f"Report      {files[-1]}")
    return metrics


def main(composed: DictConfig) -> None:
    """Audits a dataset and exits with a status that says whether all files were read."""
    account = Account()
    audit(composed, account)
    leave(account.exit_status)


if __name__ == "__main__":
    run(main, "audit", AuditConfig)
