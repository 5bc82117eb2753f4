"""Named random streams: numbers that depend on the seed and the name alone."""

import copy
import pickle

import numpy as np

from crackexp.utils.seeds import derive, generator


def test_a_stream_is_that_of_philox_with_the_derived_key() -> None:
    for name in (("shuffle", 3), ("augmentation", "ab" * 16, 0, "flip")):
        expected = np.random.Generator(np.random.Philox(key=derive(5, *name)))
        stream = generator(5, *name)
        np.testing.assert_array_equal(stream.random(9), expected.random(9))
        np.testing.assert_array_equal(stream.integers(0, 9, 9), expected.integers(0, 9, 9))
        np.testing.assert_array_equal(stream.normal(size=9), expected.normal(size=9))


def test_a_stream_can_be_copied_and_sent_to_another_process() -> None:
    stream = generator(5, "shuffle")
    stream.random(3)
    copies = [copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    expected = stream.random(5)
    for one in copies:
        np.testing.assert_array_equal(one.random(5), expected)
