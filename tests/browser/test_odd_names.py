"""Names with HTML in them run nothing, and stand as they are, on every page that the program makes."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from crackexp.auditing.audit_report import audit_report
from crackexp.auditing.findings import audit_images
from crackexp.comparison.comparison import compare
from crackexp.comparison.figures import sweep_figures
from crackexp.comparison.report import comparison_report
from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import CRACK, Classes, Thresholds
from crackexp.data.duplicates import find_duplicates
from crackexp.data.sources import ImageFolder
from crackexp.data.thumbnails import thumbnails
from crackexp.predicting.explanations import Explanations
from crackexp.predicting.inputs import InputFile
from crackexp.predicting.predictor import ExplainingPredictor
from crackexp.reporting import artifacts
from crackexp.surveying.survey_report import Survey
from crackexp.surveying.surveyor import Surveyor
from crackexp.surveying.tiles import Tiling
from crackexp.tracking.models import LoggedModel
from tests.browser.conftest import Page
from tests.comparison.trials import drawn_trials, grid
from tests.odd_names import ODD, SCRIPT, draw_oddly_named
from tests.web.running import served

pytestmark = pytest.mark.browser
QUOTED = "'\"><svg onload=document.title='pwned'>"
Build = Callable[[Path, keras.Model], Path]


def logged(classifier: keras.Model) -> LoggedModel:
    return LoggedModel(classifier, Classes(("Negative", "Positive"), ("Positive",)), Thresholds(), {}, None)


def survey(folder: Path, classifier: keras.Model) -> Path:
    account = Account()
    made = Survey(folder / "out", CRACK, mm_per_px=None, gps=False, account=account)
    surveyor = Surveyor(logged(classifier), Tiling(40, 0.5))
    for file in draw_oddly_named(folder / QUOTED):
        made.add(InputFile(str(file)), *surveyor.survey(InputFile(str(file))))
    account.leave_out(f"{SCRIPT}.jpg", f"a link to {SCRIPT}")
    return artifacts.write(made.report(f"model {SCRIPT}"), made.folder)[-1]


def explanations(folder: Path, classifier: keras.Model) -> Path:
    predictor = ExplainingPredictor(logged(classifier))
    made = Explanations(folder / "out", predictor.target, predictor.enlarge)
    inputs = [InputFile(str(file)) for file in draw_oddly_named(folder / QUOTED)]
    for part, rows, maps in predictor.explained(inputs):
        made.add(part, rows, maps)
    report = made.report(f"model {SCRIPT}", predictor.counts, predictor.thresholds.defect)
    return artifacts.write(report, made.folder)[-1]


def audit(folder: Path, classifier: keras.Model) -> Path:
    for number, name in enumerate((SCRIPT, QUOTED)):
        draw_oddly_named(folder / "data" / name, side=40 + 8 * number)
    (folder / "data" / SCRIPT / f"bad {SCRIPT}.png").write_text("no image")
    cache = folder / "cache"
    dataset = ImageFolder(
        name=SCRIPT, path=folder / "data", positive=SCRIPT, limit=None, on_bad_file="skip", cache=cache
    )
    index = dataset.prepare()
    copies, looks = find_duplicates(index, cache), thumbnails(index, cache)
    embeddings = looks.pictures.reshape(len(index), -1).astype(np.float32)
    found = audit_images(index, looks, copies, None, embeddings, seed=0)
    report = audit_report(SCRIPT, f"by hand {SCRIPT}", index, found, shown=40)
    return artifacts.write(report, folder / "audit")[-1]


def sweep(folder: Path, classifier: keras.Model) -> Path:
    trials = drawn_trials(grid(loss=[SCRIPT, QUOTED], dropout=[0.1, 0.3]), 0.1)
    found = compare(trials)
    failed = [(SCRIPT, f"ValueError: {SCRIPT}")]
    report = comparison_report(found, f"sweep {SCRIPT}", sweep_figures(found), failed, f"python {SCRIPT}")
    return artifacts.write(report, folder)[-1]


@pytest.mark.parametrize("build", [survey, explanations, audit, sweep])
def test_names_on_a_report_are_text(page: Page, classifier: keras.Model, tmp_path: Path, build: Build) -> None:
    report = build(tmp_path, classifier)
    page.open(report.as_uri())
    page.shows(SCRIPT)
    for button in page.all("button")[:30]:
        page.chrome.execute_script("arguments[0].click()", button)
    assert page.chrome.title != "pwned"
    assert not page.all("img[onerror], svg[onload], [src=x]")
    assert (
        page.chrome.execute_script("return [...document.scripts].filter(one => one.text.includes('pwned')).length") == 0
    )
    assert not [entry for entry in page.chrome.get_log("browser") if report.name in entry["message"]]


def test_names_in_the_app_are_text(page: Page, model: str, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    typeable = tuple(name for name in ODD if "\n" not in name and "\udce9" not in name)
    files = draw_oddly_named(tmp_path / "site", typeable)
    bad = tmp_path / "site" / f"bad {SCRIPT}.png"
    bad.write_text("no image")
    with served(folder, cache, f"model={model}", "tile.size=40") as running:
        page.open(running.address)
        page.shows("Drop photos or a folder here")
        page.all("input[type=file]")[0].send_keys("\n".join(map(str, [*files, bad])))
        page.shows(f"of {len(files)} photos", f"bad {SCRIPT}.png", f"{SCRIPT}.png")
        page.wait(lambda: len(page.all(".photos tbody tr")) == len(files), "all photos")
        for row in range(len(files)):
            page.chrome.execute_script("document.querySelectorAll('.photos tbody tr')[arguments[0]].click()", row)
        assert page.chrome.title == "Cracks in photos"
        assert not page.all("img[onerror], svg[onload], [src=x]")
