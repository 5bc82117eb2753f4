"""Images a second of a frozen network alone, crackexp's way beside other engines, and beside the machine's limit.

python experiments/speed/forward.py [--rounds 5] [--threads 2] [NETWORK[:LAYER]/SIZE ...]

All engines compute the same embeddings of the same uint8 images in memory on the same cores, each in a process of its
own. A round measures one after the other. It fails where embeddings differ by more than `TOLERANCE`. The names with
"crackexp" are its engines as its commands use them, and "crackexp" is the one that inference=auto takes; OpenVINO and
ONNX Runtime alone are beside them on the same graph. TensorFlow takes part where `peers.py tensorflow` has been run.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

os.environ["JAX_PLATFORMS"] = "cpu"

import limits
import numpy as np
from common import HERE, environment, is_installed, machine, python_of, spread, table

from crackexp.inference.graph import onnx_model
from crackexp.models.backbone import Application
from crackexp.models.classifier import embedding_model

NETWORKS = (
    "mobilenet_v2/96",
    "mobilenet_v2/160",
    "mobilenet_v2/224",
    "mobilenet_v2:block_12_add/160",
    "efficientnet_b0/160",
    "resnet50/160",
)
"""The networks that are measured by default. The one to the layer `block_12_add` is that of the experiment `robust`."""
WEIGHTS = {"mobilenet_v2": "bundled"}
"""Of a network; random for the others, since only speed is compared."""

ENGINES: dict[str, str | None] = {
    "crackexp": None,
    "crackexp_xla": None,
    "crackexp_openvino": None,
    "crackexp_onnxruntime": None,
    "keras_jax": None,
    "onnxruntime": None,
    "openvino": None,
    "tensorflow": "tensorflow",
}
"""The peer in whose environment an engine runs; None for crackexp's own."""

IMAGES = 64
TOLERANCE = 1e-3
"""Of embeddings between engines, relative to the largest number in them."""


class Engine:
    """A process that runs one engine; starting it takes until it is warm.

    Attributes:
        batch: how many images it computes at once, or "own".
        rates: images a second of each measurement.

    Raises:
        SystemExit: it failed; says what it wrote to standard error.
    """

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        peer = ENGINES[name]
        self.name, self.log = name, folder / f"{name}.log"
        env = environment(CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow") if peer else dict(os.environ)
        command = [python_of(peer) if peer else sys.executable, str(HERE / "forward_worker.py"), name, str(folder)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, str(threads)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.rates: list[float] = []
        self.batch = self._answer().strip()

    def measure(self) -> None:
        """Adds a measurement to `rates`."""
        assert self.process.stdin
        print(file=self.process.stdin, flush=True)
        self.rates.append(float(self._answer()))

    def stop(self) -> None:
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return line
        sys.exit(f"{self.log.read_text()[-4000:]}\nAn engine failed. Received: {self.name}")


def write_network(network: str, folder: Path) -> float:
    """Writes the network and the images that the engines read.

    Args:
        network: name of a backbone, a slash, and the size of the images in pixels.
        folder: gets ``network.keras``, ``network.onnx`` and ``images.npy``.

    Returns:
        Operations an image.
    """
    name, size = network.split("/")
    name, _, layer = name.partition(":")
    backbone = Application(name, weights=WEIGHTS.get(name), output_layer=layer or None)
    model = embedding_model(backbone.build(int(size), seed=0))
    model.save(folder / "network.keras")
    (folder / "network.onnx").write_bytes(onnx_model(model).SerializeToString())
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, int(size), int(size), 3), np.uint8)
    np.save(folder / "images.npy", images)
    return limits.operations(model)


def difference(folder: Path, engine: str) -> float:
    """Returns the largest difference between an engine's embeddings and those of Keras on JAX, relative to the largest.

    Raises:
        SystemExit: it is more than `TOLERANCE`.
    """
    expected, found = (np.load(folder / f"{name}.npy") for name in ("keras_jax", engine))
    relative = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not relative <= TOLERANCE:
        sys.exit(f"{engine} computes something else than Keras, relative difference {relative:.1e}.")
    return relative


def compare(network: str, names: Sequence[str], rounds: int, threads: int) -> list[list[str]]:
    """Measures engines on one network; returns the rows of the table."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        operations = write_network(network, folder)
        engines = [Engine(name, folder, threads) for name in names]
        differences = {name: difference(folder, name) for name in names}
        products = []
        for _ in range(rounds):
            products.append(max(limits.arithmetic(), limits.numpy_arithmetic()))
            for engine in engines:
                engine.measure()
        for engine in engines:
            engine.stop()
        ours, limit = median(engines[0].rates), median(products) / operations
        return [
            [
                network,
                engine.name,
                engine.batch,
                spread(engine.rates),
                f"{ours / median(engine.rates):.2f}",
                f"{median(engine.rates) / limit:.0%} of {limit:.0f}",
                f"{differences[engine.name]:.0e}",
            ]
            for engine in engines
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK[:LAYER]/SIZE")
    parser.add_argument("--engines", nargs="+", default=None, choices=ENGINES, help="keras_jax must be among them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    names = args.engines or [name for name, peer in ENGINES.items() if peer is None or is_installed(peer)]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    header = ["network", "engine", "batch", "images a second", "crackexp / it", "of the limit", "difference"]
    rows = [row for network in args.networks for row in compare(network, names, args.rounds, args.threads)]
    print(f"{machine()}; {args.rounds} rounds, {args.threads} threads\n\n{table(header, rows)}")


if __name__ == "__main__":
    main()
