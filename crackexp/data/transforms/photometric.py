"""Transforms that change grey levels: light, focus, sensor noise and compression."""

import functools
import math
from typing import Any

import cv2
import numpy as np
from scipy.special import ndtri

from crackexp.data.transforms.base import Transform, around_zero, from_zero, number, pair
from crackexp.errors import ConfigError

LEVELS = np.arange(256, dtype=np.float64)
TINY_SIGMA = 1e-6  # OpenCV takes a sigma of 0 for "choose one from the kernel size"


class RandomBrightness(Transform):
    """Adds one value to all pixels, as `keras.layers.RandomBrightness` with value_range=(0, 255).

    Args:
        factor: fraction of 255: a number f draws from [-f, f], a pair from [lower, upper]; both
            in [-1, 1], where -1 is a black image and 1 a white one.

    Raises:
        ConfigError: `factor` is out of range.
    """

    def __init__(self, factor: Any) -> None:
        self.factor = around_zero("factor", factor, -1, 1)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return cv2.LUT(image, _to_uint8(LEVELS + 255 * rng.uniform(*self.factor)))


class RandomContrast(Transform):
    """Stretches each channel about its mean, as `keras.layers.RandomContrast` is documented.

    A pixel x becomes (x - mean) * c + mean. Keras 3.15 itself draws c from [1, 1 + f] for a number
    f and sorts a pair; its documentation says what is done here.

    Args:
        factor: a number f draws c from [1 - f, 1 + f], a pair from [1 - lower, 1 + upper]; both
            in [0, 1].

    Raises:
        ConfigError: `factor` is out of range.
    """

    def __init__(self, factor: Any) -> None:
        given = pair("factor", factor, 0, 1, ordered=False)
        self.factor = (number("factor", factor, 0, 1),) * 2 if given is None else given

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        lower, upper = self.factor
        contrast = rng.uniform(1 - lower, 1 + upper)
        mean = np.array(cv2.mean(image)[:3])
        table = (LEVELS[:, None] - mean) * contrast + mean
        return cv2.LUT(image, _to_uint8(table)[None])


class RandomGaussianBlur(Transform):
    """Blurs some of the images, as `keras.layers.RandomGaussianBlur`, with reflected borders.

    Args:
        factor: probability of a blur, itself drawn for each image: a number p draws it from
            [0, p], a pair from [lower, upper]; both in [0, 1]. (1, 1) blurs every image.
        kernel_size: width of the square kernel in pixels, odd.
        sigma: standard deviation in pixels, drawn for each axis: a number s draws from [0, s], a
            pair from [lower, upper].

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(self, factor: Any = 1.0, kernel_size: int = 3, sigma: Any = 1.0) -> None:
        self.factor = from_zero("factor", factor, 1)
        self.kernel_size = int(number("kernel_size", kernel_size, 1, math.inf, integer=True))
        if self.kernel_size % 2 == 0:
            raise ConfigError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}")
        self.sigma = from_zero("sigma", sigma, math.inf)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= rng.uniform(*self.factor):
            return image
        sigma_x, sigma_y = rng.uniform(*self.sigma, size=2) + TINY_SIGMA
        size = (self.kernel_size, self.kernel_size)
        return cv2.GaussianBlur(image, size, sigmaX=sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT)


class GaussianNoise(Transform):
    """Adds independent normal noise to every pixel and channel, as `keras.layers.GaussianNoise`.

    Drawn through a table of 65,536 quantiles: three times quicker than exact normal numbers, equal
    to them after rounding to grey levels but for the tails beyond 4.3 standard deviations.

    Args:
        stddev: standard deviation as a fraction of 255 (Keras' meaning for pixels in [0, 1]): a
            number is taken as it is, a pair draws it for each image; both in [0, 1].

    Raises:
        ConfigError: `stddev` is out of range.
    """

    def __init__(self, stddev: Any) -> None:
        given = pair("stddev", stddev, 0, 1)
        self.stddev = (number("stddev", stddev, 0, 1),) * 2 if given is None else given

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        stddev = 255 * rng.uniform(*self.stddev)
        steps = np.rint(stddev * _normal_quantiles()).astype(np.int16)
        uniform = rng.integers(0, steps.size, image.shape, dtype=np.uint16)
        return cv2.add(image, steps.take(uniform), dtype=cv2.CV_8U)


class RandomJPEGQuality(Transform):
    """Writes the image as JPEG and reads it again (4:2:0 chroma), as phones and reports do.

    Args:
        quality: of libjpeg, whole numbers in [1, 100]: a number q is taken as it is, a pair draws
            from lower, ..., upper.

    Raises:
        ConfigError: `quality` is out of range.
    """

    def __init__(self, quality: Any) -> None:
        given = pair("quality", quality, 1, 100, integer=True)
        self.quality = (number("quality", quality, 1, 100, integer=True),) * 2 if given is None else given

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        lower, upper = self.quality
        quality = int(rng.integers(int(lower), int(upper), endpoint=True))
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
        assert decoded is not None
        return decoded


@functools.cache
def _normal_quantiles() -> np.ndarray:
    """Returns the middles of 65,536 equally likely slices of the standard normal, float64."""
    return ndtri((np.arange(65536) + 0.5) / 65536)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
