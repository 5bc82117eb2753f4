"""The adaptation of a model to a new site, beside its calibration alone and beside the model as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from crackexp.adapting.refit import STRENGTHS, LastLayerRefit
from crackexp.adapting.site_run import SiteFit, SiteRun
from crackexp.data.classes.decisions import Classes, Thresholds
from crackexp.evaluation.doubts import doubts_section
from crackexp.evaluation.policy import Policy
from crackexp.evaluation.site import Site, fit_to_site, site_folds
from crackexp.inference.base import Engine
from crackexp.metrics.predictions import Predictions
from crackexp.models.last_layer import split_at_last_layer
from crackexp.reporting import Column, Report, Section, Table
from crackexp.utils.progress import status

AS_IT_IS, CALIBRATED, ADAPTED = "as it is", "calibrated", "adapted"


@dataclass(frozen=True)
class Adaptation:
    """The adaptation of a model to a site.

    Attributes:
        calibrated: The calibration of the model alone, and the scores of the model as it is.
        adapted: The calibration of the model with a refitted last layer. It is fitted to cross-validated probabilities,
            so that the refit, which knows the images, is not trusted more than it is worth.
        strength: The strength of the pull towards the old weights that cross-validation has chosen.
        weights: The new weights of the last layer, fitted to all images.
        log_losses: The cross-validated log loss by the strength of the pull.
        roc_auc: The area under ROC of the model as it is, which calibration does not change, and of the adapted one,
            cross-validated.
    """

    calibrated: Site
    adapted: Site
    strength: float
    weights: list[np.ndarray]
    log_losses: Mapping[float, float]
    roc_auc: tuple[float, float]

    @property
    def scores(self) -> Mapping[str, tuple[float, float, float]]:
        """The scores of the model as it is, calibrated and adapted, by their names; the latter two cross-validated."""
        both, (before, after) = self.calibrated.scores, self.roc_auc
        scores = {name: (*both[name], adapted) for name, (_, adapted) in self.adapted.scores.items()}
        return {"roc_auc": (before, before, after), **scores}

    @property
    def best(self) -> str:
        """The one of the three to use: "as it is", "calibrated" or "adapted".

        It is the one with the lowest log loss among those whose F1 is not below that of the model as it is. Better
        probabilities alone are no reason to change a model: with a few labels, the threshold can still be worse.
        """
        names, scores = (AS_IT_IS, CALIBRATED, ADAPTED), self.scores
        as_good = [number for number, f1 in enumerate(scores["f1"]) if f1 >= scores["f1"][0]]
        return names[min(as_good, key=lambda number: scores["log_loss"][number])]

    @property
    def site(self) -> Site:
        """The fit of the model to log: the adapted or the calibrated one."""
        return self.adapted if self.best == ADAPTED else self.calibrated

    def metrics(self) -> dict[str, float]:
        """Returns the metrics to log."""
        metrics = {**self.site.fitted.metrics(), "policy/shift": self.site.fitted.calibration.shift}
        for name, values in self.scores.items():
            keys = (f"site/{name}_before", f"site/{name}_calibrated", f"site/{name}_adapted")
            metrics |= dict(zip(keys, values, strict=True))
        return {**metrics, "site/strength": self.strength}


def adapt_to_site(
    policy: Policy,
    predictions: Predictions,
    features: np.ndarray,
    refit: LastLayerRefit,
    classes: Classes,
    before: Thresholds,
    seed: int,
) -> Adaptation:
    """Refits the last layer of a model to the images of a site, and cross-validates what that gains.

    Args:
        policy: The policy to fit.
        predictions: The predictions of the model as it is for the n images of the site; their groups are the photos.
        features: What the last layer takes of these images, (n, ...) float32.
        refit: Refits the last layer.
        classes: The classes of the model.
        before: The thresholds of the model.
        seed: The seed of the folds.

    Raises:
        UserError: The model has more than two classes, or the images are too few, see `fit_to_site`.
    """
    labels = predictions.labels
    cracked = classes.damaged(labels)
    folds, _ = site_folds(cracked, predictions.groups, seed)
    tried = {strength: refit.cross_validated(features, labels, folds, strength) for strength in STRENGTHS}
    losses = {
        strength: float(log_loss(cracked, classes.probability(held_out), labels=[False, True]))
        for strength, held_out in tried.items()
    }
    strength = min(losses, key=lambda tried: losses[tried])
    calibrated = fit_to_site(policy, predictions, classes, before, seed)
    adapted = fit_to_site(policy, replace(predictions, probabilities=tried[strength]), classes, before, seed)
    said = [classes.probability(each) for each in (predictions.probabilities, tried[strength])]
    before_after = float(roc_auc_score(cracked, said[0])), float(roc_auc_score(cracked, said[1]))
    weights = refit.fit(features, labels, strength)
    return Adaptation(calibrated, adapted, strength, weights, losses, before_after)


def adapt_site(site: SiteRun, engine: Engine, batch_size: int | None, seed: int) -> SiteFit:
    """Adapts the model of a site to its patches, and returns what there is to log of it.

    Args:
        site: The model and the patches.
        engine: The engine that computes the network up to its last layer.
        batch_size: The number of images in a batch; None for the fastest.
        seed: The seed of the folds.
    """
    model = site.model
    last = split_at_last_layer(model.classifier)
    features = site.compute(last.features, engine, batch_size, "Embedding")
    status("Adapting the model")
    refit = LastLayerRefit(last)
    predictions = site.predictions(refit.probabilities(last.layer.get_weights(), features))
    found = adapt_to_site(site.policy, predictions, features, refit, model.classes, model.thresholds, seed)
    facts = found.site.facts(site.name, site.index.fingerprint, model)
    step = {"dataset": site.name, "digest": site.index.fingerprint, "from": model.run_id, "strength": found.strength}
    adaptations = {"adaptations": [*(model.facts.model_extra or {}).get("adaptations", []), step]}
    networks = {AS_IT_IS: None, CALIBRATED: model.classifier, ADAPTED: last.replaced(found.weights)}
    return SiteFit(
        network=networks[found.best],
        fitted=found.site.fitted,
        facts=facts | adaptations if found.best == ADAPTED else facts,
        metrics=found.metrics(),
        report=adaptation_report(found, site.name),
        doubts=found.site.doubts,
    )


_ANSWERS = {
    AS_IT_IS: "Use the model as it is: on other images of the site, neither calibrating nor adapting it lowers the log "
    "loss without lowering F1. No model was logged.",
    CALIBRATED: "The calibrated model was logged: on images that it was not fitted to, it has the lowest log loss "
    "without a lower F1.",
    ADAPTED: "The adapted model was logged: on images that it was not fitted to, it has the lowest log loss without a "
    "lower F1.",
}


def adaptation_report(found: Adaptation, dataset: str) -> Report:
    """Returns the report, with the scores of the model as it is, calibrated and adapted, and which of them to use.

    Args:
        found: The adaptation.
        dataset: The name of the dataset with the images of the site.
    """
    site = found.site
    cells = {name: [f"{value:.3f}" for value in values] for name, values in found.scores.items()}
    decisions = [
        str(part) for part in (site.before, *(fit.fitted.thresholds for fit in (found.calibrated, found.adapted)))
    ]
    names, *columns = zip(
        ("decision", *decisions), *((name.replace("_", " "), *row) for name, row in cells.items()), strict=True
    )
    titles = (AS_IT_IS, CALIBRATED, ADAPTED)
    table = Table([Column("", names), *(Column(title, column) for title, column in zip(titles, columns, strict=True))])
    how = "photo by photo" if site.by_photo else "image by image"
    note = (
        f"Calibrated and adapted are cross-validated, {how}: no image is evaluated by a fit to itself. The pull "
        f"towards the old weights was chosen by that too: {found.strength:g}."
    )
    title = f"Adapted to {site.images:,} images of {dataset}, {site.cracked:,} cracked"
    return Report(
        title, [*doubts_section(site.doubts, ["markdown"]), Section(title, [note, _ANSWERS[found.best]], [table])]
    )
