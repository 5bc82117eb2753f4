"""Exports a logged model to files that other programs read: ``python -m crackexp.export model=MODEL``."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from omegaconf import DictConfig
from pydantic import Field

from crackexp.cli.main import run
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import JobConfig
from crackexp.config.types import Distinct, Text
from crackexp.tracking.run_names import with_model
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status


class ExportConfig(JobConfig):
    """The config of ``python -m crackexp.export``."""

    groups: ClassVar = ("paths", "tracking")
    model: Text
    """The model: ready, latest, a run or its id, best:SWEEP, models:/NAME/VERSION, models:/NAME@ALIAS, or a folder."""
    formats: Annotated[list[Literal["onnx", "stablehlo", "keras", "h5"]], Field(min_length=1), Distinct]
    """The formats to write."""
    out: Text
    """The folder to which the files are written."""
    log: bool
    """Whether the files are logged, to a child of the run of the model."""


def export(composed: DictConfig) -> None:
    """Writes a model in some formats, each of which is checked by a process without crackexp.

    Args:
        composed: The config that Hydra composed from ``conf/export.yaml``.

    Raises:
        UserError: The config or the name of the model has a mistake, or a format cannot hold the model. Nothing is
            exported then.
    """
    cfg = check(composed, ExportConfig)
    from crackexp.exporting.formats import check_exportable, check_folder, check_installed

    check_folder(cfg.out)
    check_installed(cfg.formats)
    cfg = with_model(cfg)

    with slow_imports():
        from crackexp.inference.compilation import use_cpu
        from crackexp.predicting.loading import open_model
        from crackexp.tracking import run_log

    use_cpu()
    model = open_model(cfg)
    check_exportable(model.classifier, cfg.formats)

    from crackexp.exporting.card import CARD
    from crackexp.exporting.exporter import export_model, export_report
    from crackexp.reporting.terminal import print_plain, print_report

    exported = export_model(model, cfg.formats, Path(cfg.out))
    status("Logging the files")
    if cfg.log:
        logger = instantiate(cfg.tracking)
        with logger.run("export", tags={}, parent=model.run_id):
            run_log.log_run(logger, cfg)
            for file in [*(one.file for one in exported), Path(cfg.out, CARD)]:
                logger.log_file(file, "export")
    print_report(export_report(exported))
    print_plain(f"Folder      {cfg.out}")


if __name__ == "__main__":
    run(export, "export", ExportConfig)
