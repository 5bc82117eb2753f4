"""Exports a logged model to files that other programs read: ``python -m crackexp.export model=MODEL``."""

from pathlib import Path

from omegaconf import DictConfig

from crackexp.cli import run
from crackexp.config.checking import check, instantiate
from crackexp.config.roots import ExportRoot


def export(composed: DictConfig) -> None:
    """Writes a model in some formats, each checked by a process without crackexp.

    Args:
        composed: what Hydra composed from ``conf/export.yaml``.

    Raises:
        UserError: a mistake in the config or the name of the model, or a format that cannot hold the model; nothing
            is exported then.
    """
    cfg = check(composed, ExportRoot)

    from crackexp.exchange.formats import check_exportable, check_folder, check_installed

    check_folder(cfg.out)
    check_installed(cfg.formats)

    from crackexp import report
    from crackexp.opening import open_model
    from crackexp.training.programs import use_cpu

    use_cpu()
    model = open_model(cfg)
    check_exportable(model.classifier, cfg.formats)

    from crackexp.exchange.card import CARD
    from crackexp.exchange.exporter import export_model, export_report
    from crackexp.reporting.terminal import print_plain, print_report

    exported = export_model(model, cfg.formats, Path(cfg.out))
    if cfg.log:
        logger = instantiate(cfg.tracking)
        with logger.run("export", tags={}, parent=model.run_id):
            report.log_run(logger, cfg)
            for file in [*(one.file for one in exported), Path(cfg.out, CARD)]:
                logger.log_file(file, "export")
    print_report(export_report(exported))
    print_plain(f"Folder      {cfg.out}")


if __name__ == "__main__":
    run(export, "export")
