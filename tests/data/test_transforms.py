"""Transforms against Keras' layers: the same fixed change gives the same pixels within rounding."""

import math
from typing import Any

import keras
import numpy as np
import pytest

from crackexp.config.mistakes import validate
from crackexp.config.schema import schema_of
from crackexp.data import transforms
from crackexp.utils.seeds import generator

ROUNDING = 0.51  # ours are whole grey levels, Keras' are floats

FIXED = [
    # ours, Keras' layer with the same arguments; each range is one point, so both apply the same change
    ("RandomRotation", {"factor": (0.07, 0.07), "fill_mode": "reflect"}),
    ("RandomRotation", {"factor": (-0.2, -0.2), "fill_mode": "constant"}),
    ("RandomZoom", {"height_factor": (0.2, 0.2), "width_factor": (-0.1, -0.1), "fill_mode": "reflect"}),
    ("RandomZoom", {"height_factor": (-0.3, -0.3), "fill_mode": "nearest"}),
    ("RandomRotation", {"factor": (0.11, 0.11), "fill_mode": "wrap"}),
    ("RandomRotation", {"factor": (0.11, 0.11), "interpolation": "nearest"}),
    ("RandomTranslation", {"height_factor": (0.11, 0.11), "width_factor": (-0.2, -0.2), "fill_mode": "reflect"}),
    (
        "RandomTranslation",
        {"height_factor": (0.11, 0.11), "width_factor": (-0.2, -0.2), "fill_mode": "constant", "fill_value": 77.0},
    ),
    ("RandomBrightness", {"factor": (0.2, 0.2)}),
    ("RandomBrightness", {"factor": (-0.4, -0.4)}),
]


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """A smooth (40, 48, 3) uint8 image, so that resampling rounds by little."""
    y, x = np.mgrid[:40, :48]
    waves = [np.sin(y / 7 + c) + np.cos(x / 9 - c) for c in range(3)]
    return np.uint8(127 + 60 * np.stack(waves, axis=-1))


@pytest.mark.parametrize(("name", "arguments"), FIXED, ids=str)
def test_a_fixed_change_is_that_of_keras(image: np.ndarray, name: str, arguments: dict[str, Any]) -> None:
    ours = getattr(transforms, name)(**arguments)(image, generator(0, "test")).astype(float)
    layer = getattr(keras.layers, name)(**arguments, **({"value_range": (0, 255)} if "Bright" in name else {}))
    keras_image = np.asarray(layer(image[None].astype("float32"), training=True))[0]
    np.testing.assert_allclose(ours, keras_image, atol=ROUNDING)


def test_a_fixed_contrast_is_that_of_keras(image: np.ndarray) -> None:
    layer = keras.layers.RandomContrast(0.5)
    for i in range(3):
        ours = transforms.RandomContrast(0.4)(image, generator(i, "test")).astype(float)
        middle = (ours > 40) & (ours < 215)
        contrast = np.polyfit(image[..., 0][middle[..., 0]], ours[..., 0][middle[..., 0]], 1)[0]
        drawn = {"contrast_factor": np.float32(contrast)}
        theirs = np.asarray(layer.transform_images(image[None].astype("float32"), drawn))[0]
        np.testing.assert_allclose(ours, theirs, atol=ROUNDING + 0.1)


def test_contrast_draws_from_both_sides_of_one() -> None:
    pair = np.stack([np.full((2, 8, 3), 108, np.uint8), np.full((2, 8, 3), 148, np.uint8)]).reshape(4, 8, 3)
    results = [transforms.RandomContrast(0.4)(pair, generator(i, "test")).astype(float) for i in range(400)]
    contrasts = [np.ptp(result) / 40 for result in results]
    assert np.min(contrasts) == pytest.approx(0.6, abs=0.03)
    assert np.max(contrasts) == pytest.approx(1.4, abs=0.03)
    assert np.mean(contrasts) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("sigma", "size"), [(0.8, 5), (1.0, 3)])
def test_a_fixed_blur_is_that_of_keras_but_for_the_border(image: np.ndarray, sigma: float, size: int) -> None:
    arguments = {"factor": (1.0, 1.0), "kernel_size": size, "sigma": (sigma, sigma)}
    ours = transforms.RandomGaussianBlur(**arguments)(image, generator(0, "test")).astype(float)
    layer = keras.layers.RandomGaussianBlur(**arguments)
    theirs = np.asarray(layer(image[None].astype("float32"), training=True))[0]
    inside = slice(size // 2, -(size // 2))
    np.testing.assert_allclose(ours[inside, inside], theirs[inside, inside], atol=ROUNDING)
    flat = transforms.RandomGaussianBlur(**arguments)(np.full_like(image, 90), generator(0, "test"))
    np.testing.assert_array_equal(flat, 90)


@pytest.mark.parametrize(("factor", "share"), [((0.3, 0.3), 0.3), (1.0, 0.5)])
def test_blur_comes_as_often_as_it_says(image: np.ndarray, factor: Any, share: float) -> None:
    blur = transforms.RandomGaussianBlur(factor, 5, (1.0, 1.0))
    blurred = [not np.array_equal(blur(image, generator(0, "test", i)), image) for i in range(500)]
    assert np.mean(blurred) == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize(("name", "mode"), [("horizontal", 1), ("vertical", 0)])
def test_flips_mirror_every_second_image(image: np.ndarray, name: str, mode: int) -> None:
    flip = transforms.RandomFlip(name)
    mirrored = np.flip(image, mode)
    seen = [np.array_equal(flip(image, generator(0, "test", i)), mirrored) for i in range(400)]
    assert 0.42 < np.mean(seen) < 0.58
    for i in range(20):
        result = flip(image, generator(0, "test", i))
        assert np.array_equal(result, mirrored) or np.array_equal(result, image)


def test_a_rotation_draws_from_the_whole_range() -> None:
    bar = np.zeros((65, 65, 3), np.uint8)
    bar[30:35, 32:] = 255
    rotate = transforms.RandomRotation(0.2, fill_mode="constant")
    angles = []
    for i in range(300):
        y, x = np.nonzero(rotate(bar, generator(0, "test", i))[..., 0] > 127)
        angles.append(np.arctan2(32 - y.mean(), x.mean() - 32) / (2 * np.pi))
    assert np.min(angles) == pytest.approx(-0.2, abs=0.01)
    assert np.max(angles) == pytest.approx(0.2, abs=0.01)
    assert np.mean(angles) == pytest.approx(0, abs=0.02)


def test_contrast_stretches_each_channel_about_its_mean(image: np.ndarray) -> None:
    small = np.uint8(100 + image // 8)
    result = transforms.RandomContrast((0.5, 0.5))(small, generator(0, "test")).astype(float)
    mean = small.mean(axis=(0, 1))
    ratio = (result - mean).std() / (small - mean).std()
    assert ratio == pytest.approx(1.5, abs=0.02) or ratio == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(result.mean(axis=(0, 1)), mean, atol=0.6)


def test_noise_has_the_deviation_it_says() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noise = transforms.GaussianNoise((0.04, 0.04))(grey, generator(0, "test")).astype(float) - 128
    assert noise.std() == pytest.approx(0.04 * 255, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.2)


def test_blur_and_jpeg_take_away_detail() -> None:
    noisy = generator(0, "test").integers(0, 256, (64, 64, 3)).astype(np.uint8)
    blurred = transforms.RandomGaussianBlur((1.0, 1.0), 5, (1.0, 1.0))(noisy, generator(0, "test"))
    assert blurred.std() < 0.6 * noisy.std()
    errors = [
        np.abs(transforms.RandomJPEGQuality((q, q))(noisy, generator(0, "test")).astype(float) - noisy).mean()
        for q in (95, 50, 10)
    ]
    assert errors == sorted(errors)
    assert errors[0] > 0


@pytest.mark.parametrize("name", [n for n in transforms.__all__ if n not in ("DeviceVersion", "Transform")])
def test_equal_generators_give_equal_pixels_and_leave_the_image(image: np.ndarray, name: str) -> None:
    arguments: dict[str, Any] = {
        "RandomFlip": {},
        "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
        "RandomZoom": {"height_factor": 0.2},
        "RandomGaussianBlur": {"factor": 1.0},
        "GaussianNoise": {"stddev": 0.1},
        "RandomJPEGQuality": {"quality": (20, 80)},
    }.get(name, {"factor": 0.3})
    transform = getattr(transforms, name)(**arguments)
    before = image.copy()
    first, again = (transform(image, generator(3, "test")) for _ in range(2))
    assert first.dtype == np.uint8
    assert first.shape == image.shape
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)
    assert transform.describe()["_target_"].endswith(name)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("RandomFlip", {"mode": "diagonal"}),
        ("RandomRotation", {"factor": 2}),
        ("RandomRotation", {"factor": [0.2, 0.1]}),
        ("RandomRotation", {"factor": [0.2]}),
        ("RandomRotation", {"factor": 0.1, "fill_mode": "mirror"}),
        ("RandomRotation", {"factor": 0.1, "fill_value": 256}),
        ("RandomZoom", {"height_factor": -1}),
        ("RandomZoom", {"height_factor": 1}),
        ("RandomTranslation", {"height_factor": 0.1, "width_factor": [0, 1.5]}),
        ("RandomBrightness", {"factor": "dark"}),
        ("RandomBrightness", {"factor": math.nan}),
        ("RandomContrast", {"factor": 1.5}),
        ("RandomGaussianBlur", {"kernel_size": 4}),
        ("RandomGaussianBlur", {"sigma": -1}),
        ("GaussianNoise", {"stddev": True}),
        ("RandomJPEGQuality", {"quality": [0, 200]}),
        ("RandomJPEGQuality", {"quality": 0.9}),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_in_a_config_and_in_python(name: str, arguments: dict[str, Any]) -> None:
    target = f"crackexp.data.transforms.{name}"
    problems = validate(schema_of(target), {"_target_": target, **arguments}, "augmentation.transforms.mine")
    assert problems
    wrong = list(arguments)[-1]
    assert all(f"Received: augmentation.transforms.mine.{wrong}" in problem.message for problem in problems)
    with pytest.raises(ValueError, match=wrong):
        getattr(transforms, name)(**arguments)
