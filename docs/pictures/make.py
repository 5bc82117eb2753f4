"""Makes the pictures of README and docs from the program as it is: ``make pictures``.

A picture shows a page in headless Chromium, as commands leave it behind in a new folder. All images in it are drawn.
`pages.json` keeps the words of each page, by which a test notices that a page has changed since its picture was made.
"""

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from filelock import FileLock
from matplotlib.figure import Figure
from matplotlib.text import Text

from crackexp.data.synthetic import draw_patch
from crackexp.reporting import figures
from crackexp.utils.files import write_text
from docs.pictures.studio import SHOTS, Studio, shot
from tests.browser.page import opened, programs

FOLDER = Path(__file__).parent
WORDS = FOLDER / "pages.json"
REPORT = "h1, h2, summary, th, label, option, .labels span, .wide img"
"""The headings and labels of a report."""


@shot(1400, 725, "img")
def result(studio: Studio) -> None:
    """The curves, the confusion matrix and the worst errors of the run that the README starts with, side by side."""
    assert studio.trained
    names = ("training/curves.png", "test/confusion_matrix.png", "test/most_wrong.png")
    curves, matrix, errors = (f'<img style="width: 100%" src="{studio.artifact(name).as_uri()}">' for name in names)
    texts = dict.fromkeys(part.get_text() for figure in drawn_figures() for part in figure.findobj(Text))
    page = studio.folder / "result.html"
    page.write_text(
        '<body style="margin: 0; display: grid; grid-template-columns: 1fr 1fr; background: white">'
        f"<div>{curves}{matrix}</div><div>{errors}</div>"
        + "".join(f'<img hidden alt="{escape(text)}">' for text in texts)
    )
    studio.page.open(page.as_uri())
    widths = "return [...document.querySelectorAll('div img')].every(image => image.naturalWidth > 300)"
    studio.page.wait(lambda: studio.page.chrome.execute_script(widths), "the figures")


def drawn_figures() -> Iterator[Figure]:
    """Yields the figures of the picture `result` for other data, whose words are the same."""
    names, labels, predictions = ["Negative", "Positive"], np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    losses = {"loss": [0.9, 0.5], "accuracy": [0.5, 0.8], "val_loss": [0.8, 0.6], "val_accuracy": [0.6, 0.7]}
    yield figures.training_curves(losses, {"val/accuracy_before": 0.5, "val/loss_before": 1.0}, [0])
    yield figures.confusion_matrix(labels, predictions, names)
    row = {"label": "Positive", "prediction": "Negative", "confidence": 0.9, "path": "1.jpg", "correct": False}
    images, scores = np.zeros((2, 8, 8, 3), np.uint8), np.ones((2, 8, 8), np.float32)
    yield figures.error_gallery(images, scores, pd.DataFrame([row, row]), 3, names[1])


@shot(1400, 860, "[role=tab], th, [role=columnheader]")
def mlflow(studio: Studio) -> None:
    """The page of a run in MLflow."""
    studio.page.open(studio.printed(studio.trained, "runs/[0-9a-f]{32}"))
    studio.page.shows("Metrics (", "Parameters (", "Finished")


@shot(1070, 872, "h2, summary, .wide img")
def sweep(studio: Studio) -> None:
    """The report of the sweep in the README."""
    assert studio.swept_ratios
    studio.page.open(studio.artifact("sweep/report.html").as_uri())
    studio.page.shows("ratio_size_dropout")


@shot(1400, 860, "[role=tab], th, [role=columnheader]")
def sweep_answer(studio: Studio) -> None:
    """The page of a sweep in MLflow."""
    studio.page.open(studio.printed(studio.swept, "runs/[0-9a-f]{32}"))
    studio.page.shows("Metrics (", "Child runs", "Finished")


@shot(1400, 860, ".ag-header-cell-text, .ag-header-group-text, .ag-header-cell[col-id]")
def sweep_table(studio: Studio) -> None:
    """The trials of a sweep in MLflow."""
    studio.page.open(studio.printed(studio.swept, "viewStateShareKey=[0-9a-f]+").partition("&compareRunsMode")[0])
    studio.page.wait(lambda: len(studio.page.all(".ag-row a[href*=runs]")) >= 6, "the trials")


@shot(1400, 860, "[data-testid=experiment-view-compare-runs-card] [role=heading], .parcoords text.label, h4")
def sweep_charts(studio: Studio) -> None:
    """The charts of a sweep in MLflow."""
    studio.page.open(studio.printed(studio.swept, "compareRunsMode=CHART"))
    studio.page.wait(lambda: len(studio.page.all(".bars .point")) >= 6, "the bars")
    studio.page.wait(lambda: studio.page.all(".parcoords text.label"), "the parallel coordinates")


@shot(1240, 740, f"{REPORT}, .note")
def explained(studio: Studio) -> None:
    """The page of ``crackexp explain`` for six patches."""
    assert studio.trained
    for number in range(6):
        write(studio.folder / "patches" / f"wall_{number + 1:02}.jpg", draw_patch(11, number, number != 2))
    studio.crackexp("explain", "model=latest", "input=patches", "out=explained")
    studio.page.open((studio.folder / "explained" / "report.html").as_uri())
    studio.page.shows("wall_06.jpg")


@shot(1184, 700, REPORT)
def survey(studio: Studio) -> None:
    """The page of a survey of three walls."""
    assert studio.trained
    write_walls(studio.folder / "photos", {"wall_1.jpg": (0, True), "wall_2.jpg": (2, True), "wall_3.jpg": (2, False)})
    studio.crackexp("survey", "model=latest", "input=photos", "out=survey")
    studio.page.open((studio.folder / "survey" / "report.html").as_uri())
    studio.page.shows("of 3 photos")


@shot(1400, 850, ".title, .invitation, .note, .controls, .choose, .q-table__title, .unread th")
def app(studio: Studio) -> None:
    """The web app with six walls, and a file that is none."""
    assert studio.trained
    folder = studio.folder / "bridge"
    write_walls(
        folder,
        {
            "pier 2/IMG_0412.jpg": (0, True),
            "pier 2/IMG_0413.jpg": (2, True),
            "pier 2/IMG_0415.jpg": (4, True),
            "pier 2/IMG_0416.jpg": (2, False),
            "abutment_north.jpg": (1, True),
            "abutment_south.jpg": (4, False),
        },
    )
    (folder / "pier 2" / "IMG_0414.jpg").write_text("a photo that was not copied")
    studio.page.open(studio.serve("app", "model=latest", "port=0", "mm_per_px=0.5"))
    studio.page.shows("Drop photos or a folder here")
    studio.page.all("input[type=file]")[1].send_keys(str(folder))
    studio.page.shows("of 6 photos", "IMG_0414.jpg")
    next(row for row in studio.page.all(".photos tbody tr") if "IMG_0412" in row.text).click()


@shot(980, 1110, REPORT)
def audit(studio: Studio) -> None:
    """The page of an audit of drawn patches with some of every mistake that it looks for."""
    folder = studio.folder / "bridge_patches"
    for number in range(200):
        for cracked, name in enumerate(("Negative", "Positive")):
            patch = draw_patch(5, number, bool(cracked))
            write(folder / name / f"{number:03}.jpg", patch)
            if number % 10 == 0:
                copy = patch[:, ::-1] if number % 20 else np.clip(patch * 0.8, 0, 255).astype(np.uint8)
                write(folder / name / f"{number:03}_copy.jpg", copy)
    for number in (5, 17):
        write(folder / "Negative" / f"wall_{number}.jpg", draw_patch(5, number, True)[:, ::-1])
    for number in range(200, 206):
        write(folder / "Negative" / f"{number}.jpg", draw_patch(5, number, True))
    (folder / "Positive" / "unfinished.jpg").write_text("half a photo")
    studio.crackexp("audit", "dataset=folder", "dataset.name=bridge", f"dataset.path={folder.name}", "out=audited")
    studio.page.open((studio.folder / "audited" / "report.html").as_uri())
    studio.page.shows("Audit of")


def write(file: Path, pixels: np.ndarray) -> None:
    """Writes pixels, (H, W, 3) uint8 RGB, as a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), pixels[..., ::-1])


def write_walls(folder: Path, walls: Mapping[str, tuple[int, bool]]) -> None:
    """Draws walls by the names of their files: the number of each, and whether it is cracked.

    A hairline that is drawn so large is as wide as a crack in a patch.
    """
    for name, (number, cracked) in walls.items():
        write(folder / name, draw_patch(23, number, cracked, 1600, "thin")[:1100])


def main(names: Sequence[str]) -> None:
    """Makes the pictures with these names, or all of them."""
    if unknown := [name for name in names if name not in SHOTS]:
        sys.exit(f"There is no such picture. Choose from {', '.join(SHOTS)}. Received: {', '.join(unknown)}")
    found = programs()
    if found is None:
        sys.exit(
            "Pictures are taken in Chromium, which is not installed. Install chromium and its driver, chromedriver."
        )
    folder = Path(tempfile.gettempdir(), "crackexp-pictures")
    words = json.loads(WORDS.read_text()) if WORDS.exists() else {}
    with FileLock(f"{folder}.lock"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with opened(found, folder / "browser") as page, contextlib.closing(Studio(folder, page)) as studio:
            for name in names or SHOTS:
                start = time.monotonic()
                words[name] = SHOTS[name].take(studio)
                file = FOLDER / f"{name}.png"
                SHOTS[name].save(studio, file)
                kept = {name: words[name] for name in sorted(SHOTS) if name in words}
                write_text(WORDS, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
                print(
                    f"{file.name:18}{file.stat().st_size / 1e3:5.0f} kB {time.monotonic() - start:5.0f} s", flush=True
                )


if __name__ == "__main__":
    main(sys.argv[1:])
