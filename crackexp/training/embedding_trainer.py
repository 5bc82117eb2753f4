"""The base class of trainers that fit the head of a module on embeddings."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from crackexp.config.types import BatchSize, Gigabytes
from crackexp.data.datamodule import DataModule
from crackexp.embeddings.device_views import AugmentOn, DeviceViews
from crackexp.embeddings.embedder import Embedder
from crackexp.inference.engine import Inference
from crackexp.training.embedded_head import EmbeddedHead
from crackexp.training.module import CrackModule
from crackexp.training.trainer import Trainer
from crackexp.utils.timer import Timer


class EmbeddingTrainer(Trainer):
    """A trainer that embeds each image and view once, and stores the embeddings for later runs.

    As long as the backbone stays as it is, the head is fitted on the embeddings, and predictions may come from them.

    Args:
        embed_batch_size: The number of images of a pass of the backbone on one device; null for the fastest.
        embeddings_gb: The gigabytes that stored embeddings of all runs may take; those not used for longest go first.
        augment_on: Where augmented views are made before they are embedded: "host", "device", or "auto" for the host
            on CPU, and on other devices for what is measured to be faster. See `DeviceViews`.
        kwargs: What every trainer takes, see `Trainer`.

    Attributes:
        head: The head on embeddings; from `setup` on.
    """

    unrelated_to_result: ClassVar[tuple[str, ...]] = ("embeddings_gb",)

    head: EmbeddedHead

    def __init__(
        self,
        *,
        embed_batch_size: BatchSize | None,
        embeddings_gb: Gigabytes,
        augment_on: AugmentOn = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embed_batch_size = embed_batch_size
        self.embeddings_gb = embeddings_gb
        self.augment_on: AugmentOn = augment_on

    @abstractmethod
    def unfreeze(self) -> None:
        """Makes those layers of the module trainable that this trainer trains, and freezes the others.

        Raises:
            ConfigError: They cannot be trained.
        """

    def setup(self, build: Callable[[], CrackModule], datamodule: DataModule, timer: Timer) -> CrackModule:
        module = super().setup(build, datamodule, timer)
        self.unfreeze()
        size = datamodule.image_size
        budget, engine = self.embeddings_gb * 1e9, self.engine
        embedder = Embedder(
            module.backbone, size, self.embed_batch_size, self.cache, budget, self.devices.local, module.source, engine
        )
        views = DeviceViews(self.augment_on, datamodule, self.devices.local, self.cache)
        self.head = EmbeddedHead(module, datamodule, self.devices, timer, embedder, views)
        return module

    def inference(self) -> Inference:
        return self.head.inference()

    def timings(self) -> dict[str, float]:
        return self.head.timings()
