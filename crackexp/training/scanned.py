"""Many small training steps as one compiled loop."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np


class ScannedModel(keras.Model):
    """A view of a model whose training step takes a block of batches, and runs them in turn in one `jax.lax.scan`.

    `fit` dispatches a program a step, which for a small head costs more than the step itself. Metrics, optimizer and
    seeds go on from batch to batch as in `fit`; callbacks of batches are called once a block.

    Args:
        model: functional; the view shares its layers and weights.
        batch_size: B.
    """

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        super().__init__(inputs=model.inputs, outputs=model.outputs, name=model.name)
        self.batch_size = batch_size

    def train_step(self, state: Any, data: Any) -> tuple[dict[str, jax.Array], Any]:
        """Runs the batches of a block.

        Args:
            state: of `keras.Model.train_step` on the JAX backend.
            data: features, targets and sample weights of K * B rows in the order of `block_rows`. Batches without
                any weight, which fill up the end of a block, change nothing.

        Returns:
            The metrics after the last batch, and the state.
        """
        step = super().train_step

        def one(before: Any, batch: Any) -> tuple[Any, Any]:
            logs, after = step(before, batch)
            real = jnp.any(batch[2] != 0)
            return jax.tree.map(lambda new, old: jnp.where(real, new, old), after, before), (real, logs)

        batches = jax.tree.map(lambda rows: rows.reshape(self.batch_size, -1, *rows.shape[1:]).swapaxes(0, 1), data)
        state, (real, logs) = jax.lax.scan(one, state, batches)
        last = jnp.maximum(real.sum() - 1, 0)
        return jax.tree.map(lambda values: values[last], logs), state


def block_rows(batches: np.ndarray) -> np.ndarray:
    """Returns rows of K batches, (K, B), in the order in which a `ScannedModel` takes them, (K * B,).

    Row b of every batch comes before row b + 1 of any, so that devices which share a block out share each batch.
    """
    return batches.T.ravel()
