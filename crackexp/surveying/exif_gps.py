"""The place where a photo was taken, from its Exif data."""

from pathlib import Path

from PIL import ExifTags, Image

from crackexp.data.images.headers import exif_of, open_image

_TAGS = ExifTags.GPS


def gps(file: Path) -> tuple[float, float] | None:
    """Returns latitude and longitude in degrees, north and east positive; None where the photo holds none.

    Exif 2.32 keeps each of them as degrees, minutes and seconds, with the hemisphere in a tag of its own.
    """
    try:
        with file.open("rb") as stream, open_image(stream) as image:
            tags = exif_of(image).get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(tags[_TAGS.GPSLatitude], tags[_TAGS.GPSLatitudeRef], "S")
        longitude = _degrees(tags[_TAGS.GPSLongitude], tags[_TAGS.GPSLongitudeRef], "W")
    except (OSError, SyntaxError, KeyError, TypeError, ValueError, ZeroDivisionError, Image.DecompressionBombError):
        return None
    return latitude, longitude


def _degrees(parts: tuple[float, float, float], hemisphere: str, negative: str) -> float:
    degrees, minutes, seconds = map(float, parts)
    return (-1 if hemisphere.upper().startswith(negative) else 1) * (degrees + minutes / 60 + seconds / 3600)
