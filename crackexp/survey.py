"""Looks for cracks in whole photos: ``python -m crackexp.survey model=MODEL input=PHOTOS out=FOLDER``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from omegaconf import DictConfig
from pydantic import Field

from crackexp.cli.main import leave, run
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import ModelConfig, Tile
from crackexp.config.types import Inputs, MmPerPx, PhotoThreshold, Strict, Text
from crackexp.data.accounting import Account
from crackexp.tracking.run_names import with_model
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status

if TYPE_CHECKING:
    from crackexp.inference.base import Engine
    from crackexp.surveying.surveyor import Surveyor
    from crackexp.tracking.models import LoggedModel


class Regions(Strict):
    """Which marked pieces are one region, and which regions count."""

    join: Annotated[float, Field(ge=0, le=100)]
    """The largest gap in sides of a tile over which pieces in line are joined to one region; 0 joins none."""
    min_extent: Annotated[float, Field(ge=0, le=100)]
    """The least length in sides of a tile of a region that counts; 0 counts all."""


class SurveyConfig(ModelConfig):
    """The config of ``python -m crackexp.survey``."""

    groups: ClassVar = ("paths", "inference", "tracking")
    input: Inputs
    """A file, a folder, a pattern, or a list of them; "-" reads names from standard input."""
    out: Text
    """The folder of report.html, report.pdf, photos.csv and photos/."""
    tile: Tile
    """The tiles into which a photo is cut."""
    regions: Regions
    """Which marked pieces are one region, and which regions count."""
    relative_to_photo: bool | None
    """Whether tiles are judged relative to their photo; null for so, unless the model was calibrated for a site."""
    threshold: PhotoThreshold | None
    """The least probability of a crack, or of damage, that counts as one; null for the threshold of the model."""
    mm_per_px: MmPerPx | None
    """The size of a pixel on the wall in millimetres, for lengths in millimetres too; null where it is not known."""
    gps: bool
    """Whether the report gives the places where photos were taken, as far as their files say."""


def survey(composed: DictConfig) -> Account:
    """Cuts photos into tiles, classifies them, and writes pictures, tables, outlines and a page of the cracks.

    Args:
        composed: The config that Hydra composed from ``conf/survey.yaml``.

    Returns:
        The account of the files, which says for each one whether it was used or left out.

    Raises:
        UserError: The config or the name of the model has a mistake, or there are no files to read.
    """
    cfg = with_model(check(composed, SurveyConfig))
    engine = instantiate(cfg.inference)  # it is refused before anything is read if it is not installed

    status("Looking for images")
    from crackexp.predicting.inputs import input_folder, named_inputs

    account = Account()
    inputs = named_inputs(cfg.input, sys.stdin, account)
    with slow_imports():
        from crackexp.data.summary import account_report
        from crackexp.predicting.loading import model_name, open_model
        from crackexp.reporting import pdf
        from crackexp.reporting.terminal import print_plain, print_report
        from crackexp.surveying.survey_report import Survey
        from crackexp.tracking import run_log

    model = open_model(cfg)
    surveyor = build_surveyor(cfg, model, engine)
    logger = instantiate(cfg.tracking)
    status("Opening the store")

    with logger.run("survey", tags={}, parent=model.run_id):
        run_log.log_run(logger, cfg)
        folder = input_folder(cfg.input, inputs)
        made = Survey(Path(cfg.out), surveyor.thresholds.defect, cfg.mm_per_px, cfg.gps, account, folder)
        for surveyed in surveyor.survey_all(inputs, account):
            made.add(*surveyed)
        status("Writing the report")
        result = made.report(f"{model_name(cfg)}, {surveyor}")
        files = made.write(result)
        logger.log_metrics(made.metrics())
        for file in files:
            logger.log_file(file, str(Path("survey", file.relative_to(cfg.out).parent)))
    print_report(result)
    print_report(account_report(account))
    print_plain(f"Report      {files[-1]}, {pdf.PAGE}")
    return account


def build_surveyor(cfg: DictConfig, model: "LoggedModel", engine: "Engine", explains: bool = True) -> "Surveyor":
    """Returns what classifies the tiles of photos.

    Args:
        cfg: The checked config of the command.
        model: The model, which was trained on patches.
        engine: The engine that classifies the tiles.
        explains: Whether the maps of damaged tiles are made.
    """
    from crackexp.surveying.photo_result import RegionRules
    from crackexp.surveying.surveyor import Surveyor
    from crackexp.surveying.tiles import Tiling

    tiling = Tiling(round(cfg.tile.size * cfg.tile.scale), cfg.tile.overlap)
    rules = RegionRules(**cfg.regions)
    return Surveyor(
        model,
        tiling,
        cfg.threshold,
        cfg.batch_size,
        rules=rules,
        engine=engine,
        explains=explains,
        relative=cfg.relative_to_photo,
    )


def main(composed: DictConfig) -> None:
    """Surveys photos and exits with a status that says whether all files were read."""
    leave(survey(composed).exit_status)


if __name__ == "__main__":
    run(main, "survey", SurveyConfig)
