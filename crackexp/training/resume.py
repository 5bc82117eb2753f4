"""Goes on with an interrupted run: ``python -m crackexp.train resume=RUN``."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from crackexp.config.checking import check, check_part, instantiate
from crackexp.config.commands import next_command, typed
from crackexp.config.contracts import require_trusted
from crackexp.tracking.logger import require_store
from crackexp.tracking.run_names import INTERRUPTED, find
from crackexp.training.config import TrainConfig
from crackexp.utils.distributed import is_multirun
from crackexp.utils.errors import ConfigError, UserError
from crackexp.utils.store_uri import database_file

if TYPE_CHECKING:
    from crackexp.tracking.logger import Logger
    from crackexp.training.checkpoint import Checkpointer

STORE = ("tracking", "tracking.uri", "tracking.experiment", "paths.root")
"""Overrides that say where the run is: all that a resumed run takes from the command line."""

_log = logging.getLogger(__name__)


def own_config(cfg: DictConfig) -> tuple[DictConfig, str | None]:
    """Returns the config that the run ``cfg.resume`` was begun with, and its id.

    Args:
        cfg: The checked config of the command line. It is returned itself, and None, where no run is to be resumed.

    Raises:
        UserError: There is no such run, it is over, it runs on another machine, or more was typed than where it is.
    """
    if cfg.resume is None:
        return cfg, None
    require_alone(cfg)
    logger = instantiate(cfg.tracking)
    store = require_store(logger, "Without a tracking store there is no run to resume")
    run_id = find(cfg.resume, logger, INTERRUPTED, "resume=")
    from crackexp.tracking.runs import find_run

    run = find_run(run_id, store)
    if run.status == "FINISHED":
        raise ConfigError(f"The run has finished; there is nothing to resume. Received: resume={run_id}")
    own = _stored(run.config)
    if "trainer" not in own:
        raise ConfigError(
            "The run is no training run, or it was interrupted before it had logged its config. Type the command that "
            f"began it. Received: resume={run_id}"
        )
    if "inference" not in own:  # runs of earlier versions computed with XLA
        own["inference"] = {"_target_": "crackexp.inference.xla.Xla"}
    check_part(own, TrainConfig, ("paths", "tracking"))
    require_trusted({"tracking": OmegaConf.to_container(own.tracking, resolve=True)})
    own = check(_moved(own, store), TrainConfig)
    require_trusted(OmegaConf.to_container(own))
    if run.status == "RUNNING" and not (Path(own.paths.cache) / "states" / run_id).is_dir():
        raise ConfigError(
            f"The run is marked as running, and {own.paths.cache} keeps nothing of it: it runs on another machine. "
            f"Resume it there. Received: resume={run_id}"
        )
    state = Path(own.paths.cache) / "states" / run_id / "state.npz"
    if run.trained and not state.is_file():
        _log.warning(
            "The run logged epochs, but there is no state of it in %s: it was trained on another machine, or its state "
            "was removed. It starts from its beginning.",
            state.parent,
        )
    return own, run_id


def require_alone(cfg: DictConfig) -> None:
    """Raises ConfigError where a run is to be resumed and more was typed than where it is.

    Args:
        cfg: checked config of the command line.
    """
    if cfg.resume is None:
        return
    others = [override for key, override in typed().items() if key not in (*STORE, "resume", "print_config")]
    if others or is_multirun():
        raise ConfigError(
            "A resumed run keeps the config that it was begun with, and is no sweep. "
            f"Type {command(cfg.resume)} Received: {' '.join(others) or '-m'}"
        )


def _moved(own: DictConfig, uri: str) -> DictConfig:
    """Returns the config `own` of a run with the store at `uri`, and with the folders of where it lies now.

    Where the project was copied or moved, what the run named below its old root is looked for and written below the new
    one, so that a copy never touches the original.
    """
    before = instantiate(own.tracking).store
    if before is None:
        return own
    begun_in, found_in = database_file(before), database_file(uri)
    own.tracking = _replaced(OmegaConf.to_container(own.tracking, resolve=True), before, uri)
    begun_in = begun_in and Path(own.paths.root, begun_in)
    if not begun_in or not found_in or not begun_in.is_relative_to(own.paths.root):
        return own
    below = begun_in.relative_to(own.paths.root).parts
    place = found_in.resolve()
    root = Path(*place.parts[: -len(below)])
    if place.parts[-len(below) :] != below or root == Path(own.paths.root).resolve():
        return own
    return DictConfig(OmegaConf.create(_replaced(OmegaConf.to_container(own), str(own.paths.root), str(root))))


def _replaced(value: Any, old: str, new: str) -> Any:
    """Returns a config with the folder `new` in place of `old` in all of its paths."""
    if isinstance(value, dict):
        return {key: _replaced(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, old, new) for one in value]
    return new + value[len(old) :] if isinstance(value, str) and f"{value}/".startswith(f"{old}/") else value


@contextlib.contextmanager
def resumable(checkpointer: "Checkpointer", logger: "Logger") -> Iterator[None]:
    """Holds the checkpoints of the open run for the `with` block; says how to resume it where the block breaks off."""
    with checkpointer.open(logger.run_id):
        if checkpointer.code_changed:
            _log.warning("The code, its libraries or the devices are not those that the run began with.")
            logger.set_tags({"resume.changed": "true", "cell.id": ""})
        try:
            yield
        except UserError:
            raise
        except BaseException:
            if logger.run_id:
                print(f"\nResume it   {command(logger.run_id)}", flush=True)
            raise


def command(run_id: str) -> str:
    """Returns the command that resumes a run of this command line's store."""
    return next_command("train", f"resume={run_id}", places=STORE)


def _stored(text: str | None) -> DictConfig:
    """Returns the config that a run logged as `text`; an empty one where that is no config."""
    try:
        config = OmegaConf.create(text or "")
    except (YAMLError, OmegaConfBaseException):
        config = None
    return config if isinstance(config, DictConfig) else DictConfig({})
