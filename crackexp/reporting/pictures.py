"""Pictures as they are put into a report: made smaller, and encoded."""

import cv2
import numpy as np


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """Returns a picture whose longer side has at most `side` pixels.

    Args:
        picture: (H, W, 3) uint8, or (H, W) of any dtype that OpenCV resizes.
        side: In pixels, at least 1.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """Returns (H, W, 3) uint8 RGB as the bytes of a JPEG file, without any metadata."""
    return encoded(".jpg", picture[..., ::-1], cv2.IMWRITE_JPEG_QUALITY, quality)


def encoded(suffix: str, picture: np.ndarray, *parameters: int) -> bytes:
    """Returns a picture in the channel order of OpenCV as the bytes of a file with this suffix."""
    done, data = cv2.imencode(suffix, picture, parameters)
    assert done, picture.shape
    return data.tobytes()
