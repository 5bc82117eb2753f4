"""A calibrated network says what its calibration says of its probabilities, through files and a second time too."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from crackexp.evaluation.calibration import Calibration
from crackexp.models.backbone import SmallCNN
from crackexp.models.calibrated import calibrated, check_calibratable
from crackexp.models.classifier import build_classifier
from crackexp.models.cpu_conv import for_cpu
from crackexp.models.gradcam import GradCam
from crackexp.models.heads import MultipleInstanceHead, PooledHead, fit_statistics
from crackexp.utils.errors import ConfigError

CALIBRATION = Calibration(0.4, 1.3)


@pytest.mark.parametrize(
    ("head", "classes"), [(PooledHead(0.3), 2), (PooledHead(0.3), 4), (MultipleInstanceHead(7, 0.3), 2)]
)
def test_a_calibrated_network_says_what_calibration_makes_of_its_probabilities(
    head: PooledHead | MultipleInstanceHead, classes: int, tmp_path: Path
) -> None:
    backbone = SmallCNN([4, 8]).build(32, 0)
    part = head.build(backbone.output_shape[1:], classes, [1], seed=0)
    images = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    embedding = head.embedding(backbone)
    fit_statistics(part, [embedding.predict(images, verbose=0)])
    classifier = build_classifier(embedding, part)
    check_calibratable(classifier, "policy.temperature=true")
    said = classifier.predict(images, verbose=0)

    network = calibrated(classifier, CALIBRATION.scale, CALIBRATION.shift, positives=[1])
    expected = CALIBRATION(said, [1])
    assert np.abs(expected - said).max() > 0.05
    np.testing.assert_allclose(network.predict(images, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(for_cpu(network).predict(images, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(GradCam(network, [1]).network.predict(images, verbose=0)[0], expected, atol=1e-6)
    np.testing.assert_array_equal(classifier.predict(images, verbose=0), said, "the one before is as it was")
    network.save(tmp_path / "model.keras")
    network.save(tmp_path / "model.h5")
    for name in ("model.keras", "model.h5"):
        again = keras.saving.load_model(tmp_path / name, compile=False)
        np.testing.assert_allclose(again.predict(images, verbose=0), expected, atol=1e-6)
        undone = calibrated(again, 1 / CALIBRATION.scale, -CALIBRATION.shift / CALIBRATION.scale, positives=[1])
        np.testing.assert_allclose(undone.predict(images, verbose=0), said, atol=1e-5)


def test_a_compiled_network_can_be_calibrated() -> None:
    image = keras.Input((8,))
    network = keras.Model(image, layers.Dense(2, activation="softmax")(image))
    network.compile("adam", "sparse_categorical_crossentropy")
    said = network.predict(np.eye(8), verbose=0)
    expected = CALIBRATION(said, [1])
    found = calibrated(network, CALIBRATION.scale, CALIBRATION.shift, positives=[1]).predict(np.eye(8), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_network_that_ends_otherwise_is_refused() -> None:
    image = keras.Input((8,))
    network = keras.Model(image, layers.Softmax(name="end")(layers.Dense(2)(image)))
    with pytest.raises(ConfigError, match=r"the layer end, a Softmax.*policy\.temperature=false.*Received: asked"):
        check_calibratable(network, "asked")
    assert calibrated(network, 1.0, 0.0, positives=[1]) is network
