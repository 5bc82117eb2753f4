"""The head of a classifier on embeddings of its frozen backbone."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np

from crackexp.data.augmentation import View
from crackexp.data.datamodule import DataModule
from crackexp.data.index import ImageIndex
from crackexp.embeddings.dataset import EmbeddingDataset
from crackexp.embeddings.device_views import DeviceViews
from crackexp.embeddings.embedder import Embedder
from crackexp.embeddings.store import EmbeddingTable
from crackexp.inference.compilation import compile_once
from crackexp.inference.engine import Inference, computing, padded_batches
from crackexp.models.classifier import headed
from crackexp.models.heads import fit_statistics
from crackexp.training.devices import Devices
from crackexp.training.fit_loop import EpochProgress, FitLoop
from crackexp.training.module import CrackModule
from crackexp.training.scan import ScannedModel
from crackexp.utils.timer import Timer

HEAD_BATCH = 512


class EmbeddedHead:
    """Fits the head of a module on embeddings, and predicts with it: the backbone runs once per image and view.

    Args:
        module: The classifier, whose layers are trainable as they will be trained.
        datamodule: The images.
        devices: The devices that share the work.
        timer: Counts the seconds of embedding.
        embedder: Runs the backbone of the module over images.
        views: Makes augmented views on the devices, where that is chosen.
    """

    def __init__(
        self,
        module: CrackModule,
        datamodule: DataModule,
        devices: Devices,
        timer: Timer,
        embedder: Embedder,
        views: DeviceViews,
    ) -> None:
        self.module = module
        self.datamodule = datamodule
        self.devices = devices
        self.timer = timer
        self.embedder = embedder
        self.views = views
        self._head_inference = Inference(module.head, HEAD_BATCH)

    def adapt(self, epochs: int) -> None:
        """Sets the statistics by which the head standardises its inputs, if it does, on the first of `epochs`."""
        fit_statistics(self.module.head, self._first_epoch(epochs))

    def fit(
        self, loop: FitLoop, callbacks: Sequence[keras.callbacks.Callback], epochs: int, weights: np.ndarray
    ) -> None:
        """Fits the head as the phase "head" of a training; epoch e sees view e of every image.

        Args:
            loop: The loop of the training.
            callbacks: The callbacks, with validation before them.
            epochs: At most this many epochs.
            weights: (n,) float32, the weights of the training images.
        """
        module, data, devices = self.module, self.datamodule, self.devices
        left = loop.start_phase("head", epochs)
        dataset = EmbeddingDataset(
            lambda epoch: self.training_embeddings(epoch, epochs),
            data.order,
            module.targets(data.train.labels),
            devices.scale(module.loss) * weights,
            data.batch_size,
            devices.rows,
            devices.padding,
            min(left.start, epochs - 1),
        )
        head = compile_once(ScannedModel(module.head, devices.padded_batch_size))
        head.compile(optimizer=module.optimizer(), loss=module.loss, weighted_metrics=["accuracy"])
        show = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: dataset.show(epoch))
        with EpochProgress(len(data.train)) as shown:
            head.fit(
                dataset,
                initial_epoch=left.start,
                epochs=left.stop,
                callbacks=[show, *loop.callbacks(callbacks), shown],
                shuffle=False,
                verbose=0,
            )

    def predict(self, index: ImageIndex, title: str, view: View | None = None) -> np.ndarray:
        """Returns the probabilities of the images of `index`, plain or as `view` shows them, (n, c) float32."""
        batches = padded_batches(self.embeddings(index, title, view), HEAD_BATCH)
        return self._head_inference.predict(batches, len(index), f"Predicting {title}")

    def inference(self) -> Inference:
        """Returns the backbone with the head as it is trained by now, to run over images."""
        embedding = self.embedder.inference
        backbone = self._computing_backbone
        return Inference(headed(backbone, self.module.head), embedding.batch_size, embedding.devices)

    @cached_property
    def _computing_backbone(self) -> keras.Model:
        """The backbone for JAX, which takes gradients of it; see `computing`."""
        embedding = self.embedder.inference
        return computing(embedding.model) if embedding.identity else embedding.model

    def embeddings(self, index: ImageIndex, title: str, view: View | None = None) -> EmbeddingTable:
        """Returns the embeddings of the images of `index`, plain or as `view` shows them."""
        key = view.key if view else "plain"
        shown = None if key == "plain" else view
        read: Callable[..., Iterator[Any]] = self.datamodule.images
        with self.timer.section("embed"):
            # views of another augmentation are corruptions, by which every run is to be tested on the same images
            own = shown is not None and shown.augmentation is self.datamodule.augmentation
            if shown and own and self.views.used_for(shown, index, self.embedder.batch_size):
                key, read = self.views.key(shown), self.views.batches
            return self.embedder.embed(index, key, lambda part, size: read(part, size, shown), f"Embedding {title}")

    def training_embeddings(self, epoch: int, epochs: int) -> EmbeddingTable:
        """Returns the embeddings of the training images as `epoch`, one of `epochs`, shows them."""
        data = self.datamodule
        return self.embeddings(data.train, f"train, view {epoch + 1}/{epochs}", data.view(epoch))

    def timings(self) -> dict[str, float]:
        """Returns how many images were embedded, how many per second, and how many seconds stored ones saved."""
        embedder = self.embedder
        timings = {
            "time/embedded_images": float(embedder.computed),
            "time/embedding_saved_seconds": embedder.saved,
        }
        if embedder.seconds:
            timings["time/embedded_images_per_second"] = embedder.computed / embedder.seconds
        return timings

    def _first_epoch(self, epochs: int) -> Iterator[np.ndarray]:
        """Yields the training embeddings of the first epoch, (n, d) float32 in parts."""
        table = self.training_embeddings(0, epochs)
        for start in range(0, len(table), HEAD_BATCH):
            yield table[start : start + HEAD_BATCH]
