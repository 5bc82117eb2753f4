"""Grad-CAM: its closed form, its grid, nested models, and whether it shows what the network has learnt."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from crackexp.data.synthetic import draw_patch
from crackexp.inference.engine import Inference, padded_batches
from crackexp.inference.explainer import Explainer
from crackexp.models.backbone import Application, SmallCNN
from crackexp.models.classifier import build_classifier, embedding_model
from crackexp.models.cpu_conv import for_cpu
from crackexp.models.gradcam import GradCam
from crackexp.models.heads import MultipleInstanceHead, build_head
from crackexp.utils.errors import ConfigError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 32, 32, 3), np.uint8)


def classifier(classes: int = 2) -> keras.Model:
    """Random, with features of the order of 1 and a bias."""
    model = build_classifier(SmallCNN([4, 8]).build(32, 0), build_head(8, classes, 0.3, 0))
    bias = model.get_layer("probabilities").bias
    bias.assign(np.linspace(-1, 1, classes))
    return model


def run(network: keras.Model, images: np.ndarray = IMAGES) -> tuple[np.ndarray, np.ndarray]:
    probabilities, maps = network.predict_on_batch(images)
    return probabilities, maps


def features(model: keras.Model, layer: str, images: np.ndarray = IMAGES) -> np.ndarray:
    return keras.Model(model.input, model.get_layer(layer).output).predict_on_batch(images)


def log_odds(probabilities: np.ndarray, target: int) -> np.ndarray:
    p = probabilities[:, target].astype(np.float64)
    return np.log(p / (1 - p))


def test_behind_mean_pooling_and_a_dense_layer_it_is_cam() -> None:
    """Zhou et al. 2016: the channels of the last map weighed by the dense layer's weights for the class."""
    model = classifier()
    kernel, bias = model.get_layer("probabilities").get_weights()
    probabilities, maps = run(GradCam(model, [1]).network)
    cam = features(model, "block_2_relu") @ (kernel[:, 1] - kernel[:, 0])
    np.testing.assert_allclose(maps, cam, atol=1e-5)
    np.testing.assert_allclose(probabilities, model.predict_on_batch(IMAGES), atol=1e-6)
    np.testing.assert_allclose(maps.mean((1, 2)) + bias[1] - bias[0], log_odds(probabilities, 1), atol=1e-5)
    _, other = run(GradCam(model, [0]).network)
    np.testing.assert_allclose(other, -maps, atol=1e-5)


def test_of_three_classes_one_is_held_against_what_the_others_share() -> None:
    model = classifier(3)
    kernel, _ = model.get_layer("probabilities").get_weights()
    probabilities, maps = run(GradCam(model, [2]).network)
    others = probabilities[:, :2] / probabilities[:, :2].sum(axis=1, keepdims=True)
    weights = kernel[:, 2] - others @ kernel[:, :2].T
    expected = np.einsum("bhwd,bd->bhw", features(model, "block_2_relu"), weights)
    np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_a_sure_network_has_as_much_to_say() -> None:
    """The softmax of such scores is 1 in float32, and its gradient 0."""
    model = classifier()
    _, before = run(GradCam(model, [1]).network)
    head = model.get_layer("probabilities")
    head.set_weights([1000 * weight for weight in head.get_weights()])
    probabilities, after = run(GradCam(model, [1]).network)
    assert np.all(probabilities.max(axis=1) == 1)
    np.testing.assert_allclose(after, 1000 * before, rtol=1e-3, atol=1e-2)


def test_what_changes_no_probability_changes_no_map() -> None:
    model = classifier()
    before = run(GradCam(model, [1]).network)
    head = model.get_layer("probabilities")
    kernel, bias = head.get_weights()
    head.set_weights([kernel + RNG.normal(size=(8, 1)), bias + 3])
    for old, new in zip(before, run(GradCam(model, [1]).network), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-4)


def nested(flat: keras.Model) -> keras.Model:
    """As Keras' guide on transfer learning builds it: the backbone is one layer."""
    backbone = keras.Model(flat.input, flat.get_layer("block_2_relu").output, name="backbone")
    image = keras.Input((32, 32, 3), dtype="uint8")
    x = layers.GlobalAveragePooling2D()(backbone(image, training=False))
    x = layers.Dropout(0.2)(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    model.layers[-1].set_weights(flat.get_layer("probabilities").get_weights())
    return model


def stacked(flat: keras.Model) -> keras.Model:
    """A stack of models, of which the last holds the softmax."""
    backbone = keras.Model(flat.input, flat.get_layer("block_2_relu").output, name="backbone")
    dense = layers.Dense(2, activation="softmax")
    head = keras.Sequential([keras.Input((16, 16, 8)), layers.GlobalAveragePooling2D(), dense])
    dense.set_weights(flat.get_layer("probabilities").get_weights())
    return keras.Sequential([keras.Input((32, 32, 3), dtype="uint8"), backbone, head])


@pytest.mark.parametrize("layer", [None, "block_1_conv"])
@pytest.mark.parametrize("build", [nested, stacked])
def test_a_backbone_within_a_model_gives_the_maps_of_a_flat_one(
    build: Callable[[keras.Model], keras.Model], layer: str | None
) -> None:
    flat = classifier()
    inner = build(flat)
    np.testing.assert_allclose(inner.predict_on_batch(IMAGES), flat.predict_on_batch(IMAGES), atol=1e-6)
    expected = GradCam(flat, [1], layer)
    for model in (inner, for_cpu(inner)):
        found = GradCam(model, [1], layer)
        assert (found.layer, found.grid) == (expected.layer, expected.grid)
        for one, other in zip(run(found.network), run(expected.network), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_layer_beside_a_shortcut_is_weighed_by_its_own_share() -> None:
    image = keras.Input((16, 16, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255, dtype="float32")(image)
    first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    second = layers.Conv2D(4, 3, padding="same", name="second")(first)
    pooled = layers.GlobalAveragePooling2D()(layers.Add()([first, second]))
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="last")(pooled))
    kernel, _ = model.get_layer("last").get_weights()
    images = IMAGES[:, :16, :16]
    probabilities, maps = run(GradCam(model, [1], "second").network, images)
    np.testing.assert_allclose(maps, features(model, "second", images) @ (kernel[:, 1] - kernel[:, 0]), atol=1e-5)
    np.testing.assert_allclose(probabilities, model.predict_on_batch(images), atol=1e-6)


def test_a_network_with_one_cell_at_its_end_is_asked_where_it_has_more() -> None:
    model = build_classifier(Application("mobilenet_v2", 0.35).build(32, 0), build_head(1280, 2, 0.3, 0))
    gradcam = GradCam(model, [1])
    assert model.get_layer("out_relu").output.shape[1:3] == (1, 1)
    assert gradcam.network.output_shape[1] == (None, 3, 3)
    assert gradcam.layer == "block_13_pad"


def test_the_classifier_is_left_as_it_was(tmp_path: Path) -> None:
    model = classifier()
    before, config = model.predict_on_batch(IMAGES), model.to_json()
    run(GradCam(model, [1]).network)
    assert model.to_json() == config
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(again.predict_on_batch(IMAGES), before, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("block_2_rely", "Did you mean block_2_relu.*Received: layer=block_2_rely"),
        ("pool", "a layer with height and width, as .*block_2_relu. Received: layer=pool"),
    ],
)
def test_a_layer_without_a_map_is_refused(layer: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        GradCam(classifier(), [1], layer)


def test_a_network_without_a_softmax_is_refused() -> None:
    model = classifier()
    with pytest.raises(ConfigError, match=r"ends with a softmax\. Received: layer pool"):
        GradCam(embedding_model(model), [1])


def test_a_cell_is_drawn_where_it_looks() -> None:
    """MobileNetV2's cells look half a cell below and to the right of where an even division would put them."""
    model = build_classifier(Application("mobilenet_v2", 0.35).build(96, 0), build_head(1280, 2, 0.3, 0))
    gradcam = GradCam(model, [1])
    (row, column) = gradcam.grid
    assert (row.first, row.step) == (column.first, column.step) == (31, 32)
    cells = np.zeros((1, 3, 3), np.float32)
    cells[0, 1, 0] = 1
    (large,) = gradcam.enlarge(cells, 96, 192)
    assert large.shape == (96, 192)
    assert large[63, 20] == pytest.approx(1, abs=1e-6)
    assert large[31, 20] == 0
    np.testing.assert_allclose(large[63, 62:127:16], [1, 0.75, 0.5, 0.25, 0], atol=0.02)


SIZE = 160


@pytest.fixture(scope="module")
def trained() -> tuple[Explainer, np.ndarray]:
    """MobileNetV2 with ImageNet's weights and a head fitted to drawn patches; and other patches, cracked."""
    patches = np.stack([draw_patch(1, number, bool(number % 2), SIZE) for number in range(160)])
    model = build_classifier(Application("mobilenet_v2", weights="bundled").build(SIZE, 0), build_head(1280, 2, 0, 0))
    embedding = Inference(for_cpu(embedding_model(model)))
    embedded = embedding.predict(padded_batches(patches, embedding.batch_size), len(patches), "Embedding")
    fitted = LogisticRegression(C=0.1).fit(embedded, np.arange(160) % 2)
    kernel = np.stack([-fitted.coef_[0], fitted.coef_[0]], axis=1) / 2
    model.get_layer("probabilities").set_weights([kernel, np.array([-1, 1]) * fitted.intercept_ / 2])
    explainer = Explainer(for_cpu(model), [1])
    cracked = np.stack([draw_patch(2, number, True, SIZE) for number in range(80)])
    probabilities, _ = explainer.predict(padded_batches(cracked, explainer.batch_size), len(cracked), "Classifying")
    assert np.mean(probabilities[:, 1] >= 0.5) > 0.8
    return explainer, cracked[probabilities[:, 1] >= 0.5]


def agreement(maps: np.ndarray, others: np.ndarray) -> float:
    """Mean rank correlation of two maps of an image."""
    pairs = zip(maps, others, strict=True)
    return float(np.mean([spearmanr(one.ravel(), other.ravel()).statistic for one, other in pairs]))


@pytest.mark.slow
def test_random_weights_destroy_the_map(trained: tuple[Explainer, np.ndarray]) -> None:
    """Adebayo et al. 2018 (arXiv:1810.03292): first the last layer, then all layers become random."""
    explainer, images = trained
    weights = explainer.model.get_weights()
    maps = explainer.explain(images)
    mirrored = explainer.explain(images[:, :, ::-1].copy())[:, :, ::-1]
    kept = agreement(maps, mirrored)
    assert kept > 0.6, "an image in the mirror has its map in the mirror"
    fresh = [
        build_classifier(Application("mobilenet_v2").build(SIZE, seed), build_head(1280, 2, 0, seed))
        for seed in range(3)
    ]
    try:
        for random in (lambda path: path.startswith("probabilities"), lambda path: True):
            found = []
            for model in fresh:
                new = {weight.path: weight for weight in model.weights}
                explainer.model.set_weights(
                    [
                        np.array(new[weight.path].value) if random(weight.path) else value
                        for weight, value in zip(explainer.model.weights, weights, strict=True)
                    ]
                )
                found.append(agreement(maps, explainer.explain(images)))
            assert np.mean(np.abs(found)) < kept / 2, found
    finally:
        explainer.model.set_weights(weights)


@pytest.mark.slow
def test_without_the_marked_pixels_the_score_falls_most(trained: tuple[Explainer, np.ndarray]) -> None:
    """Blanks a fifth of each patch: what its map marks, what it marks least, and what another patch's map marks."""
    explainer, images = trained

    def score(patches: np.ndarray) -> float:
        outputs, _ = explainer.predict(padded_batches(patches, explainer.batch_size), len(patches), "Classifying")
        return float(np.mean(log_odds(outputs, 1)))

    def blanked(maps: np.ndarray) -> np.ndarray:
        patches = images.copy()
        for patch, order in zip(patches, maps.reshape(len(maps), -1).argsort(axis=1), strict=True):
            patch.reshape(-1, 3)[order[-SIZE * SIZE // 5 :]] = patch.mean(axis=(0, 1))
        return patches

    maps = explainer.explain(images)
    before, marked, least, others = (
        score(patches) for patches in (images, blanked(maps), blanked(-maps), blanked(np.roll(maps, 1, axis=0)))
    )
    assert before - marked > 0.5
    assert marked < others - 0.3
    assert marked < least - 0.3


def test_a_head_of_places_is_explained_where_it_looks() -> None:
    backbone = SmallCNN([4, 8]).build(32, 0)
    head = MultipleInstanceHead(8, 0.0)
    classifier = build_classifier(head.embedding(backbone), head.build(backbone.output_shape[1:], 2, [1], seed=0))
    image = np.full((1, 32, 32, 3), 128, np.uint8)
    image[:, 4:8, 20:28] = 0
    gradcam = GradCam(classifier, [1])
    assert gradcam.layer == backbone.layers[-1].name
    probabilities, maps = gradcam.network.predict(image, verbose=0)
    np.testing.assert_allclose(probabilities, classifier.predict(image, verbose=0), atol=1e-6)
    odd = np.abs(maps[0] - np.median(maps[0])) > 1e-3 * np.abs(maps[0]).max()
    rows, columns = np.nonzero(odd[1:-1, 1:-1])
    assert rows.max() <= 5, "the rest of the image is all one grey but for its edges, and looks alike"
    assert columns.min() >= 6
