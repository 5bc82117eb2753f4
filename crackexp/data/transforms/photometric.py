"""Photometric transforms: brightness, contrast, blur, sensor noise and compression."""

import functools
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field
from scipy.special import ndtri

from crackexp.config.types import Bounds, NonNegativeFloat, Odd, Pair, Probability, SignedShare
from crackexp.data.transforms.base import DeviceVersion, Parameters, Transform, around_zero, checked, exactly, from_zero

LEVELS = np.arange(256, dtype=np.float64)
QUANTILES = 65536
TINY_SIGMA = 1e-6  # OpenCV reads a sigma of 0 as "choose one from the kernel size"


class RandomBrightness(Transform):
    """Adds the same value to all pixels, like `keras.layers.RandomBrightness` with `value_range=(0, 255)`.

    Args:
        factor: The value as a fraction of 255: a number f is drawn from [-f, f], a pair from [lower, upper], both in
            [-1, 1]. The image is black at -1 and white at 1.

    Raises:
        ValueError: `factor` is out of range.

    Example:

    >>> brighten = RandomBrightness([0.2, 0.2])  # always by 51 gray levels
    >>> int(brighten(np.zeros((8, 8, 3), np.uint8), np.random.default_rng(0)).max())
    51
    """

    @checked
    def __init__(self, factor: SignedShare | Bounds[SignedShare]) -> None:
        self.factor = around_zero(factor)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return cv2.LUT(image, _to_uint8(LEVELS + self._draw(rng)))

    def device_version(self) -> DeviceVersion:
        from crackexp.data.transforms import device

        def draw(rng: np.random.Generator, height: int, width: int) -> Parameters:
            return {"shift": np.asarray(self._draw(rng), np.float32)}

        return DeviceVersion(draw, lambda images, drawn: device.brighten(images, drawn["shift"]))

    def _draw(self, rng: np.random.Generator) -> float:
        return 255 * rng.uniform(*self.factor)


class RandomContrast(Transform):
    """Changes the contrast of each channel about its mean, as the documentation of `keras.layers.RandomContrast` says.

    A pixel x becomes (x - mean) * c + mean. The code of Keras 3.15 differs from its documentation: it draws c from
    [1, 1 + f] for a number f, and sorts a pair.

    Args:
        factor: The range of the contrast c: a number f draws c from [1 - f, 1 + f], a pair from [1 - lower, 1 + upper],
            both in [0, 1].

    Raises:
        ValueError: `factor` is out of range.

    Example:

    >>> flatten = RandomContrast([1.0, 0.0])  # c from [0, 1]
    >>> image = np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8)
    >>> changed = flatten(image, np.random.default_rng(0))
    >>> bool(changed.max() - changed.min() < 200)
    True
    """

    @checked
    def __init__(self, factor: Probability | Pair[Probability]) -> None:
        self.factor = exactly(factor)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mean = np.array(cv2.mean(image)[:3])
        table = (LEVELS[:, None] - mean) * self._draw(rng) + mean
        return cv2.LUT(image, _to_uint8(table)[None])

    def device_version(self) -> DeviceVersion:
        from crackexp.data.transforms import device

        def draw(rng: np.random.Generator, height: int, width: int) -> Parameters:
            return {"contrast": np.asarray(self._draw(rng), np.float32)}

        return DeviceVersion(draw, lambda images, drawn: device.change_contrast(images, drawn["contrast"]))

    def _draw(self, rng: np.random.Generator) -> float:
        lower, upper = self.factor
        return rng.uniform(1 - lower, 1 + upper)


class RandomGaussianBlur(Transform):
    """Blurs some of the images, like `keras.layers.RandomGaussianBlur`, with reflected borders.

    Args:
        factor: The probability of a blur, which is drawn for each image itself: a number p draws it from [0, p], a
            pair from [lower, upper], both in [0, 1]. The pair [1, 1] blurs every image.
        kernel_size: The side of the kernel in pixels, an odd number.
        sigma: The standard deviation of the kernel in pixels, drawn for each axis: a number s is drawn from [0, s], a
            pair from [lower, upper].

    Raises:
        ValueError: An argument is out of range.

    Example:

    >>> blur = RandomGaussianBlur([1, 1], kernel_size=5, sigma=[1, 1])  # always
    >>> image = np.zeros((5, 5, 3), np.uint8)
    >>> image[2, 2] = 255
    >>> bool(blur(image, np.random.default_rng(0))[2, 2, 0] < 255)
    True
    """

    @checked
    def __init__(
        self,
        factor: Probability | Bounds[Probability] = 1.0,
        kernel_size: Annotated[int, Field(ge=1), Odd] = 3,
        sigma: NonNegativeFloat | Bounds[NonNegativeFloat] = 1.0,
    ) -> None:
        self.factor = from_zero(factor)
        self.kernel_size = kernel_size
        self.sigma = from_zero(sigma)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigmas = self._draw(rng)
        if sigmas is None:
            return image
        size = (self.kernel_size, self.kernel_size)
        return cv2.GaussianBlur(image, size, sigmaX=sigmas[0], sigmaY=sigmas[1], borderType=cv2.BORDER_REFLECT)

    def device_version(self) -> DeviceVersion:
        from crackexp.data.transforms import device

        size = self.kernel_size
        unchanged = np.eye(size, dtype=np.float32)[size // 2]

        def draw(rng: np.random.Generator, height: int, width: int) -> Parameters:
            sigmas = self._draw(rng)
            if sigmas is None:
                return {"x": unchanged, "y": unchanged}
            x, y = (cv2.getGaussianKernel(size, sigma, cv2.CV_32F)[:, 0] for sigma in sigmas)
            return {"x": x, "y": y}

        return DeviceVersion(draw, lambda images, drawn: device.blur(images, drawn["x"], drawn["y"]))

    def _draw(self, rng: np.random.Generator) -> np.ndarray | None:
        """Draws the standard deviations along x and y, (2,) float64; None for an image that is not blurred."""
        if rng.random() >= rng.uniform(*self.factor):
            return None
        return rng.uniform(*self.sigma, size=2) + TINY_SIGMA


class GaussianNoise(Transform):
    """Adds independent normal noise to every pixel and channel, like `keras.layers.GaussianNoise`.

    The noise is drawn through a table of 65,536 quantiles. This is three times as fast as exact normal numbers, and
    equal to them after rounding to gray levels except in the tails beyond 4.3 standard deviations.

    Args:
        stddev: The standard deviation of the noise as a fraction of 255, which is what Keras means for pixels in
            [0, 1]: a number is taken as it is, a pair (lower, upper) draws one for each image; both in [0, 1].

    Raises:
        ValueError: `stddev` is out of range.

    Example:

    >>> noise = GaussianNoise(0.1)
    >>> image = np.full((64, 64, 3), 128, np.uint8)
    >>> bool(24 < noise(image, np.random.default_rng(0)).std() < 27)
    True
    """

    @checked
    def __init__(self, stddev: Probability | Bounds[Probability]) -> None:
        self.stddev = exactly(stddev)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        stddev, uniform = self._draw(rng, image.shape)
        steps = np.rint(stddev * _normal_quantiles()).astype(np.int16)
        return cv2.add(image, steps.take(uniform), dtype=cv2.CV_8U)

    def device_version(self) -> DeviceVersion:
        from crackexp.data.transforms import device

        def draw(rng: np.random.Generator, height: int, width: int) -> Parameters:
            stddev, uniform = self._draw(rng, (height, width, 3))
            return {"stddev": np.asarray(stddev, np.float32), "uniform": uniform}

        quantiles = _normal_quantiles().astype(np.float32)
        return DeviceVersion(
            draw, lambda images, drawn: device.add_noise(images, drawn["stddev"], drawn["uniform"], quantiles)
        )

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[float, np.ndarray]:
        """Draws the standard deviation in gray levels, and the slice of the quantiles of each value of the image."""
        return 255 * rng.uniform(*self.stddev), rng.integers(0, QUANTILES, shape, dtype=np.uint16)


class RandomJPEGQuality(Transform):
    """Compresses an image as JPEG with 4:2:0 chroma subsampling, and decodes it again.

    Args:
        quality: The quality of libjpeg, whole numbers in [1, 100]: a number is taken as it is, a pair (lower, upper)
            draws one for each image.

    Raises:
        ValueError: `quality` is out of range.

    Example:

    >>> compress = RandomJPEGQuality([30, 90])
    >>> compress(np.zeros((32, 32, 3), np.uint8), np.random.default_rng(0)).shape
    (32, 32, 3)
    """

    @checked
    def __init__(
        self, quality: Annotated[int, Field(ge=1, le=100)] | Bounds[Annotated[int, Field(ge=1, le=100)]]
    ) -> None:
        self.quality = exactly(quality)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        quality = self._draw(rng)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
        assert decoded is not None
        return decoded

    def device_version(self) -> DeviceVersion:
        from crackexp.data.transforms import jpeg

        def draw(rng: np.random.Generator, height: int, width: int) -> Parameters:
            return {"steps": jpeg.quantization(self._draw(rng))}

        return DeviceVersion(draw, lambda images, drawn: jpeg.compress(images, drawn["steps"]))

    def _draw(self, rng: np.random.Generator) -> int:
        lower, upper = self.quality
        return int(rng.integers(lower, upper, endpoint=True))


@functools.cache
def _normal_quantiles() -> np.ndarray:
    """Returns the quantiles of the standard normal in the middles of 65,536 equal slices of [0, 1], float64."""
    return ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    """Returns values rounded and clipped to gray levels."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
