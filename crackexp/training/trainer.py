"""The base class of trainers: the life of a trainer, and what trainers share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import keras
import numpy as np
from pydantic import Field

from crackexp.config.types import BatchSize, Precision, Seed, Text
from crackexp.data.augmentation import View
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.inference.base import Engine
from crackexp.inference.compilation import keep_programs, set_precision
from crackexp.inference.engine import Inference, computing
from crackexp.inference.explainer import Explainer
from crackexp.inference.xla import Xla
from crackexp.training.callbacks import AveragedWeights, Validate
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.devices import Devices
from crackexp.training.fit_loop import FitLoop, Log
from crackexp.training.history import TrainingHistory
from crackexp.training.module import CrackModule
from crackexp.utils.errors import ConfigError
from crackexp.utils.seeds import keras_seed
from crackexp.utils.timer import Timer


class Trainer(ABC):
    """Trains a module on the images of a datamodule, and computes with it.

    The life of a trainer has four steps, in this order:

    1. The constructor takes values of the config and computes nothing.
    2. `setup` readies the process, has the module built, and makes all that the other methods work on.
    3. `fit` trains the module in place.
    4. `validate`, `test`, `predict` and `explain` compute with the module as it is trained by then. They may be called
       before `fit`, and callbacks call them during it.

    A subclass writes `fit`, most easily by `begin` and `FitLoop`. Its constructor may take other arguments than this
    one, and fewer: it passes on what it has.

    Args:
        batch_size: The number of images of a training step.
        seed: The seed of the run.
        cache: The folder of compiled programs and embeddings.
        precision: The precision of the arithmetic; all but float32 are for GPUs.
        class_weight: Whether rare classes weigh more: "balanced" weighs each class by its inverse frequency.
        devices: The number of devices of each process that share each batch, or "auto" for all.

    Attributes:
        unrelated_to_result: The arguments that change no result. Runs that differ in these alone are the same run.
        needs_pretrained: Whether the backbone is never trained, so that it has to come with pretrained weights.
        fits_head_first: Whether the head is fitted on the features of the backbone before anything else is trained.
        engine: The engine that computes what is not trained, such as embeddings; a run sets it before `setup`.
        devices: The devices that share the work; from `setup` on.
        datamodule: The images; from `setup` on.
        module: The module that is trained; from `setup` on.
        timer: Counts the seconds of embedding and compiling; from `setup` on.

    Example:
        A trainer of the whole network through pixels, with Keras' own loop:

        >>> class PixelTrainer(Trainer):
        ...     def __init__(self, epochs, batch_size, seed, cache):
        ...         super().__init__(batch_size, seed, cache)
        ...         self.epochs = epochs
        ...
        ...     def fit(self, callbacks, log, checkpointer):
        ...         loop, data, module = self.begin(log, checkpointer), self.datamodule, self.module
        ...         epochs = loop.start_phase("pixels", self.epochs)
        ...         module.classifier.compile(module.optimizer(), module.loss, weighted_metrics=["accuracy"])
        ...         module.classifier.fit(
        ...             self.train_batches(epochs),
        ...             initial_epoch=epochs.start,
        ...             epochs=epochs.stop,
        ...             steps_per_epoch=data.steps_per_epoch,
        ...             callbacks=loop.callbacks(self.with_validation(callbacks)),
        ...             shuffle=False,
        ...         )
        ...         return loop.history
        >>> PixelTrainer(epochs=2, batch_size=8, seed=0, cache="cache").precision
        'float32'
    """

    unrelated_to_result: ClassVar[tuple[str, ...]] = ()
    needs_pretrained: ClassVar[bool] = False

    engine: Engine = Xla()
    devices: Devices
    datamodule: DataModule
    module: CrackModule
    timer: Timer

    def __init__(
        self,
        batch_size: BatchSize,
        seed: Seed,
        cache: Text,
        precision: Precision = "float32",
        class_weight: Literal["balanced"] | None = None,
        devices: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"] = 1,
    ) -> None:
        self.batch_size = batch_size
        self.seed = seed
        self.cache = Path(cache)
        self.precision = precision
        self.class_weight = class_weight
        self.device_count: int | Literal["auto"] = devices

    @property
    def fits_head_first(self) -> bool:
        return self.needs_pretrained

    def setup(self, build: Callable[[], CrackModule], datamodule: DataModule, timer: Timer) -> CrackModule:
        """Readies the process and makes all that the other methods work on.

        Devices, precision and seeds hold for what is built after them, so the module is built here.

        Args:
            build: Builds the untrained module.
            datamodule: The images, set up.
            timer: Counts the seconds of embedding and compiling.

        Returns:
            The module, whose layers are trainable as this trainer trains them.

        Raises:
            ConfigError: There are fewer devices, or the images come in batches of another size, or the parts of the
                module do not fit together.
        """
        if self.batch_size != datamodule.batch_size:
            raise ConfigError(
                "Images come in batches of batch_size, and the trainer takes those. Type batch_size alone, not "
                f"trainer.batch_size. Received: trainer.batch_size={self.batch_size} batch_size={datamodule.batch_size}"
            )
        self.devices = Devices(self.device_count, self.batch_size)
        self.devices.distribute()
        self.timer = timer
        timer.watch_compilation()
        set_precision(self.precision)
        keras.utils.set_random_seed(keras_seed(self.seed, "keras"))
        keep_programs(self.cache)
        self.datamodule = datamodule
        self.module = build()
        return self.module

    @abstractmethod
    def fit(
        self, callbacks: Sequence[keras.callbacks.Callback], log: Log, checkpointer: Checkpointer
    ) -> TrainingHistory:
        """Trains the module in place.

        Args:
            callbacks: Keras callbacks. Their logs hold loss, accuracy, val_loss and val_accuracy.
            log: Receives the metrics of each epoch, and of step 0 before training.
            checkpointer: Keeps a checkpoint at the end of each epoch, and holds the one to go on from.

        Returns:
            The metrics of all epochs, at least loss and accuracy.
        """

    def validate(self) -> dict[str, float]:
        """Returns "loss" and "accuracy" of the module on the validation images."""
        return self._score(self.datamodule.val, "val")

    def test(self) -> dict[str, float]:
        """Returns "loss" and "accuracy" of the module on the test images."""
        return self._score(self.datamodule.test, "test")

    def predict(self, index: ImageIndex, title: str, view: View | None = None) -> np.ndarray:
        """Returns the probabilities of the images of `index`, plain or as `view` shows them, (n, c) float32."""
        inference = self.inference()
        rows = np.arange(len(index))[self.devices.shard(len(index))]
        batches = self.datamodule.images(index.subset(rows), inference.batch_size, view)
        outputs = inference.predict(batches, len(rows), f"Predicting {title}")
        return self.devices.gather(outputs, len(index))

    def explain(self, images: np.ndarray) -> np.ndarray:
        """Returns how much each pixel of `images`, (n, S, S, 3) uint8, adds to damage: Grad-CAM, (n, S, S) float32."""
        damage, inference = self.datamodule.index.classes.indices, self.inference()
        return Explainer(inference.model, damage, None, inference.batch_size, inference.devices).explain(images)

    def inference(self) -> Inference:
        """Returns the classifier as it is trained by now, to run over images."""
        classifier, inference = self.module.classifier, self._classifier_inference
        if inference.model is not classifier:
            inference.model.set_weights(classifier.get_weights())
        return inference

    def timings(self) -> dict[str, float]:
        """Returns metrics about the speed of the run by name, such as time/embedded_images."""
        return {}

    def begin(self, log: Log, checkpointer: Checkpointer) -> FitLoop:
        """Returns the loop of the training; a run that starts from its beginning logs its scores before training."""
        loop = FitLoop(log, checkpointer, self.timer)
        if not loop.restored:
            loop.log_before({f"val/{name}_before": value for name, value in self.validate().items()})
        return loop

    def with_validation(self, callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
        """Returns `callbacks` with those before them that put val_loss and val_accuracy into their logs."""
        val = self.datamodule.val
        return [AveragedWeights(), Validate(self.module, val.labels, lambda: self.predict(val, "val")), *callbacks]

    def train_batches(self, epochs: range, skipped: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields the training batches of some epochs, for `fit` of the classifier.

        Args:
            epochs: The numbers of the epochs.
            skipped: The number of batches of the first epoch that were trained before.

        Yields:
            The images (B, S, S, 3) uint8 of this process, their targets as the loss takes them, and their weights (B,).
        """
        devices, weights = self.devices, self.devices.scale(self.module.loss) * self.sample_weights()
        for images, labels, batch_weights in self.datamodule.train_batches(
            max(len(epochs), 1), epochs.start, weights, skipped, devices.rows
        ):
            yield devices.pad(images), devices.pad(self.module.targets(labels)), devices.pad(batch_weights)

    def sample_weights(self) -> np.ndarray:
        """Returns the weight of each training image in the loss, (n,) float32."""
        data = self.datamodule
        if self.class_weight == "balanced":
            return data.weights * data.class_weights()[data.train.labels]
        return data.weights

    @cached_property
    def _classifier_inference(self) -> Inference:
        return Inference(computing(self.module.classifier), devices=self.devices.local)

    def _score(self, index: ImageIndex, title: str) -> dict[str, float]:
        return self.module.score(index.labels, self.predict(index, title))
