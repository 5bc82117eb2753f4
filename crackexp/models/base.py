"""What every backbone and every head is: the base classes that parts of a user's own inherit too."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import keras

MapShape = tuple[int, ...]
"""Height, width and channels of feature maps."""


class Backbone(ABC):
    """Builds the network below the head: it maps uint8 images to feature maps.

    A backbone of your own inherits this class and implements `build`. A config names it by its ``_target_``, and the
    other keys of the config are the arguments of its constructor.

    Attributes:
        name: What the backbone is called in the names of runs and in reports.
        pretrained: Whether the backbone can bring pretrained weights. Where it cannot, its features mean nothing until
            it is trained, so ``trainer=frozen`` is refused.
        min_size: The smallest image size in pixels that the backbone takes.
        finetune_from: The name of the first layer that ``trainer=finetune`` trains; None means all layers.

    Example:

    >>> import keras
    >>> class Edges(Backbone):
    ...     name = "edges"
    ...     pretrained = False
    ...
    ...     def build(self, image_size, seed):
    ...         image = keras.Input((image_size, image_size, 3), dtype="uint8")
    ...         pixels = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
    ...         initializer = keras.initializers.HeNormal(seed)
    ...         maps = keras.layers.Conv2D(4, 3, strides=2, kernel_initializer=initializer)(pixels)
    ...         return keras.Model(image, maps)
    >>> Edges().build(image_size=32, seed=0).output_shape
    (None, 15, 15, 4)
    """

    name: str
    pretrained: ClassVar[bool] = True
    min_size: int = 1
    finetune_from: str | None = None

    @abstractmethod
    def build(self, image_size: int, seed: int) -> "keras.Model":
        """Builds the network with its weights.

        Preprocessing is a part of the network. It is best made of Keras' own layers, so that a saved model can be
        loaded where the class of the backbone is not installed.

        Args:
            image_size: The side S of the square images, in pixels.
            seed: The seed of random weights and of the backbone's own dropout. Equal seeds give equal bits.

        Returns:
            A functional Keras model that maps (B, S, S, 3) uint8 RGB images to (B, h, w, d) feature maps.
        """


class Head(ABC):
    """Builds the layers between the feature maps of a backbone and the probabilities of the classes.

    A head has two parts. `embedding` extends the backbone by what needs no training, such as a pooling layer: its
    outputs are computed once for each image and stored when the backbone is frozen. `build` makes the layers that are
    trained on these outputs.

    Attributes:
        needs_pretrained: Whether the head is fitted to the features of a trained backbone before anything else is
            trained. Such a head cannot be trained together with a backbone from the first epoch on, so
            ``trainer.head_epochs=0`` is refused.
    """

    needs_pretrained: ClassVar[bool] = False

    @abstractmethod
    def embedding(self, backbone: "keras.Model") -> "keras.Model":
        """Extends a backbone by the layers that need no training.

        Args:
            backbone: The network that a `Backbone` built.

        Returns:
            A Keras model that shares the weights of `backbone` and maps (B, S, S, 3) uint8 RGB images to (B, n) float32
            embeddings. Its last layer is named "pool".
        """

    @abstractmethod
    def build(self, maps: MapShape, num_classes: int, positives: Sequence[int], seed: int) -> "keras.Model":
        """Builds the layers that are trained on embeddings.

        Args:
            maps: The shape (h, w, d) of the backbone's feature maps.
            num_classes: The number c of classes.
            positives: The indices of the classes that are damage.
            seed: The seed of the first weights and of dropout. Equal seeds give equal bits.

        Returns:
            A Keras model that maps (B, n) float32 embeddings to (B, c) float32 probabilities. It computes in float32
            whatever the dtype policy is.
        """
