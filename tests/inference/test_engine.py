"""Inference: the model's own outputs in order, from cores and devices at once."""

import keras
import numpy as np
import pytest

from crackexp.inference.engine import Inference, fastest_batch

RNG = np.random.default_rng(0)


def model() -> keras.Model:
    image = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(5, 3)(x)))


def test_outputs_equal_the_models_and_stand_in_order():
    network, images = model(), RNG.integers(0, 256, (46, 8, 8, 3), np.uint8)
    filled = np.concatenate([images, np.zeros((2, 8, 8, 3), np.uint8)])
    outputs = Inference(network, 4).predict(np.split(filled, 12), len(images), "Predicting")
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, network(images), atol=1e-6)


def test_a_stream_sees_the_weights_of_its_beginning():
    network, images = model(), [np.full((2, 8, 8, 3), 255, np.uint8)]
    inference = Inference(network, 2)
    (before,) = inference.stream(images)
    network.set_weights([2 * weight for weight in network.get_weights()])
    (after,) = inference.stream(images)
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)


def test_batches_are_taken_as_they_are_needed():
    taken = 0

    def batches():
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros((2, 8, 8, 3), np.uint8)

    inference = Inference(model(), 2)
    stream = inference.stream(batches())
    next(stream)
    assert taken <= inference.workers + 1
    stream.close()


def test_a_failure_is_raised_where_the_outputs_are_taken():
    with pytest.raises(ValueError, match="shape"):
        list(Inference(model(), 2).stream([np.zeros((2, 8, 7), np.uint8)]))


def test_a_batch_of_another_shape_is_told(caplog: pytest.LogCaptureFixture):
    inference = Inference(model(), 2)
    for count in (2, 2, 3):
        list(inference.stream([np.zeros((count, 8, 8, 3), np.uint8)]))
    (record,) = caplog.records
    assert "Received: batch uint8[3, 8, 8, 3] after uint8[2, 8, 8, 3]" in record.message


def test_larger_images_come_in_smaller_batches():
    assert [fastest_batch(size) for size in (32, 96, 160, 224, 384, 1000)] == [64, 4, 2, 1, 1, 1]
