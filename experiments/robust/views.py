"""Whether mirrored and turned views of an image, judged together, rank better than the image alone.

Type: python experiments/robust/views.py RUN_ID SDNET2018, where the run's mlruns lies.
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np

from crackexp.data.pipeline import image_batches
from crackexp.data.sources.sdnet2018 import SURFACES, Sdnet2018
from crackexp.inference.engine import Inference, computing
from crackexp.metrics import Bootstrap, Predictions, evaluate_predictions
from crackexp.tracking.models import load

TOGETHER = {
    "the image alone": [(0, 1)],
    "and its mirror image": [(0, 1), (0, -1)],
    "four mirrored views": [(0, 1), (0, -1), (2, 1), (2, -1)],
    "eight mirrored and turned views": [(turns, step) for turns in range(4) for step in (1, -1)],
}
"""Quarter turns, and -1 for a mirrored image, of the views that are judged together."""


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    run_id, sdnet = sys.argv[1:]
    model = load(run_id, f"sqlite:///{Path('mlruns/mlflow.db').resolve()}", "RUN_ID")
    index = Sdnet2018(
        name="sdnet2018",
        path=sdnet,
        archive=None,
        surfaces=SURFACES,
        limit=None,
        on_bad_file="error",
        cache=Path(".cache").resolve(),
    ).prepare()
    index = index.relabel(model.classes)
    network = Inference(computing(model.classifier))

    @cache
    def judged(turns: int, step: int) -> np.ndarray:
        def view(image: np.ndarray, key: str) -> np.ndarray:
            return np.ascontiguousarray(np.rot90(image[:, ::step], turns))

        batches = image_batches(index, model.image_size, network.batch_size, view)
        found: np.ndarray = network.predict(batches, len(index), f"{turns} turns, mirrored {step}")
        return found

    print("| judged together | ROC AUC | recall at 5 % false alarms |\n|---|---|---|")
    for title, views in TOGETHER.items():
        mean = np.mean([judged(*view) for view in views], axis=0)
        scores = evaluate_predictions(
            Predictions(index.labels, mean, *model.classes.indices, index.groups), Bootstrap(seed=0)
        )
        found = [scores["roc_auc"], scores["recall_at_fpr_5"]]
        cells = [f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})" for score in found]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
