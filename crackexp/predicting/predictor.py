"""The predictions of a logged model for image files, a batch at a time."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd

from crackexp.data.accounting import Account
from crackexp.data.classes.decisions import SOUND, UNSURE
from crackexp.data.pipeline import ReadResult, readable_batches
from crackexp.inference.base import Engine
from crackexp.inference.engine import Inference, computing
from crackexp.inference.explainer import Explainer
from crackexp.inference.xla import Xla
from crackexp.predicting.images import Input
from crackexp.tracking.models import LoggedModel
from crackexp.utils.errors import ConfigError
from crackexp.utils.names import visible
from crackexp.utils.progress import progress

MIN_SIDE = 16
"""The smallest side of an image that is classified, in pixels; nothing in a smaller one could be a crack."""
PHOTO_FACTOR = 4
"""An image with a side this many times the model's is a photo, whose cracks may be lost when it is scaled down."""
PHOTO_DOUBT = "a photo, much larger than a patch: cracks may be lost when it is scaled down, so use crackexp.survey"
UNREAD = "unread"
ROWS = 4096
"""The number of rows of a table."""


class Predictor:
    """Classifies images.

    Args:
        model: The logged model.
        threshold: The probability of damage from which on the decision is "crack" or "damage"; None takes the
            thresholds of the model.
        batch_size: The number of images in a batch; None takes the fastest.
        account: The account of files, to which the files are added.
        engine: The engine that computes the network; None takes XLA.

    Attributes:
        thresholds: The thresholds of the decisions.
        counts: The number of files so far by decision: "crack" or "damage", "unsure" where the model has this decision,
            "sound", and "unread".
        account: What became of each file so far.
    """

    def __init__(
        self,
        model: LoggedModel,
        threshold: float | None = None,
        batch_size: int | None = None,
        account: Account | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.thresholds = model.thresholds if threshold is None else model.thresholds.moved(threshold)
        can_be_unsure = self.thresholds.unsure < self.thresholds.crack or len(model.classes.names) > 2
        decisions = [self.thresholds.defect.value, *([UNSURE] if can_be_unsure else []), SOUND, UNREAD]
        self.counts: Counter[str] = Counter(dict.fromkeys(decisions, 0))
        self.account = Account() if account is None else account
        self._model = model
        self._engine = engine or Xla()
        self._network = self._inference(model.classifier, batch_size)

    def _inference(self, classifier: keras.Model, batch_size: int | None) -> Inference:
        """Returns what runs the classifier. The first of its outputs, or the only one, are the probabilities."""
        return self._engine.inference(classifier, batch_size)

    def tables(self, inputs: Sequence[Input]) -> Iterator[pd.DataFrame]:
        """Yields the predictions for some inputs, in tables of up to `ROWS` rows.

        So memory does not grow with the number of files. An image is scaled as a whole to the square that the model
        takes, whatever its shape, as in training. Inputs that are no images come last.

        Args:
            inputs: The pages of files.

        Yields:
            A table with a row for each input, whose columns are path (with ``#2`` for the second page of a file), label
            (a class name), probability (of damage, float32 in [0, 1]), decision ("crack" or "damage", "unsure" or
            "sound"), reason (why the file was not read; then the others are empty) and doubt (what is odd about the
            image, such as a guessed bit depth).
        """
        return (table for _, table, _ in self._chunks(inputs))

    def _chunks(self, inputs: Sequence[Input]) -> Iterator[tuple[list[Input], pd.DataFrame, list[np.ndarray]]]:
        """Yields the inputs of each chunk, their table, and all outputs for them; see `tables`."""
        images = [file for file in inputs if file.reason is None]
        with progress("Classifying", len(images)) as advance:
            for start in range(0, len(images), ROWS):
                chunk = images[start : start + ROWS]
                outputs, results = self._read(chunk, advance)
                yield chunk, self._table(chunk, outputs[0], results), outputs
        others: list[Input] = [file for file in inputs if file.reason is not None]
        if others:
            outputs = self._empty(len(others))
            results = [ReadResult(reason=file.reason) for file in others]
            yield others, self._table(others, outputs[0], results), outputs

    def _empty(self, count: int) -> list[np.ndarray]:
        return [np.zeros((count, *output.shape[1:]), np.float32) for output in self._network.model.outputs]

    def _read(
        self, inputs: Sequence[Input], advance: Callable[[int], None]
    ) -> tuple[list[np.ndarray], list[ReadResult]]:
        results: list[ReadResult] = []
        outputs = self._empty(len(inputs))
        size = self._network.batch_size

        def images() -> Iterator[np.ndarray]:
            readers = [image.read for image in inputs]
            for batch, batch_results in readable_batches(readers, self._model.image_size, size):
                results.extend(map(self._check_size, batch_results))
                yield batch

        for start, output in zip(range(0, len(inputs), size), self._network.stream(images()), strict=True):
            batches = output if isinstance(output, (list, tuple)) else [output]
            for array, batch in zip(outputs, batches, strict=True):
                rows = array[start : start + size]
                rows[:] = batch[: len(rows)]
            advance(len(rows))
        return outputs, results

    def _check_size(self, result: ReadResult) -> ReadResult:
        """Returns the result of reading an image, with a reason or a doubt where the image is too small or a photo."""
        sides = result.height, result.width
        if result.reason is not None:
            return result
        if min(sides) < MIN_SIDE:
            return ReadResult(reason=too_small(*sides))
        if max(sides) >= PHOTO_FACTOR * self._model.image_size:
            return replace(result, doubts=(*result.doubts, PHOTO_DOUBT))
        return result

    def _table(self, inputs: Sequence[Input], outputs: np.ndarray, results: Sequence[ReadResult]) -> pd.DataFrame:
        classes = self._model.classes
        probability, names = classes.probability(outputs), np.array(classes.names)
        decisions = self.thresholds.decide(probability, classes.leads(outputs))
        table = pd.DataFrame(
            {
                "path": pd.Series([file.name for file in inputs], dtype=object),
                "label": pd.array(names[outputs.argmax(axis=1)].tolist(), "string"),
                "probability": pd.array(probability, "Float32"),
                "decision": pd.array(decisions.tolist(), "string"),
                "reason": pd.array([result.reason and visible(result.reason) for result in results], "string"),
                "doubt": pd.array(["; ".join(result.doubts) or None for result in results], "string"),
            }
        )
        table.loc[table["reason"].notna(), ["label", "probability", "decision", "doubt"]] = pd.NA
        self.counts.update(table["decision"].fillna(UNREAD))
        for file, result in zip(inputs, results, strict=True):
            if result.reason is not None:
                self.account.leave_out(file.name, result.reason, file.may_be_image)
            else:
                self.account.used += 1
                self.account.doubt(file.name, result.doubts)
        return table


class ExplainingPredictor(Predictor):
    """Classifies images, and shows the evidence for a class in them.

    Args:
        model: The logged model.
        target: The class that is explained; None explains all classes that are damage, as one.
        layer: The layer whose feature maps are explained; None takes the one that `GradCam` chooses.
        kwargs: The other arguments of `Predictor`. Maps take gradients, so JAX computes whatever the engine is.

    Raises:
        ConfigError: The model has no class `target` or no layer `layer`.

    Attributes:
        target: The name of what is explained.
        layer: The layer whose feature maps are explained.
        enlarge: A function that enlarges maps to the size of an image; see `GradCam.enlarge`.
    """

    def __init__(self, model: LoggedModel, target: str | None = None, layer: str | None = None, **kwargs: Any) -> None:
        names = model.classes.names
        if target is not None and target not in names:
            raise ConfigError(
                f"The model has no such class. Choose from: {', '.join(names)}. Received: target={target}"
            )
        self.target, self.layer = target or model.classes.target, layer
        self._targets = [names.index(target)] if target else model.classes.indices
        super().__init__(model, **kwargs)

    def _inference(self, classifier: keras.Model, batch_size: int | None) -> Inference:
        explainer = Explainer(computing(classifier), self._targets, self.layer, batch_size)
        self.layer, self.enlarge = explainer.gradcam.layer, explainer.gradcam.enlarge
        return explainer

    def explained(self, inputs: Sequence[Input]) -> Iterator[tuple[list[Input], pd.DataFrame, np.ndarray]]:
        """Yields the predictions for some inputs with their saliency maps, up to `ROWS` inputs at a time.

        Args:
            inputs: The pages of files.

        Yields:
            The inputs of a chunk; their table, see `tables`; and the saliency maps for the explained class, (rows, h,
            w) float32, which mean nothing where the file was not read.
        """
        return ((chunk, table, maps) for chunk, table, (_, maps) in self._chunks(inputs))


def too_small(height: int, width: int) -> str:
    """Returns why an image with a side below `MIN_SIDE` is not classified.

    Args:
        height: The height of the image in pixels.
        width: The width of the image in pixels.
    """
    return f"{width} x {height} pixels are too few: an image must have {MIN_SIDE} on each side"
