"""The pretrained weights of a backbone: how they are loaded, and their digest. `weight_files` finds their files."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

from crackexp.models.weight_files import not_downloaded
from crackexp.utils.errors import DataError

Saved = dict[str, list[np.ndarray]]


def load_weights(model: keras.Model, path: Path) -> None:
    """Sets every weight of `model` from a file, by layer name.

    A legacy `.h5` file with other layer names, such as the official files of Keras 2, is read in the order of its
    layers, as Keras does. Further layers of the file, such as a head, are ignored.

    Args:
        model: A flat functional model.
        path: A file `.h5` (weights or a whole model), `.weights.h5` or `.keras`. No code in it is run.

    Raises:
        DataError: The file cannot be read, lacks a layer, or a layer has other shapes. The model is unchanged then.
    """
    saved, ordered = _read(path)
    layers = [layer for layer in model.layers if layer.weights]
    names = [layer.name for layer in layers]
    if ordered and not set(names) <= set(saved) and len(saved) >= len(names):
        saved = dict(zip(names, saved.values(), strict=False))
    missing = [name for name in names if name not in saved]
    if missing:
        raise DataError(
            f"The file lacks {len(missing)} of the {len(names)} layers of {model.name}, first "
            f"{missing[0]}; give the weights of the same architecture. "
            f"Received: {path} with the layers {', '.join(list(saved)[:4])}, ..."
        )
    for layer in layers:
        expected = [tuple(weight.shape) for weight in layer.weights]
        actual = [weight.shape for weight in saved[layer.name]]
        if expected != actual:
            raise DataError(
                f"The layer {layer.name} of {model.name} has weights of shapes {expected}, and "
                f"{actual} in the file; give the architecture and backbone.alpha that the file is "
                f"of. Received: {path}"
            )
    for layer in layers:
        layer.set_weights(saved[layer.name])


def download(application: Callable[[], keras.Model], name: str, alpha: float) -> keras.Model:
    """Calls `application`, for which Keras downloads weights into its own cache, `~/.keras`.

    Args:
        application: A function that builds the network with its ImageNet weights.
        name: The architecture.
        alpha: Its width.

    Raises:
        DataError: The download fails.
    """
    try:
        return application()
    except Exception as error:  # keras.utils.get_file raises a bare Exception
        raise not_downloaded(name, alpha, error) from error


def weights_digest(model: keras.Model) -> str:
    """Returns 16 hex digits over the name, shape, dtype and bytes of each weight, in order.

    Names of layers do not count, so the digest stays when a model is built again.
    """
    digest = hashlib.blake2b(digest_size=8)
    for weight in model.weights:
        value = np.asarray(weight.value)
        digest.update(f"{weight.name}|{value.shape}|{value.dtype}|".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[Saved, bool]:
    """Returns the arrays of each layer with weights, and whether the layers are in the order of the graph."""
    try:
        source: Path | io.BytesIO = path
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(source, "r") as file:
            group = file.get("model_weights", file)
            if "layer_names" in group.attrs or "layer_names0" in group.attrs:
                return _read_legacy(group), True
            return _read_keras3(file), False
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            "The weights file cannot be read; it must be whole, and saved by Keras. "
            f"Received: {path} ({type(error).__name__}: {error})"
        ) from error


def _read_legacy(group: h5py.Group) -> Saved:
    saved = {}
    for name in _strings(group, "layer_names"):
        layer = group[name]
        weights = [np.asarray(layer[weight]) for weight in _strings(layer, "weight_names")]
        if weights:
            saved[name] = weights
    return saved


def _strings(group: h5py.Group, attribute: str) -> list[str]:
    """Returns a list that Keras stores as one attribute or, where it is long, as `name0`, `name1`, ..."""
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        count = sum(key.startswith(attribute) for key in group.attrs)
        chunks = [group.attrs[f"{attribute}{i}"] for i in range(count)]
    items = [item for chunk in chunks for item in chunk]
    return [item.decode() if isinstance(item, bytes) else str(item) for item in items]


def _read_keras3(file: h5py.File) -> Saved:
    saved: Saved = {}

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if "layers/" not in path or not path.endswith("/vars") or not len(item):
            return
        if "name" not in item.attrs:
            raise ValueError("its layers have no names; save it again with Keras 3.15")
        name = item.attrs["name"]
        if name in saved:
            raise ValueError(f"two of its layers are named {name}")
        saved[name] = [np.asarray(item[str(index)]) for index in range(len(item))]

    file.visititems(visit)
    return saved
