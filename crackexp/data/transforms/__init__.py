"""Transforms: random changes of one image, with the names and arguments of Keras' preprocessing layers."""

from crackexp.data.transforms.base import DeviceVersion, Transform
from crackexp.data.transforms.geometric import (
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from crackexp.data.transforms.photometric import (
    GaussianNoise,
    RandomBrightness,
    RandomContrast,
    RandomGaussianBlur,
    RandomJPEGQuality,
)

__all__ = [
    "DeviceVersion",
    "GaussianNoise",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomJPEGQuality",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "Transform",
]
