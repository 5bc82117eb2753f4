"""A model fitted to a site: what is gained on images that it was not fitted to, and what is refused."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.evaluation.policy import Policy
from crackexp.evaluation.site import fit_to_site
from crackexp.metrics import Predictions
from crackexp.utils.errors import ConfigError, DataError

CLASSES = Classes(("sound", "crack"), ("crack",))


def policy(**asked: float | bool | None) -> Policy:
    given: dict = {"temperature": True, "recall": None, "false_alarms": None, "confidence": 0.95, **asked}
    return Policy(**given)


def site(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and what a network says that is three times too sure and sees too few cracks."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, count)
    crack = expit(3 * odds - 6)
    return (rng.random(count) < expit(odds)).astype(int), np.stack([1 - crack, crack], axis=1)


def test_fifty_images_mend_a_network_that_is_off_everywhere() -> None:
    labels, said = site(50)
    found = fit_to_site(policy(), Predictions(labels, said, 1), CLASSES, Thresholds(), seed=0)
    others, said_of_others = site(20_000, seed=1)
    before = f1_score(others, said_of_others[:, 1] >= 0.5)
    after = f1_score(others, found.fitted.calibrated(said_of_others)[:, 1] >= found.fitted.thresholds.crack)
    assert after > before + 0.1
    assert found.scores["f1"][1] == pytest.approx(after, abs=0.1), "as cross-validated"
    assert found.scores["log_loss"][1] < found.scores["log_loss"][0]
    assert found.scores["f1"][0] == pytest.approx(f1_score(labels, said[:, 1] >= 0.5))
    assert not found.by_photo


def test_no_image_is_judged_by_a_fit_to_itself_or_to_its_photo() -> None:
    """Labels that mean nothing but go by photo: a fit to the photo's other images would know them."""
    rng = np.random.default_rng(0)
    photos = np.repeat(np.arange(10), 10)
    labels = rng.permutation(np.arange(10) % 2)[photos]
    crack = rng.uniform(0.4, 0.6, 100)
    found = fit_to_site(
        policy(), Predictions(labels, np.stack([1 - crack, crack], 1), 1, photos.astype(str)), CLASSES, Thresholds(), 0
    )
    assert found.by_photo
    assert found.scores["log_loss"][1] > 0.6
    alone = fit_to_site(
        policy(), Predictions(labels, np.stack([1 - crack, crack], 1), 1, labels.astype(str)), CLASSES, Thresholds(), 0
    )
    assert not alone.by_photo, "photos of one class each leave nothing to fit to"


def test_a_promise_decides_instead_of_f1() -> None:
    labels, said = site(400)
    found = fit_to_site(
        policy(recall=0.9, temperature=False), Predictions(labels, said, 1), CLASSES, Thresholds(), seed=0
    )
    assert found.fitted.calibration.scale == 1
    assert np.mean(said[labels == 1, 1] >= found.fitted.thresholds.crack) >= 0.9
    with pytest.raises(DataError, match=r"takes 299 cracked images.*policy\.recall=0\.99"):
        fit_to_site(policy(recall=0.99), Predictions(labels, said, 1), CLASSES, Thresholds(), seed=0)


def test_too_few_images_and_more_classes_are_refused() -> None:
    labels, said = site(50)
    few = np.concatenate([np.flatnonzero(labels == 1)[:4], np.flatnonzero(labels == 0)])
    with pytest.raises(DataError, match=r"5 cracked and 5 sound.*Received: 4 cracked"):
        fit_to_site(policy(), Predictions(labels[few], said[few], 1), CLASSES, Thresholds(), seed=0)
    with pytest.raises(ConfigError, match=r"two classes.*Received: a model of 3 classes"):
        fit_to_site(
            policy(), Predictions(labels, np.full((50, 3), 1 / 3), 1), Classes(("a", "b", "c"), ("b",)), Thresholds(), 0
        )
