"""The figures of a sweep, read back from their parts."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from crackexp.comparison.comparison import compare
from crackexp.comparison.figures import COLORS, sweep_figures
from crackexp.metrics import STANDARD
from crackexp.reporting.figures.style import INK
from tests.comparison.trials import drawn_trials, errors, grid, trial
from tests.reporting.drawing import drawn, texts

SWEEPS = {
    "two": grid(dropout=[0.1, 0.3]),
    "one factor": grid(backbone=["mobilenet_v2", "resnet50", "small_cnn"], seed=[0, 1]),
    "recipe": grid(split__ratio=[[0.7, 0.2, 0.1], [0.8, 0.1, 0.1]], image_size=[96, 128, 160], dropout=[0.1, 0.3]),
    "four": grid(size=[96, 160], dropout=[0.1, 0.3], net=["a_long_name_of_a_backbone", "b"], lr=[1e-4, 1e-3])[:13],
    "sixty": grid(image_size=range(96, 192, 16), dropout=[level / 10 for level in range(10)]),
    "many panels": grid(a=[1, 2, 3, 4], b=[1, 2, 3, 4], c=[1, 2], d=[1, 2], e=[1, 2, 3])[:144],
    "search": [{"lr": 10.0**-k, "dropout": round(0.07 * k % 0.5, 3)} for k in range(12)],
}


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
@pytest.mark.parametrize(
    "sweep", [name for name in SWEEPS if name != "many panels"] + [pytest.param("many panels", marks=pytest.mark.slow)]
)
def test_figures_fit_every_sweep(sweep, metric):
    configurations = SWEEPS[sweep]
    trials = drawn_trials(
        configurations, {number: 0.02 + 0.001 * (number % 40) for number in range(len(configurations))}, n=150
    )
    figures = sweep_figures(compare(trials, STANDARD[metric], resamples=200))
    for figure in figures.values():
        drawn(figure)
    gridded = sweep not in ("two", "one factor", "search")
    assert set(figures) == {"ranking", "cost"} | ({"scores"} if gridded else set()) | (
        {"effects"} if sweep != "search" else set()
    )


@pytest.mark.parametrize("count", [0, 4])
def test_figures_stand_where_all_settings_are_equal(count):
    found = compare([trial(errors(90, count), row) for row in grid(a=[1, 2], b=[1, 2])])
    for figure in sweep_figures(found).values():
        drawn(figure)


def test_a_single_run_has_no_figures():
    assert sweep_figures(compare([trial(errors(90, 1), {"dropout": 0.3})])) == {}


def test_unknown_times_are_not_drawn():
    trials = [replace(one, seconds=float("nan")) for one in drawn_trials(SWEEPS["two"], 0.1)]
    assert set(sweep_figures(compare(trials))) == {"effects", "ranking"}


def test_the_map_shows_each_score_once_and_marks_the_best():
    configurations = SWEEPS["recipe"]
    found = compare(drawn_trials(configurations, {number: 0.3 if number == 3 else 0.05 for number in range(12)})[:-1])
    figure = sweep_figures(found)["scores"]
    drawn(figure)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in panels] == ["dropout 0.1", "dropout 0.3"]
    words = [word for axes in panels for word in texts(axes)]
    shown = sorted(word for word in words if word.replace(".", "").isdigit())
    assert shown == sorted(f"{100 * score:.2f}" for score in found.table["score"])
    for verdict in ("best", "tied", "worse"):
        assert words.count(verdict) == (found.table["verdict"] == verdict).sum() > 0
    patches = [patch for axes in panels for patch in axes.patches]
    assert sum(patch.get_hatch() is not None for patch in patches) == 1
    frames = [patch for patch in patches if to_hex(patch.get_edgecolor()) == INK and patch.get_linewidth() > 2]
    assert len(frames) == 1
    best = found.table.iloc[0]
    column = [96, 128, 160].index(best["image_size"])
    row = ["0.7/0.2/0.1", "0.8/0.1/0.1"].index(best["split.ratio"])
    assert np.round(frames[0].get_xy()).tolist() == pytest.approx([column, row])
    assert frames[0].axes.get_title("left") == f"dropout {best['dropout']}"


def test_the_ranking_draws_each_difference_in_the_color_of_its_verdict():
    trials = [trial(errors(400, count), {"dropout": level}) for level, count in ((0.1, 2), (0.3, 5), (0.5, 80))]
    found = compare(trials)
    figure = sweep_figures(found)["ranking"]
    drawn(figure)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    points = {to_hex(line.get_color()): line.get_xdata().tolist() for line in lines}
    assert points == {
        COLORS["best"]: pytest.approx([0]),
        COLORS["tied"]: pytest.approx([-0.75]),
        COLORS["worse"]: pytest.approx([-19.5]),
    }
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["dropout=0.1", "dropout=0.3", "dropout=0.5"]


def test_the_cost_names_what_nothing_beats():
    rows = [(10, 9, 50), (20, 5, 60), (30, 7, 10)]
    trials = [trial(errors(100, count), {"k": k}, seconds=s, parameters=p) for k, (s, count, p) in enumerate(rows)]
    figure = sweep_figures(compare(trials))["cost"]
    drawn(figure)
    time, size = figure.axes
    assert texts(time) == ["A", "B"]
    assert texts(size) == ["C", "B"]
    assert figure.get_supxlabel().splitlines() == ["A  k=0", "B  k=1", "C  k=2"]
