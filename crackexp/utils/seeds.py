"""Named random streams, so that every random number of a run depends only on its ``seed`` and a name."""

import hashlib
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence


def derive(seed: int, *name: str | int) -> int:
    """Returns a 64-bit integer seed in [0, 2**64) that depends on `seed` and every part of `name`."""
    text = "/".join([str(seed), *(f"{type(part).__name__}:{part}" for part in name)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(seed: int, *name: str | int) -> np.random.Generator:
    """Returns the NumPy generator of the stream `name`. Equal arguments give equal numbers on every machine."""
    key: Any = _Key(derive(seed, *name))
    return np.random.Generator(np.random.Philox(key))


def keras_seed(seed: int, *name: str | int) -> int:
    """Returns a seed in [0, 2**31) for `keras.random.SeedGenerator` and `keras.utils.set_random_seed`."""
    return derive(seed, *name) % 2**31


class _Key(ISeedSequence):
    """Hands a Philox generator its key, for the same numbers as ``Philox(key=key)`` in a third of the time.

    That call first draws a seed from the system, which it does not use. Every view of an image takes several streams.
    """

    def __init__(self, key: int) -> None:
        self.key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        """Returns the two words of the key, the lower one first."""
        return np.array([self.key, 0], np.uint64)
