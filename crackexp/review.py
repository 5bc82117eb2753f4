"""Asks a person about the patches that teach a model most: ``python -m crackexp.review model=MODEL input=PHOTOS``."""

import shlex
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from omegaconf import DictConfig
from pydantic import Field

from crackexp.cli.main import leave, run
from crackexp.config.checking import check, instantiate
from crackexp.config.commands import next_command
from crackexp.config.overrides import as_typed
from crackexp.config.settings import CommandConfig, Tile
from crackexp.config.types import BatchSize, Inputs, Positive, Seed, Text
from crackexp.data.accounting import Account
from crackexp.reporting.formatting import counted
from crackexp.tracking.run_names import with_model
from crackexp.utils.errors import ConfigError
from crackexp.utils.extras import require_extra
from crackexp.utils.imports import slow_imports
from crackexp.utils.names import on_one_line, visible
from crackexp.utils.progress import status

if TYPE_CHECKING:
    from crackexp.inference.base import Engine
    from crackexp.reviewing.proposal import Proposal
    from crackexp.web.review import Questions
    from crackexp.web.server_address import ServerAddress


class ReviewConfig(CommandConfig):
    """The config of ``python -m crackexp.review``."""

    groups: ClassVar = ("paths", "inference", "tracking")
    model: Text | None
    """The model: ready, latest, a run or its id, best:SWEEP, models:/NAME/VERSION, models:/NAME@ALIAS, or a folder."""
    input: Inputs | None
    """A file, a folder, a pattern, or a list of them; "-" reads names from standard input."""
    out: Text | None
    """The folder of the patches and the answers, from which the same command goes on."""
    survey: Text | None
    """The folder of a survey whose regions are reviewed; null to review patches."""
    count: Positive
    """The number of patches to answer."""
    choice: Literal["teaching", "random"]
    """How patches are chosen: those that teach most, or as they come."""
    seed: Seed
    """The seed of the choice."""
    tile: Tile
    """The tiles into which a photo is cut."""
    batch_size: BatchSize | None
    """The number of tiles in a batch; null for the number that is fastest."""
    serve: bool
    """Whether the page is served; otherwise the patches are written, and the command ends."""
    host: Text
    """The address to listen on: 127.0.0.1 for this computer only, or 0.0.0.0 for the network too."""
    port: Annotated[int, Field(ge=0, le=65535)]
    """The port to listen on; 0 for any free port."""
    open_browser: bool
    """Whether the page is opened in the browser."""


WANTED = {"model": "MODEL", "input": "PHOTOS", "out": "FOLDER"}
"""The keys that a review of patches takes, with what stands for their values."""
GO_ON = "Go on       by the same command"


def review(composed: DictConfig) -> Account:
    """Reviews patches of photos, or the regions of a survey.

    Args:
        composed: The config that Hydra composed from ``conf/review.yaml``.

    Returns:
        The account of the photos, which is empty where no photo is read: the review goes on, or is one of regions.

    Raises:
        UserError: The config or the name of the model has a mistake, there are no photos to read, the folder holds
            something else, the port is in use, or the page cannot be served.
    """
    cfg = check(composed, ReviewConfig)
    if cfg.survey is None:
        return _review_patches(cfg)
    if given := [key for key in WANTED if cfg[key] is not None]:
        raise ConfigError(
            f"The regions of a survey are reviewed without {' and '.join(given)}. Type survey={cfg.survey} alone, or "
            f"leave it out. Received: {' '.join(f'{key}={cfg[key]}' for key in ('survey', *given))}"
        )
    return _review_regions(cfg)


def _review_patches(cfg: DictConfig) -> Account:
    """Chooses patches, or goes on with those that were chosen, and serves the page on which they are answered."""
    if missing := [key for key in WANTED if cfg[key] is None]:
        raise ConfigError(
            f"Which patches are to be reviewed? Type {' '.join(f'{key}={name}' for key, name in WANTED.items())}, or "
            f"survey=FOLDER for the regions of a survey. Received: {' '.join(f'{key}=null' for key in missing)}"
        )
    engine = instantiate(cfg.inference)
    from crackexp.reviewing.proposal import Proposal

    folder, account = Path(cfg.out).expanduser(), Account()
    if proposal := Proposal.read(folder):
        proposal.require_same(_chosen(cfg))
    address = _claimed(cfg)
    from crackexp.reporting.terminal import print_plain
    from crackexp.reviewing.answers import TABLE, Answers

    if proposal is None:
        proposal = propose(cfg, engine, folder, account)
    else:
        print_plain(f"Going on with {counted(len(proposal.patches), 'patch', 'patches')} that {proposal.model} chose")
    answers = Answers(folder, proposal)
    answers.write_annotations()
    (path,) = shlex.split(as_typed("dataset.path", str(folder / TABLE)))
    step = next_command("adapt", f"model={cfg.model}", "dataset=folder", path)
    try:
        _serve(cfg, answers, address, step)
    finally:
        print_plain(f"{answers}\nFolder      {folder}")
        print_plain(f"Use them    {step}" if answers.are_complete else GO_ON)
    return account


def _review_regions(cfg: DictConfig) -> Account:
    """Serves the page on which the regions of a survey are accepted, rejected and commented, and writes a report."""
    from crackexp.reporting.terminal import print_plain
    from crackexp.reviewing.regions import RegionReview

    regions = RegionReview(Path(cfg.survey).expanduser())
    address = _claimed(cfg)
    try:
        _serve(cfg, regions, address, str(regions.folder / "report.html"))
    finally:
        pages = regions.write()
        print_plain(f"{regions}\nReport      {', '.join(map(str, pages))}")
        if len(pages) == 1:
            print_plain("The report of the survey has no verdicts: an older version of crackexp has written it.")
        if not regions.are_complete:
            print_plain(GO_ON)
    return Account()


def _claimed(cfg: DictConfig) -> "ServerAddress | None":
    """Returns the address of the page; None where none is served."""
    if not cfg.serve:
        return None
    require_extra("The page", ["fastapi", "uvicorn"], "app", "serve=true")
    from crackexp.web.server_address import claim

    return claim(cfg.host, cfg.port)


def _serve(cfg: DictConfig, questions: "Questions", address: "ServerAddress | None", step: str) -> None:
    """Serves the page until the person ends it; see `serve_review`."""
    if address is None:
        return
    from crackexp.reporting.terminal import print_report
    from crackexp.web.review import serve_review

    status("")
    print_report(address.report())
    if cfg.open_browser:
        threading.Thread(target=webbrowser.open, args=[address.url], daemon=True).start()
    serve_review(questions, address, step)


def propose(cfg: DictConfig, engine: "Engine", folder: Path, account: Account) -> "Proposal":
    """Chooses patches of photos, and writes them with their pictures, completely or not at all.

    Args:
        cfg: The checked config.
        engine: The engine that computes the model.
        folder: The folder to write, which is empty or does not exist.
        account: The account of files, to which the photos are added.

    Raises:
        UserError: The name of the model has a mistake, or there are no photos to read.
    """
    cfg = with_model(cfg)
    status("Looking for images")
    from crackexp.predicting.inputs import input_folder, name_below, named_inputs

    inputs = named_inputs(cfg.input, sys.stdin, account)
    with slow_imports():
        from crackexp.data.summary import account_report
        from crackexp.predicting.loading import model_name, open_model
        from crackexp.reporting.terminal import print_plain, print_report
        from crackexp.reviewing.candidates import find_candidates
        from crackexp.reviewing.choice import choose, draw
        from crackexp.reviewing.pictures import write_pictures
        from crackexp.reviewing.proposal import Proposal, patches_of
        from crackexp.surveying.tiles import Tiling
        from crackexp.utils.files import replacing_folder

    model = open_model(cfg)
    tiling = Tiling(round(cfg.tile.size * cfg.tile.scale), cfg.tile.overlap)
    found = find_candidates(model, engine, cfg.batch_size, tiling, inputs, account)
    status("Choosing patches")
    if cfg.choice == "teaching":
        rows = choose(found.probabilities, found.features, found.owners, cfg.count, cfg.seed)
    else:
        rows = draw(found.owners, cfg.count, cfg.seed)
    base = input_folder(cfg.input, inputs)
    names = [on_one_line(name_below(base, image.name)) for image in found.images]
    patches = patches_of(found, rows, names)
    proposal = Proposal(model=model_name(cfg), defect=model.thresholds.defect, chosen=_chosen(cfg), patches=patches)
    status("Writing the patches")
    with replacing_folder(folder) as temporary:
        for number, image in enumerate(found.images):
            own = [patch for patch, row in zip(patches, rows, strict=True) if found.owners[row] == number]
            if own:
                write_pictures(temporary, image, own)
        proposal.write(temporary)
    print_report(account_report(account))
    total = f"{len(found.owners):,} patches of {counted(len(names), 'photo')}"
    print_plain(f"Chosen      {len(patches)} of {total}")
    return proposal


def _chosen(cfg: DictConfig) -> dict[str, Any]:
    """Returns what the choice depends on beside the model, by the keys of the command."""
    names = [cfg.input] if isinstance(cfg.input, str) else cfg.input
    chosen = {"input": [visible(name) for name in names], **{key: cfg[key] for key in ("count", "choice", "seed")}}
    return chosen | {f"tile.{key}": value for key, value in cfg.tile.items()}


def main(composed: DictConfig) -> None:
    """Serves a review and exits with a status that says whether all photos were read."""
    leave(review(composed).exit_status)


if __name__ == "__main__":
    run(main, "review", ReviewConfig)
