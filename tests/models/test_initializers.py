"""NumPy's draws against Keras' initializers."""

import keras
import numpy as np
import pytest
from keras import initializers

from crackexp.models.initializers import draw, start_random
from crackexp.models.saved import start_from

INITIALIZERS = [
    initializers.GlorotUniform(seed=1),
    initializers.HeNormal(seed=1),
    initializers.VarianceScaling(2.0, "fan_out", "truncated_normal", seed=1),
    initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal", seed=1),
]


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("shape", [(3, 3, 40, 50), (100, 200)])
def test_draws_have_the_distribution_of_keras(initializer, shape):
    ours = draw(initializer, shape, np.random.default_rng(0))
    keras_draw = np.asarray(initializer(shape))
    assert ours.shape == shape
    assert ours.dtype == np.float32
    std = keras_draw.std()
    quantiles = np.linspace(0.01, 0.99, 9)
    difference = np.quantile(ours, quantiles) - np.quantile(keras_draw, quantiles)
    np.testing.assert_allclose(difference / std, 0, atol=0.08)
    if initializer.distribution != "untruncated_normal":
        np.testing.assert_allclose(np.abs(ours).max(), np.abs(keras_draw).max(), rtol=0.02)


def test_constants():
    rng = np.random.default_rng(0)
    assert draw(initializers.Zeros(), (2, 3), rng).tolist() == [[0, 0, 0]] * 2
    assert draw(initializers.Ones(), (2,), rng).tolist() == [1, 1]
    with pytest.raises(NotImplementedError, match="Orthogonal"):
        draw(initializers.Orthogonal(), (2, 2), rng)


def random_dense(seed: int, stream: str = "x", name: str = "dense") -> np.ndarray:
    with keras.StatelessScope():
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(3, name=name)(inputs))
        start_random(model, seed, stream)
    return np.asarray(model.get_layer(name).kernel.value)


def test_a_weight_depends_on_seed_stream_and_layer_alone():
    keras.utils.set_random_seed(1)
    first = random_dense(0)
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(random_dense(0), first)
    for other in (random_dense(1), random_dense(0, "y"), random_dense(0, name="other")):
        assert not np.array_equal(other, first)


def test_a_value_of_another_shape_is_refused():
    with keras.StatelessScope():
        layer = keras.layers.Dense(3)
        layer.build((None, 4))
        with pytest.raises(ValueError, match=r"Received: shape=\(3, 4\)"):
            start_from(layer.kernel, np.zeros((3, 4), np.float32))
