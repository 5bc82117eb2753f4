"""The camera that photographs drawn surfaces: light and shadow, lens, sensor and JPEG compression."""

import math

import cv2
import numpy as np

from crackexp.data.synthetic.texture import Surface, blurred, line_field, noise, smoothstep


def photograph(surface: Surface, rng: np.random.Generator, varied: bool = False) -> np.ndarray:
    """Returns a photo of a surface, (size, size, 3) uint8 of RGB.

    Args:
        surface: The surface.
        rng: The generator of all random numbers.
        varied: Whether the light and the camera may be others than those of the Mendeley set: hard shadows, other
            contrast and colours, fewer pixels, and stronger compression.
    """
    image = surface.colour * _light(surface, rng)
    if varied:
        image = _develop(_hard_shadow(image, rng, surface.pixel), rng)
    image = _lens(image, rng, surface.pixel)
    if varied and rng.random() < 0.25:
        image = _with_fewer_pixels(image, rng.uniform(0.45, 0.95))
    pixels = cv2.merge(list(_sensor(image, rng)[::-1]))
    least, usual = (35, 80) if varied else (60, 75)
    quality = int(rng.integers(least, 97)) if rng.random() < (0.6 if varied else 0.5) else usual
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))


def _light(surface: Surface, rng: np.random.Generator) -> np.ndarray:
    """Returns the brightness of each pixel, (size, size) float32: slopes in the light, uneven light and shadows."""
    size = surface.size
    light = shading(surface.height, surface.light, 0.45 * math.exp(rng.normal(0, 0.5)))
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    tilt_x, tilt_y = rng.normal(0, 0.06, 2)
    light *= 1.0 + tilt_x * ramp[None, :] + tilt_y * ramp[:, None]
    if rng.random() < 0.05:
        field = noise(rng, size, rng.uniform(60, 160) * surface.scale)
        edge = rng.uniform(0.2, 1.2)
        light *= 1.0 - rng.uniform(0.1, 0.45) * smoothstep(field, 0.2, 0.2 + edge)
    if rng.random() < 0.06:
        angle = rng.uniform(0, 2 * math.pi)
        across = math.cos(angle) * ramp[None, :] + math.sin(angle) * ramp[:, None]
        edge = rng.uniform(0.01, 0.15)
        start = rng.uniform(-0.4, 0.4)
        light *= 1.0 - rng.uniform(0.15, 0.55) * smoothstep(across, start, start + edge)
    return light


def shading(height: np.ndarray, light: float, steepness: float) -> np.ndarray:
    """Returns the brightness of a relief in light from the direction `light` in radians; it is 1 where it is flat."""
    cosine, sine = math.cos(light), math.sin(light)
    slope_x = np.array([[0, 0, 0], [-0.5, 0, 0.5], [0, 0, 0]], np.float32)
    slope = cv2.filter2D(height, -1, cosine * slope_x + sine * slope_x.T)
    return np.clip(1.0 - steepness * slope, 0.15, 1.7)


def _hard_shadow(image: np.ndarray, rng: np.random.Generator, pixel: float) -> np.ndarray:
    """Throws a hard shadow on some images (3, size, size): of an edge, of a bar such as a rail, or of leaves."""
    if rng.random() >= 0.18:
        return image
    size = image.shape[1]
    distance = line_field(size, rng, rng.normal(0, 0.06))
    if rng.random() < 0.3:
        distance = distance + rng.uniform(0, 6) * pixel * noise(rng, size, 25 * pixel)
    soft = 0.5 * 20 ** rng.random() * pixel
    kind = rng.random()
    if kind < 0.5:
        shadow = smoothstep(distance, -soft, soft)
    elif kind < 0.8:
        width = rng.uniform(1, 25) * pixel
        shadow = 1.0 - smoothstep(np.abs(distance), width, width + 2 * soft)
    else:
        shadow = smoothstep(noise(rng, size, rng.uniform(15, 60) * pixel), 0.2, 0.2 + soft / (15 * pixel))
    return image * (1.0 - rng.uniform(0.15, 0.6) * shadow)


def _develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes contrast, exposure, tone curve and colours of an image (3, size, size), as cameras differ in them."""
    if rng.random() < 0.5:
        middle = float(image.mean())
        image = (image - middle) * math.exp(rng.normal(0, 0.35)) + middle * math.exp(rng.normal(-0.1, 0.3))
    if rng.random() < 0.4:
        image = np.clip(image, 0, None) ** math.exp(rng.normal(0, 0.25))
    if rng.random() < 0.15:
        image = image.mean(axis=0, keepdims=True).repeat(3, axis=0)
    elif rng.random() < 0.3:
        image = image * np.exp(rng.normal(0, 0.07, 3))[:, None, None]
    middle = max(float(image.mean()), 1e-3)
    image = image * (np.clip(middle, 0.1, 0.9) / middle)  # an image that is white or black all over shows nothing
    return np.clip(image, 0, 1.3).astype(np.float32)


def _with_fewer_pixels(image: np.ndarray, share: float) -> np.ndarray:
    """Shrinks an image (3, size, size) to a `share` of its side, and enlarges it again."""
    size = image.shape[1]
    side = max(1, int(size * share))
    small = [cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA) for plane in image]
    return np.stack([cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR) for plane in small])


def _lens(image: np.ndarray, rng: np.random.Generator, scale: float) -> np.ndarray:
    """Blurs an image (3, size, size) by focus and motion, and sharpens some as phones do."""
    image = _blur_planes(image, min(0.65 * math.exp(rng.normal(0, 0.6)), 3.0) * scale)
    if rng.random() < 0.06:
        kernel = _streak(int(rng.integers(3, 8)), rng.uniform(0, math.pi))
        image = np.stack([cv2.filter2D(p, -1, kernel, borderType=cv2.BORDER_REFLECT) for p in image])
    if rng.random() < 0.4:
        image = image + rng.uniform(0.2, 1.0) * (image - _blur_planes(image, rng.uniform(0.8, 1.6)))
    return image


def _blur_planes(image: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([blurred(plane, sigma) for plane in image])


def _streak(length: int, angle: float) -> np.ndarray:
    """Returns the kernel of a motion blur of `length` pixels, (length, length) float32, which sums to 1."""
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    steps = np.linspace(-middle, middle, 4 * length)
    rows = np.round(middle + steps * math.sin(angle)).astype(int)
    columns = np.round(middle + steps * math.cos(angle)).astype(int)
    np.add.at(kernel, (rows, columns), 1.0)
    return kernel / kernel.sum()


def _sensor(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Applies exposure, contrast and noise to an image (3, size, size) float32, and returns it as uint8."""
    size = image.shape[1]
    exposure, contrast = math.exp(rng.normal(0, 0.08)), rng.uniform(0.85, 1.15)
    middle = float(image.mean())
    image = (image - middle) * contrast + middle * exposure
    image += 0.006 * math.exp(rng.normal(0, 0.6)) * noise(rng, size, 1.0)
    level = 0.005 * math.exp(rng.normal(0, 0.6))
    for plane in (image[0], image[2]):
        plane += level * noise(rng, size, 5.0)
    image *= 255.0
    image += 0.5
    return np.clip(image, 0, 255, out=image).astype(np.uint8)
