"""Seconds until a command has answered, beside bare imports, in one run.

python experiments/speed/startup.py [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from common import machine, spread, table

PYTHON = {
    "Python alone": "pass",
    "import hydra": "import hydra",
    "import crackexp": "import crackexp",
    "import keras, mlflow": "import keras, mlflow",
}
COMMANDS = (
    "--help",
    "train --help",
    "train --cfg job",
    "predict --help",
    "predict nonsense=1",
    "--complete train optimizer=",
)
"""Command lines of crackexp, of which one is refused."""
BASES = ("import hydra", "import keras, mlflow")


def seconds(command: list[str], folder: str) -> float:
    """Returns the seconds from the start of a process in `folder` to its end."""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    lines = {name: [sys.executable, "-c", code] for name, code in PYTHON.items()}
    lines |= {f"crackexp {words}": [sys.executable, "-m", "crackexp", *words.split()] for words in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        taken: dict[str, list[float]] = {name: [] for name in lines}
        for _ in range(rounds):
            for name, command in lines.items():
                taken[name].append(seconds(command, folder))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    rows = [
        [f"`{name}`", spread(values, 2), *(f"{medians[name] / medians[base]:.2f}" for base in BASES)]
        for name, values in taken.items()
    ]
    print(f"{machine()}, {rounds} rounds\n\n{table(['process', 'seconds', *(f'of `{base}`' for base in BASES)], rows)}")


if __name__ == "__main__":
    main()
