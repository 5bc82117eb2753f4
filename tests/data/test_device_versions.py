"""Views made on a device against those of the host: the same draws, and pixels within 2 gray levels."""

from typing import Any

import jax
import numpy as np
import pytest

from crackexp.data import transforms
from crackexp.data.augmentation import Augmentation, View
from crackexp.data.transforms import Transform
from crackexp.data.transforms.base import device_version_of

LEVELS = 2
BATCH = 6
WITH_DEVICE_VERSION: list[tuple[str, dict[str, Any]]] = [
    *(("RandomFlip", {"mode": mode}) for mode in ("horizontal", "vertical", "horizontal_and_vertical")),
    *(
        ("RandomRotation", {"factor": 0.5, "fill_mode": mode, "fill_value": 77.0})
        for mode in ("reflect", "constant", "wrap", "nearest")
    ),
    ("RandomRotation", {"factor": [0.25, 0.25]}),
    ("RandomZoom", {"height_factor": [-0.25, 0.15]}),
    ("RandomZoom", {"height_factor": [0.9, 1.0], "width_factor": 0.3, "fill_mode": "wrap"}),
    ("RandomTranslation", {"height_factor": 1.0, "width_factor": 1.0}),
    ("RandomBrightness", {"factor": 1.0}),
    ("RandomContrast", {"factor": 0.9}),
    ("RandomGaussianBlur", {"factor": [0.5, 0.5], "kernel_size": 5, "sigma": [0.3, 1.0]}),
    ("RandomGaussianBlur", {"factor": 1.0, "kernel_size": 11, "sigma": 4.0}),
    ("GaussianNoise", {"stddev": [0.0, 0.3]}),
    ("RandomJPEGQuality", {"quality": [1, 100]}),
]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Noise, in which a wrong pixel differs by far more than 2 gray levels, (B, 33, 40, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (BATCH, 33, 40, 3)).astype(np.uint8)


def views(augmentation: Augmentation, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the views of some images that the host makes, and those that the device makes."""
    view = View(augmentation, seed=3, number=1)
    digests = [f"{number:032x}" for number in range(len(images))]
    drawn = [view.draw(*images.shape[1:3], digest) for digest in digests]
    stacked = jax.tree.map(lambda *rows: np.stack(rows), *drawn)
    on_host = np.stack([view(image, digest) for image, digest in zip(images, digests, strict=True)])
    return on_host, np.asarray(jax.jit(augmentation.apply)(images, stacked))


@pytest.mark.parametrize(("name", "arguments"), WITH_DEVICE_VERSION, ids=str)
def test_the_device_shows_what_the_host_shows(images: np.ndarray, name: str, arguments: dict[str, Any]) -> None:
    augmentation = Augmentation({"it": getattr(transforms, name)(**arguments)})
    assert not augmentation.host_only
    on_host, on_device = views(augmentation, images)
    assert on_device.dtype == np.uint8
    assert np.abs(on_host.astype(int) - on_device).max() <= LEVELS
    assert np.mean(on_host != images) > 0.1


def test_jpeg_is_that_of_libjpeg_to_the_bit(images: np.ndarray) -> None:
    on_host, on_device = views(Augmentation({"jpeg": transforms.RandomJPEGQuality([20, 95])}), images)
    np.testing.assert_array_equal(on_device, on_host)


def test_a_channel_of_a_large_image_has_its_mean_on_the_device_too() -> None:
    images = np.full((1, 1024, 1024, 3), 254, np.uint8)
    images[:, ::3] = 200
    on_host, on_device = views(Augmentation({"contrast": transforms.RandomContrast(0.5)}), images)
    assert np.abs(on_host.astype(int) - on_device).max() <= LEVELS


def test_transforms_are_applied_in_their_order_and_from_their_own_draws(images: np.ndarray) -> None:
    flip, bright = transforms.RandomFlip("horizontal"), transforms.RandomBrightness(0.2)
    shift = transforms.RandomTranslation(0.0, 0.4, fill_mode="constant")
    on_host, on_device = views(Augmentation({"shift": shift, "off": None, "flip": flip, "bright": bright}), images)
    assert np.abs(on_host.astype(int) - on_device).max() <= LEVELS
    other, _ = views(Augmentation({"flip": flip, "shift": shift, "bright": bright}), images)
    assert np.abs(other.astype(int) - on_device).max() > LEVELS


class Inverted(Transform):
    """A transform as a user writes it."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return 255 - image


class InvertedFlip(transforms.RandomFlip):
    """A subclass that changes what the host shows, and says nothing of the device."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return 255 - super().__call__(image, rng)


class OwnAugmentation(Augmentation):
    """An augmentation of a user that works on the host."""

    def __call__(self, image: np.ndarray, seed: int, digest: str, epoch: int) -> np.ndarray:
        return 255 - super().__call__(image, seed, digest, epoch)


@pytest.mark.parametrize(
    "transform",
    [
        Inverted(),
        InvertedFlip("horizontal"),
        transforms.RandomRotation(0.1, interpolation="nearest"),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_a_transform_without_a_device_version_is_named(transform: Transform) -> None:
    assert device_version_of(transform) is None
    assert Augmentation({"flip": transforms.RandomFlip("horizontal"), "own": transform}).host_only == ["own"]


def test_an_own_call_of_an_augmentation_works_on_the_host_alone() -> None:
    assert OwnAugmentation({"flip": transforms.RandomFlip("horizontal")}).host_only == ["flip"]
