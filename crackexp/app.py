"""Shows where photos are cracked, on a page in the browser: ``python -m crackexp.app model=MODEL``."""

import threading
import webbrowser

from omegaconf import DictConfig

from crackexp.cli import run
from crackexp.config.checking import check
from crackexp.config.roots import AppRoot
from crackexp.extras import require_extra


def app(composed: DictConfig) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Args:
        composed: what Hydra composed from ``conf/app.yaml``.

    Raises:
        UserError: a mistake in the config or the name of the model, a port in use, or NiceGUI is not installed.
    """
    cfg = check(composed, AppRoot)
    require_extra("The page", ["nicegui"], "app", f"model={cfg.model}")

    from crackexp.page.listening import claim

    place = claim(cfg.host, cfg.port)

    from crackexp.opening import open_model
    from crackexp.page.server import Desk, serve
    from crackexp.page.session import Limits
    from crackexp.prediction.surveyor import Surveyor
    from crackexp.prediction.tiles import Tiling
    from crackexp.reporting.terminal import print_report

    tiling = Tiling(round(cfg.tile.size * cfg.tile.scale), cfg.tile.overlap)
    surveyor = Surveyor(open_model(cfg), tiling, cfg.threshold, cfg.batch_size)
    desk = Desk(surveyor, Limits(**cfg.limits), cfg.mm_per_px)
    desk.warm_up()
    print_report(place.report())
    if cfg.open_browser:
        threading.Thread(target=webbrowser.open, args=[place.address], daemon=True).start()
    serve(desk, place, f"Model {cfg.model}, tiles of {tiling.side} px")


def main(composed: DictConfig) -> None:
    """Serves the page."""
    app(composed)


if __name__ == "__main__":
    run(main, "app")
