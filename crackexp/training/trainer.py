"""The trainer of a frozen backbone: embeds every image and view once, fits the head on the embeddings."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from crackexp.budget import TimeBudget
from crackexp.data.augmentation import View
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.models.classifier import POOL, headed, unfreeze
from crackexp.models.heads import fit_statistics
from crackexp.seeds import keras_seed
from crackexp.training.callbacks import AveragedWeights, Validate
from crackexp.training.course import Course, Log
from crackexp.training.devices import Devices
from crackexp.training.embeddings import Embedder, Table
from crackexp.training.explainer import Explainer
from crackexp.training.inference import Inference, fastest_batch, padded
from crackexp.training.module import CrackModule
from crackexp.training.programs import compile_once, keep_programs, set_precision
from crackexp.training.scanned import ScannedModel, block_rows
from crackexp.training.state import TrainingStates

HEAD_BATCH = 512
BLOCK_BYTES = 64e6
"""Embeddings that go to the device at once."""


class FrozenTrainer:
    """Fits the head of a module whose backbone stays as it is.

    Args:
        epochs: at most this many.
        batch_size: of training.
        seed: of the run.
        precision: of the arithmetic, see `set_precision`.
        class_weight: "balanced" weighs each class by its inverse frequency; None weighs all images alike.
        devices: of each process; "auto" for all.
        embed_batch_size: images a pass of the backbone on one device; None: see `fastest_batch`.
        embeddings_gb: that stored embeddings may take, of all runs together.
        cache: folder of embeddings and compiled programs.
    """

    def __init__(
        self,
        epochs: int,
        batch_size: int,
        seed: int,
        precision: str,
        class_weight: str | None,
        devices: int | Literal["auto"],
        embed_batch_size: int | None,
        embeddings_gb: float,
        cache: str,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed
        self.precision = precision
        self.class_weight = class_weight
        self.count = devices
        self.embed_batch_size = embed_batch_size
        self.embeddings_gb = embeddings_gb
        self.cache = Path(cache)
        self.history: dict[str, list[float]] = {}
        self.before: dict[str, float] = {}
        self.phases: list[int] = []

    def setup(self, budget: TimeBudget) -> None:
        """Sets what holds for the whole process: devices, precision, seeds, the cache of compiled programs.

        Args:
            budget: counts the seconds of embedding and compiling.

        Raises:
            ConfigError: devices that are not there.
        """
        self.devices = Devices(self.count, self.batch_size)
        self.devices.begin()
        self.budget = budget
        budget.watch_compilation()
        set_precision(self.precision)
        keras.utils.set_random_seed(keras_seed(self.seed, "keras"))
        keep_programs(self.cache)

    def fit(self, callbacks: Sequence[keras.callbacks.Callback], log: Log, states: TrainingStates) -> None:
        """Trains the prepared module in place; `history` and `before` then hold its metrics.

        Args:
            callbacks: Keras callbacks; their logs hold loss, accuracy, val_loss, val_accuracy.
            log: receives the metrics of each epoch, and of step 0 before training.
            states: keeps the state of the run at the end of each epoch, and holds the one to go on from.
        """
        self.begin(log, states)
        self.fit_head(callbacks, self.epochs)
        self.devices.end()

    def begin(self, log: Log, states: TrainingStates) -> None:
        """Goes on from the saved state, or logs the scores before any training."""
        self.course = Course(log, states, self.budget)
        self.history, self.before, self.phases = self.course.history, self.course.before, self.course.phases
        fit_statistics(self.module.head, self.first_view())
        if not self.course.saved:
            self.course.begin(self.score_before())

    def prepare(self, module: CrackModule, datamodule: DataModule) -> None:
        """Takes what `fit` and `predict` work on, and freezes what is not trained.

        Args:
            module: the classifier.
            datamodule: set up.
        """
        self.freeze(module)
        self.datamodule = datamodule
        self.module = module
        size, budget = datamodule.image_size, self.embeddings_gb * 1e9
        batch = self.embed_batch_size or fastest_batch(size)
        self.embedder = Embedder(module.backbone, size, batch, self.cache, budget, self.devices.local, module.source)
        self.scorer = Inference(module.head, HEAD_BATCH)

    def first_view(self) -> Iterator[np.ndarray]:
        """Yields the training embeddings of the first epoch, (n, d) float32 a part."""
        table = self.embeddings(self.datamodule.train, f"train, view 1/{self.epochs}", self.datamodule.view(0))
        for start in range(0, len(table), HEAD_BATCH):
            yield table[start : start + HEAD_BATCH]

    def freeze(self, module: CrackModule) -> None:
        """Leaves the head alone to be trained."""
        unfreeze(module.classifier, POOL)

    def score_before(self) -> dict[str, float]:
        """Returns loss and accuracy on val before any training, as val/loss_before and val/accuracy_before."""
        val = self.datamodule.val
        scores = self.module.score(val.labels, self.predict(val, "val"))
        return {f"val/{name}_before": value for name, value in scores.items()}

    def fit_head(self, callbacks: Sequence[keras.callbacks.Callback], epochs: int) -> None:
        """Fits the head on embeddings; epoch e sees view e of every image."""
        module, left = self.module, self.course.enter("head", epochs)
        views = Views(self, epochs, min(left.start, epochs - 1))
        self.head = compile_once(ScannedModel(module.head, self.devices.batch_size))
        self.head.compile(optimizer=module.optimizer(), loss=module.loss, weighted_metrics=["accuracy"])
        turn = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: views.show(epoch))
        self.head.fit(
            views,
            initial_epoch=left.start,
            epochs=left.stop,
            callbacks=[turn, *self.surround(callbacks)],
            shuffle=False,
            verbose=progress(),
        )

    def surround(
        self, callbacks: Sequence[keras.callbacks.Callback], steps_per_epoch: int | None = None
    ) -> list[keras.callbacks.Callback]:
        """Returns `callbacks` with validation before them, and what keeps the state after them; see `Course`."""
        val = self.datamodule.val
        validate = Validate(self.module, val.labels, lambda: self.predict(val, "val"))
        return self.course.surround([AveragedWeights(), validate, *callbacks], steps_per_epoch)

    def predict(self, index: ImageIndex, title: str, view: View | None = None) -> np.ndarray:
        """Returns the probabilities of the images of `index`, plain or as `view` shows them, (n, c) float32."""
        batches = padded(self.embeddings(index, title, view), HEAD_BATCH)
        return self.scorer.predict(batches, len(index), f"Predicting {title}")

    def explain(self, images: np.ndarray) -> np.ndarray:
        """Returns what speaks for damage in each of `images`, (n, S, S, 3) uint8: Grad-CAM, (n, S, S) float32."""
        damage, embedding = self.datamodule.index.classes.indices, self.embedder.inference
        return Explainer(self.network, damage, None, embedding.batch_size, embedding.devices).explain(images)

    @property
    def network(self) -> keras.Model:
        """The classifier as it is trained by now, to compute with."""
        return headed(self.embedder.inference.model, self.module.head)

    def embeddings(self, index: ImageIndex, title: str, view: View | None = None) -> Table:
        """Returns the embeddings of `index`, plain or as `view` shows it."""
        key = view.key if view else "plain"

        def images(part: ImageIndex, batch_size: int) -> Any:
            return self.datamodule.images(part, batch_size, None if key == "plain" else view)

        with self.budget.section("embed"):
            return self.embedder.embed(index, key, images, f"Embedding {title}")

    def speed(self) -> dict[str, float]:
        """Returns how many images were embedded, how many a second, and the seconds that stored ones saved."""
        counted = {
            "time/embedded_images": float(self.embedder.computed),
            "time/embedding_saved_seconds": self.embedder.saved,
        }
        if self.embedder.seconds:
            rate = self.embedder.computed / self.embedder.seconds
            counted["time/embedded_images_per_second"] = rate
        return counted

    def sample_weights(self) -> np.ndarray:
        """Returns the weight of each training image, (n,) float32."""
        data = self.datamodule
        if self.class_weight == "balanced":
            return data.weights * data.class_weights()[data.train.labels]
        return data.weights


class Views(keras.utils.PyDataset):
    """The training embeddings in shuffled batches, many of them a block; the incomplete last batch is left out."""

    def __init__(self, trainer: FrozenTrainer, epochs: int, first: int = 0) -> None:
        super().__init__()
        self.trainer = trainer
        self.datamodule = trainer.datamodule
        self.epochs = epochs
        self.targets = trainer.module.targets(self.datamodule.train.labels)
        self.weights = trainer.devices.scale(trainer.module.loss) * trainer.sample_weights()
        self.epoch = -1
        self.show(first)
        steps = self.datamodule.steps_per_epoch
        most = max(int(BLOCK_BYTES / (4 * trainer.embedder.width * self.datamodule.batch_size)), 1)
        self.block = -(-steps // -(-steps // most))

    def show(self, epoch: int) -> None:
        """Turns to the order and the views of `epoch`."""
        if epoch != self.epoch:
            self.epoch = epoch
            title = f"train, view {epoch + 1}/{self.epochs}"
            self.table = self.trainer.embeddings(self.datamodule.train, title, self.datamodule.view(epoch))
            self.order = self.datamodule.order(epoch)

    def __len__(self) -> int:
        return -(-self.datamodule.steps_per_epoch // self.block)

    def __getitem__(self, block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns this process' rows of the block as `ScannedModel` takes them; what fills it up has no weight."""
        share, batch = self.trainer.devices, self.datamodule.batch_size
        epoch = self.order[: self.datamodule.steps_per_epoch * batch].reshape(-1, batch)
        batches = epoch[block * self.block : (block + 1) * self.block, share.rows]
        filling = ((0, self.block - len(batches)), (0, share.filling))
        rows = block_rows(np.pad(batches, filling, mode="edge"))
        weights = block_rows(np.pad(self.weights[batches], filling))
        return self.table[rows], self.targets[rows], weights


def progress() -> int:
    """Returns Keras' verbosity: a bar on a terminal, a line an epoch elsewhere."""
    return 1 if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else 2
