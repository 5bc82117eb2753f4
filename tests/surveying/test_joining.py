"""Pieces of one crack are one region, specks are none, and cracks that are two stay two."""

from collections.abc import Callable

import numpy as np
import pytest
from omegaconf import DictConfig

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import CRACK
from crackexp.surveying.photo_result import RegionRules
from crackexp.surveying.survey_report import Survey
from tests.surveying.drawn import ALL, SIDE, SIZE, drawn_crack, line, surveyed


@pytest.mark.parametrize(("overlap", "end"), [(0.0, 590), (0.5, 420)])
def test_a_broken_crack_among_specks_is_one_region(overlap: float, end: float) -> None:
    """One crack in three pieces and six specks."""
    crack = line((40, 620), (760, end))
    broken = {"missed": [(280, 620 + (end - 620) / 3), (520, 620 + (end - 620) * 2 / 3)], "overlap": overlap}
    specks = [(110, 110), (310, 190), (510, 110), (710, 230), (190, 350), (650, 750)]
    found, pieces = surveyed(crack, specks=specks, **broken), surveyed(crack, ALL, specks=specks, **broken)
    parts = len(pieces.regions) - len(specks)
    assert parts == 3
    row = found.verdict(None)
    assert (row["regions"], row["joined_pieces"], row["dropped_regions"]) == (1, 3, 6)
    (region,) = found.regions
    assert region.extent == pytest.approx(np.hypot(720, 620 - end), abs=1.5 * SIDE)
    assert region.area == pytest.approx(sum(piece.area for piece in surveyed(crack, ALL, **broken).regions))
    assert found.tiles().equals(pieces.tiles())


@pytest.mark.slow
def test_most_drawn_cracks_that_were_lost_in_a_place_are_whole_again() -> None:
    """A crack that turns sharply at the place stays in two regions."""
    whole = joined = photos = 0
    for seed in range(30):
        crack = drawn_crack(seed)
        if crack is None:
            continue
        y, x = np.nonzero(crack)
        middle = len(x) // 2
        broken = [(x[middle], y[middle])]
        if len(surveyed(crack, ALL).regions) == 1 < len(surveyed(crack, ALL, broken).regions):
            photos += 1
            whole += len(surveyed(crack, missed=broken).regions) == 1
            joined += surveyed(crack, RegionRules(min_extent=0.0), broken).verdict(None)["joined_pieces"] > 1
    assert photos >= 8
    assert whole >= 0.75 * photos
    assert joined >= 0.7 * photos


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("shift", [2.5 * SIDE, 3 * SIDE, 4 * SIDE])
@pytest.mark.parametrize("slope", [0, 240])
def test_parallel_cracks_are_not_joined(shift: float, slope: float, overlap: float) -> None:
    first, second = line((0, 250), (SIZE, 250 + slope)), line((0, 250 + shift), (SIZE, 250 + shift + slope))
    assert len(surveyed(first | second, overlap=overlap).regions) == 2


def test_parallel_cracks_that_pass_each_other_are_not_joined() -> None:
    first, second = line((0, 300), (450, 300)), line((350, 500), (SIZE, 500))
    assert len(surveyed(first | second).regions) == 2


def test_cracks_that_cross_are_one_region_and_broken_at_the_crossing_two() -> None:
    level, upright = line((0, 410), (SIZE, 410)), line((410, 0), (410, SIZE))
    assert len(surveyed(level | upright).regions) == 1
    broken = [(x, y) for x in (370, 410, 450) for y in (370, 410, 450)]
    assert len(surveyed(level | upright, ALL, broken).regions) == 4
    arms = surveyed(level | upright, RegionRules(join=2.5), broken).regions
    assert [len(region.pieces) for region in arms] == [2, 2]
    spans = sorted(np.ptp(np.concatenate(region.rings), axis=0).tolist() for region in arms)
    assert [max(span) for span in spans] == [SIZE, SIZE]
    assert [min(span) < 2 * SIDE for span in spans] == [True, True]


def test_a_photo_of_specks_alone_is_unsure_and_not_sound() -> None:
    nothing = np.zeros((SIZE, SIZE), np.uint8)
    row = surveyed(nothing, specks=[(300, 300)]).verdict(None)
    assert (row["decision"], row["regions"], row["dropped_regions"]) == ("unsure", 0, 1)
    assert row["total_extent_px"] == row["cracked_share"] == 0
    assert surveyed(nothing, ALL, specks=[(300, 300)]).verdict(None)["decision"] == "crack"
    assert surveyed(nothing).verdict(None)["decision"] == "sound"


@pytest.mark.parametrize(
    ("missed", "specks", "told"), [([], [], []), ([(280, 620), (520, 620)], [(110, 110)], ["Joined", "Dropped"])]
)
def test_a_report_says_what_was_joined_and_dropped_only_where_something_was(
    missed: list[tuple[float, float]], specks: list[tuple[float, float]], told: list[str]
) -> None:
    verdict = surveyed(line((40, 620), (760, 620)), missed=missed, specks=specks).verdict(None)
    made = Survey(None, CRACK, None, False, Account())
    made.rows = [{"photo": "wall.jpg", "files": "", **verdict}]
    assert [note.partition(":")[0] for note in made.report("a model").notes] == told


def test_the_config_and_the_app_have_the_same_rules(compose_config: Callable[..., DictConfig]) -> None:
    assert RegionRules(**compose_config("model=m", "input=i", root="survey").regions) == RegionRules()
