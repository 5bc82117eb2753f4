"""Many small training steps as one compiled loop."""

from typing import Any

import jax
import jax.numpy as jnp
import keras


class ScannedModel(keras.Model):
    """A model whose training step takes a block of batches, and runs them one after the other in one `jax.lax.scan`.

    `fit` dispatches a program for each step, which for a small head costs more than the step itself. Metrics,
    optimizer and seeds go on from batch to batch as in `fit`; callbacks of batches are called once per block.

    Args:
        model: A functional model, whose layers and weights this one shares.
        batch_size: The size B of a batch.
    """

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        super().__init__(inputs=model.inputs, outputs=model.outputs, name=model.name)
        self.batch_size = batch_size

    def train_step(self, state: Any, data: Any) -> tuple[dict[str, jax.Array], Any]:
        """Runs the batches of a block.

        Args:
            state: The state of `keras.Model.train_step` on the JAX backend.
            data: Features, targets and sample weights of K * B rows in the order of `block_rows`. Batches without any
                weight, which pad the last block, change nothing.

        Returns:
            The metrics after the last batch, and the state.
        """
        step = super().train_step

        def scanned_step(before: Any, batch: Any) -> tuple[Any, Any]:
            logs, after = step(before, batch)
            real = jnp.any(batch[2] != 0)
            return jax.tree.map(lambda new, old: jnp.where(real, new, old), after, before), (real, logs)

        batches = jax.tree.map(lambda rows: rows.reshape(self.batch_size, -1, *rows.shape[1:]).swapaxes(0, 1), data)
        state, (real, logs) = jax.lax.scan(scanned_step, state, batches)
        last = jnp.maximum(real.sum() - 1, 0)
        return jax.tree.map(lambda values: values[last], logs), state
