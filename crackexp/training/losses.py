"""What a loss takes as targets, and whether it fits the probabilities of a softmax."""

from typing import Literal, get_args

import jax
import keras
import numpy as np

from crackexp.utils.errors import ConfigError

TargetFormat = Literal["integer", "one_hot"]


def target_format(loss: keras.Loss) -> TargetFormat:
    """Returns whether a loss takes the indices of classes, or one-hot rows.

    A loss of the user's own declares it as its attribute `target_format`. Of Keras' losses only
    `SparseCategoricalCrossentropy` takes indices.

    Raises:
        ConfigError: The loss declares anything else.

    Example:
        >>> target_format(keras.losses.SparseCategoricalCrossentropy()), target_format(keras.losses.KLDivergence())
        ('integer', 'one_hot')
    """
    declared = getattr(loss, "target_format", None)
    if declared is None:
        return "integer" if isinstance(loss, keras.losses.SparseCategoricalCrossentropy) else "one_hot"
    for known in get_args(TargetFormat):
        if declared == known:
            return known
    raise ConfigError(
        f"The attribute target_format of a loss is 'integer' or 'one_hot'. Write one of them in {_name(loss)}. "
        f"Received: target_format={declared!r}"
    )


def encode(labels: np.ndarray, num_classes: int, target_format: TargetFormat) -> np.ndarray:
    """Returns `labels`, (n,) int, as a loss takes them: (n,) int32, or (n, c) float32 if one-hot.

    Example:
        >>> encode(np.array([1, 0]), 2, "one_hot").tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if target_format == "one_hot":
        return np.eye(num_classes, dtype=np.float32)[labels]
    return labels.astype(np.int32)


def require_fitting(loss: keras.Loss, num_classes: int) -> None:
    """Tries a loss on the probabilities of two images, as validation and a training step call it.

    Raises:
        ConfigError: The loss gives anything but a finite number, or has no gradient.
    """
    targets = encode(np.arange(2) % num_classes, num_classes, target_format(loss))
    scores = np.exp(np.arange(2 * num_classes, dtype=np.float32).reshape(2, num_classes) / num_classes)
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    try:
        value = np.asarray(loss(targets, probabilities))
        if value.shape == () and np.isfinite(value):
            weights = np.ones(2, np.float32)
            jax.eval_shape(jax.grad(lambda predicted: loss(targets, predicted, weights)), probabilities)
            return
        problem = f"it gave {value.tolist()}"
    except Exception as error:  # whatever the code of the loss raises
        problem = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    raise ConfigError(
        "The head gives the probabilities of a softmax, and the loss must give one finite number for them. "
        "Type loss=sparse_categorical_crossentropy, or write target_format = 'integer' or 'one_hot' in a loss of your "
        f"own. Received: loss={_name(loss)}; for {target_format(loss)} targets {targets.tolist()} {problem}"
    )


def _name(loss: keras.Loss) -> str:
    return f"{type(loss).__module__}.{type(loss).__qualname__}"
