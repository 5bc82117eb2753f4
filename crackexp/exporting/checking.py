"""The check that exported files give the probabilities of the classifier where crackexp is not installed."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from crackexp.data.synthetic import draw_patch
from crackexp.exporting.formats import FORMATS, refusal
from crackexp.inference.compilation import sharing_programs

PATCHES = 16
"""The number of synthetic patches for the check, every other one with a crack."""


def largest_differences(classifier: keras.Model, files: Mapping[str, Path]) -> dict[str, float]:
    """Compares exported files with the classifier on synthetic patches. A process without crackexp reads the files.

    Args:
        classifier: The model, which maps uint8 pixels (n, S, S, 3) to probabilities (n, c) on CPU; see `use_cpu`.
        files: The exported files by format.

    Returns:
        The largest difference of a probability from that of the classifier, by format.

    Raises:
        UserError: A file cannot be read, or differs by more than the tolerance of its format.
    """
    size = classifier.input_shape[1]
    images = np.stack([draw_patch(0, number, bool(number % 2), size) for number in range(PATCHES)])
    expected = classifier.predict(images, batch_size=PATCHES, verbose=0)
    differences = {}
    with tempfile.TemporaryDirectory() as place:
        np.save(Path(place, "images.npy"), images)
        complaint = _read(files, Path(place))
        for name in files:
            answer = Path(place, f"{name}.npy")
            if not answer.is_file():
                raise refusal(name, f"cannot be read in a clean process ({complaint})")
            differences[name] = float(np.abs(np.load(answer) - expected).max())
            if not differences[name] <= FORMATS[name].tolerance:
                raise refusal(
                    name,
                    "says something else than the classifier: its probabilities differ by up to "
                    f"{differences[name]:.2g}, more than {FORMATS[name].tolerance:g}",
                )
    return differences


def _read(files: Mapping[str, Path], place: Path) -> str:
    """Writes the probabilities of the files to `place`, and returns the last line that the process wrote to stderr."""
    reading = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name("reader.py")), str(place)]
        + [f"{name}={file}" for name, file in files.items()],
        env={**os.environ, **sharing_programs(), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    return (reading.stderr.strip().splitlines() or [f"exit status {reading.returncode}"])[-1]
