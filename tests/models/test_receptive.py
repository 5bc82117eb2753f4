"""Where cells look, against the middle of what moves them."""

import keras
import numpy as np
import pytest
from keras import layers

from crackexp.models.gradcam import GradCam
from crackexp.models.receptive import Spacing

STACKS = {
    "same, even sizes": [layers.Conv2D(1, 3, 2, "same"), layers.Conv2D(1, 3, 2, "same")],
    "same, odd sizes": [layers.Conv2D(1, 3, 2, "same"), layers.Conv2D(1, 3, 1, "same"), layers.Conv2D(1, 5, 2, "same")],
    "valid": [layers.Conv2D(1, 5, 1, "valid"), layers.DepthwiseConv2D(3, 2, "valid"), layers.Conv2D(1, 1)],
    "dilated": [layers.Conv2D(1, 3, 1, "valid", dilation_rate=2), layers.AveragePooling2D(3, 2)],
    "padded": [layers.ZeroPadding2D(((0, 1), (2, 1))), layers.Conv2D(1, 3, 2, "valid"), layers.AveragePooling2D(2)],
    "cropped": [layers.Cropping2D(((3, 1), (0, 5))), layers.SeparableConv2D(1, 3, 2, "same")],
    "enlarged": [layers.AveragePooling2D(4), layers.UpSampling2D(2)],
}


@pytest.mark.parametrize("name", STACKS)
def test_a_cell_looks_at_the_middle_of_the_pixels_that_move_it(name: str) -> None:
    height, width = (45, 47) if "odd" in name else (40, 48)
    image = keras.Input((height, width, 1))
    x = image
    for layer in STACKS[name]:
        x = layer(x)
    cells = keras.Model(image, x)
    cells.set_weights([np.ones_like(weight) for weight in cells.get_weights()])
    pooled = layers.GlobalAveragePooling2D()(x)
    gradcam = GradCam(keras.Model(image, layers.Dense(2, activation="softmax")(pooled)), [1])

    pixels = np.eye(height * width, dtype=np.float32).reshape(-1, height, width, 1)
    moved = cells.predict(pixels, batch_size=512, verbose=0)[..., 0] - cells.predict_on_batch(0 * pixels[:1])[..., 0]
    rows, columns = moved.shape[1:]
    for row, column in ((rows // 2, columns // 2), (rows // 2 - 1, columns // 2 + 1)):
        weights = moved[:, row, column].reshape(height, width)
        middle = [
            np.average(np.arange(size), weights=weights.sum(axis=1 - axis)) for axis, size in ((0, height), (1, width))
        ]
        found = [spacing.first + spacing.step * cell for spacing, cell in zip(gradcam.grid, (row, column), strict=True)]
        if "enlarged" in name:  # of two cells that one pool feeds, each is drawn on its own side of the middle
            np.testing.assert_allclose(found, middle, atol=1.01)
        else:
            np.testing.assert_allclose(found, middle, atol=1e-3)


def test_values_are_spread_linearly_between_the_middles_and_go_on_beyond() -> None:
    weights = Spacing(first=1.0, step=4.0).weights(locations=3, pixels=12, length=12)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights @ [0, 4, 8], [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8])
    coarse = Spacing(first=1.0, step=4.0).weights(locations=3, pixels=12, length=6)
    np.testing.assert_allclose(coarse @ [0, 4, 8], [0, 1.5, 3.5, 5.5, 7.5, 8])
