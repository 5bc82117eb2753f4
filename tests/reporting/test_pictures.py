"""What the pictures show, read back from their parts, and the look that all figures share."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from crackexp.data.index import ImageIndex
from crackexp.evaluation.tables import predictions_table
from crackexp.reporting import figures
from crackexp.reporting.figures.style import INK, RED
from crackexp.reporting.formatting import number, percent, shortened
from tests.reporting.drawing import drawn, texts

NAMES = ["Negative", "Positive"]


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 20, 20, 3)).astype(np.uint8)


@pytest.mark.parametrize("n", [1, 4, 9])
def test_sample_grid_shows_each_image_below_its_title(n):
    batch = images(n)
    titles = [f"class_{number} of $x^2$" for number in range(n)]
    figure = figures.sample_grid(batch, titles)
    drawn(figure)
    (axes,) = figure.axes
    assert texts(axes) == titles
    for picture, image, title in zip(axes.images, batch, axes.texts, strict=True):
        assert np.array_equal(picture.get_array(), image)
        left, right, _, top = picture.get_extent()
        x, y = title.get_position()
        assert x == pytest.approx((left + right) / 2)
        assert top - 0.1 < y < top


def test_augmentation_grid_counts_the_epochs():
    image, *views = images(9)
    figure = figures.augmentation_grid(image, views)
    drawn(figure)
    assert texts(figure.axes[0]) == ["not augmented", *(f"epoch {n}" for n in range(1, 9))]
    assert np.array_equal(figure.axes[0].images[0].get_array(), image)


def test_prediction_grid_paints_the_wrong_ones_red():
    correct = [True, False, True, True]
    figure = figures.prediction_grid(images(4), ["a / a", "a / b", "b / b", "b / b"], correct)
    drawn(figure)
    (axes,) = figure.axes
    assert [to_hex(title.get_color()) for title in axes.texts] == [INK, RED, INK, INK]
    assert [to_hex(frame.get_edgecolor()) == RED for frame in axes.patches] == [False, True, False, False]


@pytest.mark.parametrize(
    ("wrong", "total", "title"),
    [
        (16, 20, "The 16 worst of 20 errors"),
        (1, 20, "The worst of 20 errors"),
        (5, 5, "All 5 errors"),
        (2, 2, "Both errors"),
        (1, 1, "The only error"),
        (0, 0, "No errors"),
    ],
)
def test_error_gallery_says_what_it_shows(wrong, total, title):
    n = wrong or 3
    labels = np.ones(n, int)
    probabilities = np.tile([0.997, 0.003] if wrong else [0.4, 0.6], (n, 1))
    files = np.array([f"Positive/{number:05}_{'x' * 40}.jpg" for number in range(n)])
    index = ImageIndex(Path(), files, labels, files, tuple(NAMES), (NAMES[1],))
    table = predictions_table(index, probabilities)

    batch, scores = images(n), np.random.default_rng(1).normal(size=(n, 20, 20))
    figure = figures.error_gallery(batch, scores, table, total, "Positive")

    drawn(figure)
    assert figure.get_suptitle().startswith(title)
    for picture, image, part in zip(figure.axes[0].images, batch, scores, strict=True):
        plain, beside = np.split(picture.get_array(), 2, axis=1)
        assert np.array_equal(plain, image)
        assert np.array_equal(beside, figures.evidence(image, part))
    title_box, key_box = (text.get_window_extent() for text in (figure.texts[0], figure.axes[0].texts[0]))
    assert title_box.y0 > key_box.y1, "the title stands above the key, however tall the figure"
    key, *words = texts(figure.axes[0])
    assert "Positive" in key
    assert len(words) == 2 * n
    assert words[0] == ("Positive → Negative" if wrong else "Positive → Positive")
    sure, file = words[1].splitlines()
    assert sure == ("99.7% confident" if wrong else "60.0% confident")
    assert file.startswith("Positive/0")
    assert file.endswith(".jpg")


def test_evidence_is_orange_where_it_speaks_for_and_blue_where_against():
    image = np.full((2, 2, 3), 100, np.uint8)
    scores = np.array([[4.0, -4.0], [0.0, 1.0]])
    (strong, against), (nothing, weak) = figures.evidence(image, scores).astype(int)
    assert np.abs(strong - (0.25 * 100 + 0.75 * np.array([213, 94, 0]))).max() <= 1
    assert np.abs(against - (0.25 * 100 + 0.75 * np.array([0, 114, 178]))).max() <= 1
    assert nothing.tolist() == [100, 100, 100]
    assert 100 < weak[0] < strong[0]
    colored = np.array([[[200, 10, 10]]], np.uint8)
    assert len(set(figures.evidence(colored, np.zeros((1, 1))).ravel())) == 1


MOBILENET = [
    ("image", "InputLayer", (64, 64, 3), 0, True),
    ("preprocess", "Rescaling", (64, 64, 3), 0, False),
    ("Conv1", "Conv2D", (32, 32, 32), 864, False),
    ("bn_Conv1", "BatchNormalization", (32, 32, 32), 128, False),
    ("Conv1_relu", "ReLU", (32, 32, 32), 0, False),
    ("expanded_conv_depthwise", "DepthwiseConv2D", (32, 32, 32), 288, False),
    ("expanded_conv_project", "Conv2D", (32, 32, 16), 512, False),
    ("block_1_pad", "ZeroPadding2D", (33, 33, 16), 0, False),
    ("block_1_depthwise", "DepthwiseConv2D", (16, 16, 16), 144, False),
    ("re_lu_4", "ReLU", (16, 16, 16), 0, False),
    ("block_1_project", "Conv2D", (16, 16, 24), 384, False),
    ("block_2_expand", "Conv2D", (16, 16, 144), 3456, False),
    ("block_2_project", "Conv2D", (16, 16, 24), 3456, False),
    ("block_2_add", "Add", (16, 16, 24), 0, False),
    ("block_3_expand", "Conv2D", (16, 16, 144), 3456, True),
    ("block_3_expand_BN", "BatchNormalization", (16, 16, 144), 576, False),
    ("block_3_project", "Conv2D", (8, 8, 32), 4608, True),
    ("pool", "GlobalAveragePooling2D", (32,), 0, True),
    ("dropout", "Dropout", (32,), 0, True),
    ("probabilities", "Dense", (2,), 66, True),
]


def test_architecture_has_a_box_a_stage():
    figure = figures.architecture(MOBILENET)
    drawn(figure)
    words = texts(figure.axes[0])
    names = ["image", "preprocess", "Conv1", "expanded_conv", "block_1 to 2", "block_3", "pool"]
    assert [word for word in words if word in names] == names
    row = words.index("block_1 to 2")
    assert words[row + 1 : row + 4] == [
        "2 blocks of DepthwiseConv2D, Conv2D",
        "16 x 16 x 24",
        f"{144 + 384 + 3456 + 3456:,}",
    ]
    row = words.index("Conv1")
    assert words[row + 1 : row + 4] == ["Conv2D, BatchNormalization, ReLU", "32 x 32 x 32", "992"]
    assert f"{sum(layer[3] for layer in MOBILENET):,}" in words
    assert {"trained", "trained in part", "frozen"} <= set(words)


@pytest.mark.parametrize(
    ("blocks", "box"),
    [
        (["block2a", "block2b"], "block2a to 2b"),
        (["conv2_block1", "conv2_block2", "conv2_block3"], "conv2_block1 to 3"),
        (["expanded_conv_9", "expanded_conv_10"], "expanded_conv_9 to 10"),
        (["block_10", "block_11", "block_12"], "block_10 to 12"),
    ],
)
def test_blocks_of_every_backbone_share_a_box(blocks, box):
    layers = [
        (f"{block}_{part}", kind, (4, 4, 8), 10, False)
        for block in blocks
        for part, kind in (("expand_conv", "Conv2D"), ("bn", "BatchNormalization"))
    ]
    words = texts(figures.architecture(layers).axes[0])
    assert words[2:6] == ["Parameters", box, f"{len(blocks)} blocks of Conv2D", "4 x 4 x 8"]


def test_numbers_near_the_end_are_not_rounded_to_it():
    assert [percent(share) for share in (0, 0.0001, 0.25, 0.9999, 1)] == [
        "0.0%",
        "< 0.1%",
        "25.0%",
        "> 99.9%",
        "100.0%",
    ]
    assert [number(value) for value in (0.5, 0.99999, 1)] == ["0.5000", "> 0.9999", "1.0000"]


def test_long_texts_keep_both_ends():
    assert shortened("Negative/00001.jpg", 18) == "Negative/00001.jpg"
    short = shortened("a/very/long/folder/00001.jpg", 16)
    assert len(short) == 16
    assert short.startswith("a/ver")
    assert short.endswith("/00001.jpg")


def test_matplotlib_is_left_as_it_was():
    before = dict(matplotlib.rcParams)
    figures.sample_grid(images(2), ["a", "b"])
    assert dict(matplotlib.rcParams) == before


def test_pyplot_and_the_network_libraries_stay_out():
    code = (
        "import sys; import crackexp.evaluation.figures, crackexp.reporting.figures, crackexp.evaluation.tables; "
        "print([m for m in ('matplotlib.pyplot', 'keras', 'jax', 'mlflow') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
