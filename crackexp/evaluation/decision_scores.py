"""How good decisions are: what they find, what they raise falsely, and what that costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crackexp.data.classes.decisions import SOUND, UNSURE, Defect
from crackexp.metrics.intervals import Interval, covering, grouped_interval, percentile_interval, wilson
from crackexp.metrics.predictions import Bootstrap


@dataclass(frozen=True)
class Costs:
    """What wrong decisions cost, in any unit.

    For calibrated probabilities, the threshold with the least expected cost is false_alarm / (false_alarm + miss)
    (Elkan 2001, "The Foundations of Cost-Sensitive Learning").

    Attributes:
        miss: The cost of a damaged image that is called sound.
        false_alarm: The cost of a sound image that is called damaged, and of any image that is called unsure, since
            somebody has to look at it.
    """

    miss: float = 10.0
    false_alarm: float = 1.0

    def of(self, damaged: np.ndarray, decisions: np.ndarray) -> np.ndarray:
        """Returns the cost of each decision, (n,) float64.

        Args:
            damaged: Whether each image is damaged, (n,) bool.
            decisions: (n,) str, see `Thresholds.decide`.
        """
        looked_at = (decisions == UNSURE) | (~damaged & (decisions != SOUND))
        return np.where(damaged & (decisions == SOUND), self.miss, np.where(looked_at, self.false_alarm, 0.0))


COSTS = Costs()


def evaluate_decisions(
    damaged: np.ndarray, decisions: np.ndarray, bootstrap: Bootstrap, groups: np.ndarray | None, costs: Costs = COSTS
) -> Mapping[str, Interval]:
    """Returns recall, false positive rate, share of unsure images and expected cost of the decisions on n images.

    Intervals are Wilson's where images are independent; with `groups` they are those of `grouped_interval`, never
    narrower than Wilson's.

    Args:
        damaged: Whether each image is damaged, (n,) bool.
        decisions: (n,) str, see `Thresholds.decide`.
        bootstrap: The bootstrap of the intervals.
        groups: The photo of each image, (n,); None where images are independent.
        costs: What a miss and a false alarm cost.

    Returns:
        `decided_recall`, the share of the damaged images that are not called sound, `decided_false_alarms`, the share
        of the others that are called damaged, `decided_unsure`, the share of all images, and `decided_cost`, the mean
        cost of 1,000 images. A share of no images is left out.
    """
    selections = {
        "decided_recall": (decisions != SOUND, damaged),
        "decided_false_alarms": (~np.isin(decisions, (SOUND, UNSURE)), ~damaged),
        "decided_unsure": (decisions == UNSURE, np.ones(len(decisions), bool)),
    }
    shares = {name: (counted & among, among) for name, (counted, among) in selections.items() if among.any()}
    scores = {
        name: wilson(int(counted.sum()), int(among.sum()), bootstrap.level) for name, (counted, among) in shares.items()
    }
    cost = 1000 * costs.of(damaged, decisions)
    members = None if groups is None else np.unique(groups, return_inverse=True)[1]
    parts = [part for pair in shares.values() for part in pair]
    columns = np.stack([cost, np.ones(len(cost)), *parts], axis=1)
    totals = np.concatenate([counts @ columns for counts in bootstrap.counts(len(cost), members)])
    with np.errstate(invalid="ignore"):
        samples = (totals[:, ::2] / totals[:, 1::2]).T
    if members is None:
        return {**scores, "decided_cost": percentile_interval(float(cost.mean()), samples[0], bootstrap.level)}
    photos = int(members.max()) + 1
    for name, shared in zip(shares, samples[1:], strict=True):
        scores[name] = covering(grouped_interval(scores[name].value, shared, photos, bootstrap.level), scores[name])
    of_cost = grouped_interval(float(cost.mean()), samples[0], photos, bootstrap.level, bounded=False)
    return {**scores, "decided_cost": of_cost}


def decisions_text(scores: Mapping[str, Interval], defect: Defect) -> str:
    """Returns the scores of `evaluate_decisions` as one line of text.

    Args:
        scores: The scores of the decisions.
        defect: The defect that the decisions are about, as it is called in the line.
    """

    def percentage(score: Interval) -> str:
        ends = "" if np.isnan(score.low) else f" ({100 * score.low:.1f} to {100 * score.high:.1f})"
        return f"{100 * score.value:.1f} %{ends}"

    titles = {
        "decided_recall": f"{defect.plural} found",
        "decided_false_alarms": "false alarms",
        "decided_unsure": "unsure",
    }
    parts = [
        f"{title} {percentage(scores[name])}"
        for name, title in titles.items()
        if name in scores and (name != "decided_unsure" or scores[name].value > 0)
    ]
    if cost := scores.get("decided_cost"):
        ends = "" if np.isnan(cost.low) else f" ({cost.low:.0f} to {cost.high:.0f})"
        parts.append(f"cost of 1,000 images {cost.value:.0f}{ends}")
    return ", ".join(parts)
