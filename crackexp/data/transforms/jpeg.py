"""JPEG compression of whole batches on a device, with the whole-number arithmetic of libjpeg.

What is lost in a JPEG file is lost in the colour conversion, in the halved chroma and in the quantized coefficients.
All of it is whole-number arithmetic with fixed rounding, so the same arithmetic gives the same pixels, and the lossless
rest of a file, the Huffman codes, can be left out. The functions are those of the files jccolor, jcsample, jfdctint,
jidctint, jdsample and jdcolor of libjpeg, with 4:2:0 chroma, the accurate integer DCT and smooth upsampling.
"""

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 8
CONST_BITS, PASS1_BITS = 13, 2
LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99, *[99] * 32),
)
"""The steps of the coefficients at quality 50, from the annex K of the JPEG standard."""


def quantization(quality: int) -> np.ndarray:
    """Returns the steps of the coefficients of luma and chroma at a quality in [1, 100], (2, 8, 8) int32."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = (np.array([LUMA, CHROMA]) * scale + 50) // 100
    return np.clip(steps, 1, 255).reshape(2, BLOCK, BLOCK).astype(np.int32)


def compress(images: jax.Array, steps: jax.Array) -> jax.Array:
    """Returns the images as they come out of JPEG files.

    Args:
        images: (B, H, W, 3) uint8 of RGB, of at least 6 pixels a side.
        steps: The `quantization` of each image, (B, 2, 8, 8) int32.

    Returns:
        (B, H, W, 3) uint8 of RGB.
    """
    height, width = images.shape[1:3]
    red, green, blue = (images[..., channel].astype(jnp.int32) for channel in range(3))
    half = 1 << 15
    luma = (19595 * red + 38470 * green + 7471 * blue + half) >> 16
    offset = (128 << 16) + half - 1
    chroma = [
        (-11059 * red - 21709 * green + 32768 * blue + offset) >> 16,
        (32768 * red - 27439 * green - 5329 * blue + offset) >> 16,
    ]
    luma = _quantized(luma, steps[:, 0])
    blue_difference, red_difference = (
        _upsampled(_quantized(_downsampled(part), steps[:, 1])[:, :, : (width + 1) // 2])[:, :height, :width] - 128
        for part in chroma
    )
    rgb = [
        luma + ((91881 * red_difference + half) >> 16),
        luma + ((-22554 * blue_difference - 46802 * red_difference + half) >> 16),
        luma + ((116130 * blue_difference + half) >> 16),
    ]
    return jnp.clip(jnp.stack(rgb, axis=-1), 0, 255).astype(jnp.uint8)


def _padded(plane: jax.Array, rows: int, columns: int) -> jax.Array:
    """Returns planes (B, h, w) whose sides are multiples of `rows` and `columns`, filled up with their last pixels."""
    return jnp.pad(plane, ((0, 0), (0, -plane.shape[1] % rows), (0, -plane.shape[2] % columns)), mode="edge")


def _downsampled(plane: jax.Array) -> jax.Array:
    """Returns planes of half the height and width, rounded up; the width is filled up to whole blocks."""
    plane = _padded(plane, 2, 2 * BLOCK)
    sums = plane[:, ::2, ::2] + plane[:, ::2, 1::2] + plane[:, 1::2, ::2] + plane[:, 1::2, 1::2]
    bias = 1 + jnp.arange(sums.shape[2]) % 2  # libjpeg rounds down and up in turn
    return (sums + bias) >> 2


def _upsampled(plane: jax.Array) -> jax.Array:
    """Returns planes of twice the height and width; each pixel takes 3/4 of the nearer one on each axis."""
    rows = jnp.pad(plane, ((0, 0), (1, 1), (0, 0)), mode="edge")
    near = 3 * rows[:, 1:-1]
    rows = jnp.stack([near + rows[:, :-2], near + rows[:, 2:]], axis=2).reshape(len(plane), -1, plane.shape[2])
    columns = jnp.pad(rows, ((0, 0), (0, 0), (1, 1)), mode="edge")
    near = 3 * columns[:, :, 1:-1]
    pairs = jnp.stack([(near + columns[:, :, :-2] + 8) >> 4, (near + columns[:, :, 2:] + 7) >> 4], axis=3)
    return pairs.reshape(len(plane), rows.shape[1], -1)


def _quantized(plane: jax.Array, steps: jax.Array) -> jax.Array:
    """Returns planes (B, h, w) int32 in [0, 255] after their coefficients were rounded to multiples of `steps`."""
    height, width = plane.shape[1:]
    filled = _padded(plane, BLOCK, BLOCK)
    shape = (len(plane), filled.shape[1] // BLOCK, BLOCK, filled.shape[2] // BLOCK, BLOCK)
    steps = steps[:, None, :, None, :]
    coefficients = _forward(_forward(filled.reshape(shape) - 128, 4, first=True), 2, first=False)
    divisor = steps << 3  # the coefficients are 8 times too large
    coefficients = jnp.sign(coefficients) * ((jnp.abs(coefficients) + (divisor >> 1)) // divisor) * steps
    pixels = _inverse(_inverse(coefficients, 2, CONST_BITS - PASS1_BITS), 4, CONST_BITS + PASS1_BITS + 3)
    return jnp.clip(pixels + 128, 0, 255).reshape(filled.shape)[:, :height, :width]


def _forward(blocks: jax.Array, axis: int, first: bool) -> jax.Array:
    """Returns the DCT along an axis of length 8; the first of two leaves its results 4 times as large."""
    d = _split(blocks, axis)
    t0, t1, t2, t3 = (d[i] + d[7 - i] for i in range(4))
    t7, t6, t5, t4 = (d[i] - d[7 - i] for i in range(4))
    bits = CONST_BITS - PASS1_BITS if first else CONST_BITS + PASS1_BITS
    t10, t13, t11, t12 = t0 + t3, t0 - t3, t1 + t2, t1 - t2
    ends = [t10 + t11, t10 - t11]
    ends = [end << PASS1_BITS for end in ends] if first else [_descaled(end, PASS1_BITS) for end in ends]
    z1 = (t12 + t13) * 4433
    odd = _odd(t4, t5, t6, t7)
    result = [
        *(ends[0], odd[3], z1 + t13 * 6270, odd[2]),
        *(ends[1], odd[1], z1 - t12 * 15137, odd[0]),
    ]
    return jnp.stack([one if i in (0, 4) else _descaled(one, bits) for i, one in enumerate(result)], axis)


def _inverse(coefficients: jax.Array, axis: int, bits: int) -> jax.Array:
    """Returns the inverse DCT along an axis of length 8, divided by 2**bits with rounding."""
    c = _split(coefficients, axis)
    z1 = (c[2] + c[6]) * 4433
    t2, t3 = z1 - c[6] * 15137, z1 + c[2] * 6270
    t0, t1 = (c[0] + c[4]) << CONST_BITS, (c[0] - c[4]) << CONST_BITS
    even = (t0 + t3, t1 + t2, t1 - t2, t0 - t3)
    odd = _odd(c[7], c[5], c[3], c[1])[::-1]
    result = [*(e + o for e, o in zip(even, odd, strict=True))]
    result += [e - o for e, o in zip(even[::-1], odd[::-1], strict=True)]
    return jnp.stack([_descaled(one, bits) for one in result], axis)


def _odd(t0: jax.Array, t1: jax.Array, t2: jax.Array, t3: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the odd part of a DCT of Loeffler, Ligtenberg and Moschytz (1989), which is its own inverse."""
    z5 = (t0 + t1 + t2 + t3) * 9633
    z1, z2 = -7373 * (t0 + t3), -20995 * (t1 + t2)
    z3, z4 = z5 - 16069 * (t0 + t2), z5 - 3196 * (t1 + t3)
    return 2446 * t0 + z1 + z3, 16819 * t1 + z2 + z4, 25172 * t2 + z2 + z3, 12299 * t3 + z1 + z4


def _split(blocks: jax.Array, axis: int) -> list[jax.Array]:
    return [jax.lax.index_in_dim(blocks, place, axis, keepdims=False) for place in range(BLOCK)]


def _descaled(values: jax.Array, bits: int) -> jax.Array:
    """Returns whole numbers divided by 2**bits, rounded to the nearest."""
    return (values + (1 << (bits - 1))) >> bits
