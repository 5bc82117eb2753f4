"""A program that reads exported files without crackexp, as their users do: ``reader.py FOLDER FORMAT=FILE ...``.

It writes the probabilities of each file for the images in FOLDER/images.npy to FOLDER/FORMAT.npy, (n, c).
"""

import os
import sys
from pathlib import Path

import numpy as np


def read_onnx(file: str, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["probabilities"], {"image": part})[0] for part in _parts(images)])


def read_stablehlo(file: str, images: np.ndarray) -> np.ndarray:
    from jax import export

    program = export.deserialize(bytearray(Path(file).read_bytes()))
    return np.concatenate([np.asarray(program.call(part)) for part in _parts(images)])


def read_keras(file: str, images: np.ndarray) -> np.ndarray:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    return keras.saving.load_model(file, compile=False).predict(images, verbose=0)


def _parts(images: np.ndarray) -> list[np.ndarray]:
    """Returns the images in two batches of different sizes, since a file must take any number of images."""
    return [images[:1], images[1:]]


READERS = {"onnx": read_onnx, "stablehlo": read_stablehlo, "keras": read_keras, "h5": read_keras}

if __name__ == "__main__":
    sys.modules["crackexp"] = None  # type: ignore[assignment]  # any import of it raises an error
    place = sys.argv[1]
    patches = np.load(f"{place}/images.npy")
    for argument in sys.argv[2:]:
        name, _, path = argument.partition("=")
        np.save(f"{place}/{name}.npy", READERS[name](path, patches))
