"""Transforms of whole batches on a device: pure functions of uint8 images and of parameters that the host has drawn.

None of them uses a matrix product, so the precision of the arithmetic (`trainer.precision`) does not change their
pixels. Images are (B, H, W, 3) uint8 of RGB, in and out.
"""

import jax
import jax.numpy as jnp
import numpy as np


def flip(images: jax.Array, flipped: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Returns the images with `axes` reversed in those where `flipped`, (B,) bool, is true."""
    return jnp.where(flipped[:, None, None, None], jnp.flip(images, axes), images)


def warp(images: jax.Array, matrix: jax.Array, fill_mode: str, fill_value: float) -> jax.Array:
    """Resamples each image by an affine map with bilinear interpolation.

    Args:
        images: The images.
        matrix: The map of each image from the points (x, y, 1) of the output to those of the input, (B, 2, 3) float32.
        fill_mode: What fills the points outside of the image, see `Warp`.
        fill_value: The gray level of `fill_mode="constant"`.
    """
    height, width = images.shape[1:3]
    y = jnp.arange(height, dtype=jnp.float32)[None, :, None]
    x = jnp.arange(width, dtype=jnp.float32)[None, None, :]
    entries = matrix[..., None, None]
    source_x = x * entries[:, 0, 0] + y * entries[:, 0, 1] + entries[:, 0, 2]
    source_y = x * entries[:, 1, 0] + y * entries[:, 1, 1] + entries[:, 1, 2]
    left, top = jnp.floor(source_x), jnp.floor(source_y)
    right_share, lower_share = (source_x - left)[..., None], (source_y - top)[..., None]
    columns, rows = left.astype(jnp.int32), top.astype(jnp.int32)
    look_up = jax.vmap(lambda image, at_y, at_x: image.at[at_y, at_x].get(mode="promise_in_bounds"))

    def pixels(at_y: jax.Array, at_x: jax.Array) -> jax.Array:
        found = look_up(images, _inside(at_y, height, fill_mode), _inside(at_x, width, fill_mode)).astype(jnp.float32)
        if fill_mode != "constant":
            return found
        inside = (at_y >= 0) & (at_y < height) & (at_x >= 0) & (at_x < width)
        return jnp.where(inside[..., None], found, jnp.rint(fill_value))

    def across(at_y: jax.Array) -> jax.Array:
        near, far = pixels(at_y, columns), pixels(at_y, columns + 1)
        return near * (1 - right_share) + far * right_share

    return to_uint8(across(rows) * (1 - lower_share) + across(rows + 1) * lower_share)


def brighten(images: jax.Array, shift: jax.Array) -> jax.Array:
    """Adds `shift`, (B,) float32 in gray levels, to each image."""
    return to_uint8(images.astype(jnp.float32) + shift[:, None, None, None])


def change_contrast(images: jax.Array, contrast: jax.Array) -> jax.Array:
    """Multiplies the difference of each channel from its mean by `contrast`, (B,) float32."""
    rows = images.sum(axis=2, dtype=jnp.int32, keepdims=True)
    mean = rows.astype(jnp.float32).mean(axis=1, keepdims=True) / images.shape[2]
    return to_uint8((images.astype(jnp.float32) - mean) * contrast[:, None, None, None] + mean)


def blur(images: jax.Array, kernel_x: jax.Array, kernel_y: jax.Array) -> jax.Array:
    """Convolves each image with a separable kernel, with reflected borders.

    Args:
        images: The images.
        kernel_x: The kernel of each image along its rows, (B, k) float32 with k odd.
        kernel_y: The same along its columns.
    """
    blurred = images.astype(jnp.float32)
    for axis, kernels in ((2, kernel_x), (1, kernel_y)):
        size, length = kernels.shape[1], images.shape[axis]
        borders = [(size // 2, size // 2) if one == axis else (0, 0) for one in range(4)]
        padded = jnp.pad(blurred, borders, mode="symmetric")
        shifted = (jax.lax.slice_in_dim(padded, start, start + length, axis=axis) for start in range(size))
        blurred = sum(
            (part * kernels[:, place, None, None, None] for place, part in enumerate(shifted)),
            start=jnp.zeros_like(blurred),
        )
    return to_uint8(blurred)


def add_noise(images: jax.Array, stddev: jax.Array, uniform: jax.Array, quantiles: np.ndarray) -> jax.Array:
    """Adds normal noise of `stddev` gray levels, (B,) float32, rounded to whole levels.

    Args:
        images: The images.
        stddev: The standard deviation of each image.
        uniform: The place in `quantiles` of the noise of each pixel and channel, (B, H, W, 3) uint16.
        quantiles: The quantiles of the standard normal, (65536,) float32.
    """
    normal = jnp.asarray(quantiles).at[uniform.astype(jnp.int32)].get(mode="promise_in_bounds")
    return to_uint8(images.astype(jnp.float32) + jnp.rint(stddev[:, None, None, None] * normal))


def to_uint8(values: jax.Array) -> jax.Array:
    """Returns float values rounded and clipped to gray levels."""
    return jnp.clip(jnp.rint(values), 0, 255).astype(jnp.uint8)


def _inside(places: jax.Array, length: int, fill_mode: str) -> jax.Array:
    """Returns the rows or columns whose pixels fill `places`, which may lie outside of [0, length)."""
    if fill_mode == "reflect":
        period = jnp.mod(places, 2 * length)
        return jnp.minimum(period, 2 * length - 1 - period)
    return jnp.mod(places, length) if fill_mode == "wrap" else jnp.clip(places, 0, length - 1)
