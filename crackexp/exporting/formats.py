"""The formats of an exported model, and the checks whether a model can be exported in a format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crackexp.utils.errors import ConfigError, UserError
from crackexp.utils.extras import require_extra

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Format:
    """A format of an exported model.

    Attributes:
        file: The name of the file.
        packages: The modules of the extra `export` that are needed to write it.
        runtime: The packages that are needed to read it, in a few words.
        tolerance: The largest difference of a probability from that of the classifier. It is larger for a file that
            adds numbers in another order (up to 1e-5 was measured over all backbones) than for one that holds the same
            layers (0 on one machine).
    """

    file: str
    packages: tuple[str, ...]
    runtime: str
    tolerance: float


FORMATS = {
    "onnx": Format("model.onnx", ("jax2onnx", "onnxruntime"), "onnxruntime", 1e-4),
    "stablehlo": Format("model.stablehlo", ("flatbuffers",), "jax and flatbuffers", 1e-4),
    "keras": Format("model.keras", (), "keras", 1e-5),
    "h5": Format("model.h5", (), "keras and h5py", 1e-5),
}


def check_folder(out: str) -> None:
    """Raises ConfigError where `out` is a file or has the suffix of one."""
    if Path(out).is_file() or Path(out).suffix.lstrip(".") in FORMATS:
        raise ConfigError(
            f"out is a folder, in which the files are named {', '.join(kind.file for kind in FORMATS.values())}. "
            f"Type out=FOLDER. Received: out={out}"
        )


def check_installed(formats: Sequence[str]) -> None:
    """Raises ConfigError where a package that one of `formats` needs is missing. It imports none of them."""
    for name in formats:
        require_extra(f"Writing {name}", FORMATS[name].packages, "export", f"formats={_listed(formats)}")


def check_exportable(classifier: "keras.Model", formats: Sequence[str]) -> None:
    """Raises UserError where one of `formats` cannot hold `classifier`, with the reasons and the possible formats."""
    reasons = _reasons(classifier)
    refused = [f"{name} cannot hold this model: {reasons[name]}." for name in formats if name in reasons]
    if refused:
        possible = [name for name in FORMATS if name not in reasons]
        fix = f"Type formats={_listed(possible)}." if possible else "No other format can either."
        raise UserError(f"{' '.join(refused)} {fix} Received: formats={_listed(formats)}")


def refusal(name: str, problem: str) -> UserError:
    """Returns the error for a file of format `name` that has a problem."""
    others = ",".join(other for other in FORMATS if other != name)
    return UserError(
        f"The {name} file of this model {problem}. Nothing was exported; other formats may do: type "
        f"formats=[{others}]. Received: format {name}"
    )


def _reasons(classifier: "keras.Model") -> dict[str, str]:
    """Returns the reason why a format cannot hold `classifier`, for each such format."""
    import keras

    reasons: dict[str, str] = {}
    for operation in _operations(classifier):
        name = f"{type(operation).__name__} ({operation.name})"
        kind = getattr(operation, "compute_dtype", "float32")
        if not isinstance(operation, keras.layers.Layer):
            reasons.setdefault("h5", f"Keras cannot read its operation {name} back, which is no layer")
        elif not type(operation).__module__.startswith("keras."):
            reason = f"its layer {name} is not Keras' own, so the file is of no use without your code"
            reasons = {"keras": reason, "h5": reason} | reasons
        if kind in ("float16", "bfloat16"):
            reason = f"its layer {name} computes in {kind}, which each runtime rounds in its own way"
            reasons = {"onnx": reason, "stablehlo": reason} | reasons
    return reasons


def _operations(model: "keras.Model") -> Iterator["keras.Operation"]:
    import keras

    for operation in model.operations if hasattr(model, "operations") else model.layers:
        yield from _operations(operation) if isinstance(operation, keras.Model) else [operation]


def _listed(formats: Sequence[str]) -> str:
    return f"[{','.join(formats)}]"
