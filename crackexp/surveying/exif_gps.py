"""Where a photo was taken, as its camera wrote it down."""

from pathlib import Path

from PIL import ExifTags, Image

from crackexp.data.images.headers import exif_of, open_image

_TAGS = ExifTags.GPS


def gps(file: Path) -> tuple[float, float] | None:
    """Returns latitude and longitude in degrees, north and east positive; None where the photo holds none.

    Source: Exif 2.32, GPSLatitude and GPSLongitude: degrees, minutes and seconds, with the hemisphere beside.
    """
    try:
        with file.open("rb") as stream, open_image(stream) as image:
            found = exif_of(image).get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(found[_TAGS.GPSLatitude], found[_TAGS.GPSLatitudeRef], "S")
        longitude = _degrees(found[_TAGS.GPSLongitude], found[_TAGS.GPSLongitudeRef], "W")
    except (OSError, SyntaxError, KeyError, TypeError, ValueError, ZeroDivisionError, Image.DecompressionBombError):
        return None
    return latitude, longitude


def _degrees(parts: tuple[float, float, float], hemisphere: str, negative: str) -> float:
    degrees, minutes, seconds = map(float, parts)
    return (-1 if hemisphere.upper().startswith(negative) else 1) * (degrees + minutes / 60 + seconds / 3600)
