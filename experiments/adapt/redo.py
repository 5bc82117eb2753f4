"""What a few labelled patches of a site are worth: the model as it is, calibrated, and adapted.

Type: python experiments/adapt/redo.py RUN_ID SDNET2018, where the run's mlruns lies.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from crackexp.adapting.adaptation import ADAPTED, AS_IT_IS, CALIBRATED, adapt_to_site
from crackexp.adapting.refit import LastLayerRefit
from crackexp.data.pipeline import image_batches
from crackexp.data.sources import Sdnet2018
from crackexp.evaluation.calibration import Calibration
from crackexp.evaluation.photo_baseline import relative_to_photo
from crackexp.evaluation.policy import FittedPolicy, Policy
from crackexp.inference.openvino import OpenVino
from crackexp.metrics.predictions import Predictions
from crackexp.models.last_layer import split_at_last_layer
from crackexp.tracking.models import load

STORE = f"sqlite:///{Path('mlruns/mlflow.db').resolve()}"
LABELS = (10, 25, 50, 100, 200)
LEAST = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_id")
    parser.add_argument("sdnet2018")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--photos", type=int, default=10, help="the photos that labels are drawn from")
    options = parser.parse_args()
    model = load(options.run_id, STORE, "model")
    given = {"limit": None, "on_bad_file": "error", "cache": str(Path(".cache").resolve())}
    surfaces = ["decks", "pavements", "walls"]
    index = Sdnet2018(
        name="sdnet", positive="cracked", path=options.sdnet2018, archive=None, surfaces=surfaces, **given
    ).prepare()
    index = index.relabel(model.classes)
    assert index.groups is not None
    last = split_at_last_layer(model.classifier)
    network = OpenVino().inference(last.features, None)
    features = network.predict(image_batches(index, model.image_size, network.batch_size), len(index), "sdnet")
    cracked, photos = index.damaged, index.groups
    refit = LastLayerRefit(last)

    def said(weights: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
        return refit.probabilities(weights, features[rows])

    old = last.layer.get_weights()
    rng, policy, rows = np.random.default_rng(0), Policy(True, None, None, 0.95), []
    for draw in range(options.draws):
        own = np.isin(photos, rng.permutation(np.unique(photos))[: options.photos])
        others = np.flatnonzero(~own)
        for count in LABELS:
            drawn = np.empty(0, int)
            while not LEAST <= cracked[drawn].sum() <= len(drawn) - LEAST:
                drawn = rng.choice(np.flatnonzero(own), count, replace=False)
            before = Predictions(index.labels[drawn], said(old, drawn), model.classes.indices[0], photos[drawn])
            found = adapt_to_site(policy, before, features[drawn], refit, model.classes, model.thresholds, draw)
            as_it_is = FittedPolicy(model.classes, Calibration(), model.thresholds)
            fits: dict[str, tuple[FittedPolicy, list[np.ndarray]]] = {
                AS_IT_IS: (as_it_is, old),
                CALIBRATED: (found.calibrated.fitted, old),
                ADAPTED: (found.adapted.fitted, found.weights),
            }
            fits["recommended"] = fits[found.best]
            for name, (fitted, weights) in fits.items():
                plain = fitted.calibrated(said(weights, others))
                relative = relative_to_photo(plain, photos[others], model.classes.indices)
                scores = [model.classes.probability(each) for each in (plain, relative)]
                f1 = [f1_score(cracked[others], fitted.thresholds.decide(score) == "crack") for score in scores]
                auc = [roc_auc_score(cracked[others], score) for score in scores]
                rows.append((count, name, found.best, *f1, *auc))
        print(f"draw {draw + 1} of {options.draws}", file=sys.stderr, flush=True)
    print("| labels | model | F1 | F1, relative | ROC AUC | ROC AUC, relative | recommended |")
    print("|---|---|---|---|---|---|---|")
    for count in LABELS:
        for name in (AS_IT_IS, CALIBRATED, ADAPTED, "recommended"):
            mine = [row for row in rows if row[:2] == (count, name)]
            values = np.array([row[3:] for row in mine])
            cells = [f"{v.mean():.3f} ({v.min():.3f} to {v.max():.3f})" for v in values.T]
            chosen = sum(row[2] == name for row in mine)
            print(f"| {count} | {name} | {' | '.join(cells)} | {chosen} of {len(mine)} |")


if __name__ == "__main__":
    main()
