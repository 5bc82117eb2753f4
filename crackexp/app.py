"""Shows the cracks in photos on a page in the browser: ``python -m crackexp.app model=MODEL``."""

import threading
import webbrowser
from typing import Annotated, ClassVar

from omegaconf import DictConfig
from pydantic import Field

from crackexp.cli.main import run
from crackexp.config.checking import check, instantiate
from crackexp.config.settings import CommandConfig, Tile
from crackexp.config.types import BatchSize, MmPerPx, PhotoThreshold, Strict, Text
from crackexp.tracking.run_names import with_model
from crackexp.utils.extras import require_extra
from crackexp.utils.imports import slow_imports
from crackexp.utils.progress import status


class AppLimits(Strict):
    """The limits of the page."""

    photos: Annotated[int, Field(ge=1, le=10_000)]
    """The largest number of photos that are kept for an open page, each about a megabyte of memory."""
    megapixels: Annotated[float, Field(gt=0, le=178)]
    """The largest number of megapixels of a photo, which is checked before it is decoded."""
    megabytes: Annotated[float, Field(gt=0, le=2000)]
    """The largest number of megabytes of a file."""


class AppConfig(CommandConfig):
    """The config of ``python -m crackexp.app``."""

    groups: ClassVar = ("paths", "inference", "tracking")
    model: Text
    """The model: ready, latest, a run or its id, best:SWEEP, models:/NAME/VERSION, models:/NAME@ALIAS, or a folder."""
    host: Text
    """The address to listen on: 127.0.0.1 for this computer only, or 0.0.0.0 for the network too."""
    port: Annotated[int, Field(ge=0, le=65535)]
    """The port to listen on; 0 for any free port."""
    open_browser: bool
    """Whether the page is opened in the browser."""
    tile: Tile
    """The tiles into which a photo is cut."""
    relative_to_photo: bool | None
    """Whether tiles are judged relative to their photo; null for so, unless the model was calibrated for a site."""
    threshold: PhotoThreshold | None
    """The least probability of a crack, or of damage, that counts as one; null for the threshold of the model."""
    mm_per_px: MmPerPx | None
    """The size of a pixel on the wall in millimetres, for lengths in millimetres too; null where it is not known."""
    limits: AppLimits
    """The limits of the page."""
    batch_size: BatchSize | None
    """The number of tiles in a batch; null for the number that is fastest."""


def app(composed: DictConfig) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Args:
        composed: The config that Hydra composed from ``conf/app.yaml``.

    Raises:
        UserError: The config or the name of the model has a mistake, the port is in use, or NiceGUI is not installed.
    """
    cfg = check(composed, AppConfig)
    require_extra("The page", ["nicegui"], "app", f"model={cfg.model}")
    engine = instantiate(cfg.inference)

    from crackexp.web.server_address import claim

    address = claim(cfg.host, cfg.port)
    cfg = with_model(cfg)
    with slow_imports():
        from crackexp.predicting.loading import model_name, open_model
        from crackexp.reporting.terminal import print_report
        from crackexp.surveying.surveyor import Surveyor
        from crackexp.surveying.tiles import Tiling
        from crackexp.web.server import PhotoService, serve
        from crackexp.web.session import Limits

    tiling = Tiling(round(cfg.tile.size * cfg.tile.scale), cfg.tile.overlap)
    surveyor = Surveyor(
        open_model(cfg),
        tiling,
        cfg.threshold,
        cfg.batch_size,
        engine=engine,
        explains=False,
        relative=cfg.relative_to_photo,
    )
    service = PhotoService(surveyor, Limits(**cfg.limits), cfg.mm_per_px)
    status("Compiling the model")
    service.warm_up()
    status("")
    print_report(address.report())
    if cfg.open_browser:
        threading.Thread(target=webbrowser.open, args=[address.url], daemon=True).start()
    serve(service, address, f"Model {model_name(cfg)}, tiles of {tiling.side} px")


def main(composed: DictConfig) -> None:
    """Serves the page."""
    app(composed)


if __name__ == "__main__":
    run(main, "app", AppConfig)
