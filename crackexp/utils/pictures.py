"""Functions that shrink pictures and encode them as image files, for reports and the page of crackexp.app."""

import cv2
import numpy as np


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """Scales a picture down so that its longer side has at most `side` pixels. A smaller picture is returned as it is.

    Args:
        picture: The picture, (H, W, ...) uint8.
        side: The largest number of pixels of the longer side.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def encode_jpeg(picture: np.ndarray, quality: int) -> bytes:
    """Returns the bytes of a JPEG file without any metadata.

    Args:
        picture: The picture, (H, W, 3) uint8 RGB.
        quality: The quality of libjpeg, from 1 to 100.
    """
    return _encode(".jpg", picture[..., ::-1], cv2.IMWRITE_JPEG_QUALITY, quality)


def encode_png(picture: np.ndarray) -> bytes:
    """Returns the bytes of a PNG file.

    Args:
        picture: The picture, (H, W, 3) uint8 RGB or (H, W, 4) uint8 RGBA.
    """
    return _encode(".png", picture[..., [2, 1, 0, 3][: picture.shape[2]]])


def _encode(suffix: str, picture: np.ndarray, *parameters: int) -> bytes:
    done, data = cv2.imencode(suffix, picture, parameters)
    assert done, picture.shape
    return data.tobytes()
