import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crackexp.utils.seeds import generator


@pytest.fixture
def draw_tree() -> Callable[..., Path]:
    """Writes `count` noise images below each folder of a tree, no two alike."""

    def draw(root: Path, counts: Mapping[str, int], size: int = 8, suffix: str = ".jpg") -> Path:
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                rng = generator(0, "draw_tree", folder, i)
                pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / folder / f"{i:05d}{suffix}")
        return root

    return draw


@pytest.fixture
def write_rar() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """Writes a RAR 5.0 archive without compression, by https://www.rarlab.com/technote.htm."""

    def number(value: int) -> bytes:
        parts = bytearray()
        while value > 127:
            parts.append(value & 127 | 128)
            value >>= 7
        parts.append(value)
        return bytes(parts)

    def block(body: bytes) -> bytes:
        sized = number(len(body)) + body
        return zlib.crc32(sized).to_bytes(4, "little") + sized

    def write(archive: Path, files: Mapping[str, bytes]) -> Path:
        parts = [b"Rar!\x1a\x07\x01\x00", block(number(1) + number(0) + number(0))]
        for name, data in files.items():
            coded = name.encode()
            header = [number(2), number(2), number(len(data)), number(4), number(len(data))]
            header += [number(0o100644), zlib.crc32(data).to_bytes(4, "little")]
            header += [number(0), number(1), number(len(coded)), coded]
            parts += [block(b"".join(header)), data]
        parts.append(block(number(5) + number(0) + number(0)))
        archive.write_bytes(b"".join(parts))
        return archive

    return write


@pytest.fixture
def real_data() -> Path:
    """The folder of real images; skips where CRACKEXP_REAL_DATA is unset."""
    folder = os.environ.get("CRACKEXP_REAL_DATA")
    if not folder:
        pytest.skip("CRACKEXP_REAL_DATA names no folder of real images")
    return Path(folder)
