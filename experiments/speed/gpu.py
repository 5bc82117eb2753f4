"""The job on a GPU, its parts beside the limits of card and host, and PyTorch on the same card.

python experiments/speed/gpu.py [--seconds 480] [--virtual] [WORD ...]

It ends within `--seconds`. A first table, of a tenth of the images, is complete after some two minutes; then come the
40,000 images of the job. Jobs start from an empty cache, so compilation counts; images are drawn before and do not.
`--virtual` tries the first tables on two virtual CPU devices with a hundredth of the images; their figures mean
nothing. The words are those of crackexp.train.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import CACHE, HERE, environment, last_json, machine

from crackexp.utils.shards import read_shards

COUNT = 40_000
PEER = "PyTorch, as it comes (convolutions in TensorFloat-32)"
JOBS = {
    "device views, float32": ("trainer.augment_on=device",),
    PEER: (),
    "device views, tensorfloat32": ("trainer.augment_on=device", "trainer.precision=tensorfloat32"),
    "device views, mixed_bfloat16": ("trainer.augment_on=device", "trainer.precision=mixed_bfloat16"),
    "host views, float32": ("trainer.augment_on=host",),
}
"""The words of each job, in the order of their importance, should time run out."""
FIRST = ("device views, float32", PEER)
"""The jobs of the first table."""
HEADER = (
    "| images | job | seconds | of these | embedded a second | card busy | test accuracy | test log loss | "
    "embeddings off float32 by |\n|---:|---|---:|---|---:|---:|---:|---:|---:|"
)
LEAST_SECONDS = 15.0
"""With less time left than this no job is begun."""
VIRTUAL = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
DRAW = """
import sys
from pathlib import Path
from crackexp.data.synthetic import draw_dataset
draw_dataset(Path(sys.argv[1]), int(sys.argv[2]), seed=0)
"""
WEIGHTS = """
import sys
from crackexp.models.backbone import Application
Application("mobilenet_v2", weights="bundled").build(160, seed=0).save(sys.argv[1])
"""


class Unfinished(Exception):
    """A process that failed or ran out of time; the message says which."""


@dataclass
class Study:
    """What the jobs of one call share.

    Attributes:
        folder: Holds the drawn images and all that the jobs write.
        words: Words for each job.
        env: The environment of the jobs.
        ends: When all must have ended, by `time.perf_counter`.
        embeddings: The plain embeddings of the job in float32, by the number of images.
    """

    folder: Path
    words: list[str]
    env: dict[str, str]
    ends: float
    embeddings: dict[int, dict[bytes, np.ndarray]] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.ends - time.perf_counter()

    def run(self, command: Sequence[str], env: dict[str, str] | None = None, shown: bool = False) -> tuple[float, str]:
        """Runs a process, which is killed with its children when time is up.

        Args:
            command: The command.
            env: Its environment; None for that of the jobs.
            shown: Whether it prints to the terminal instead of being read.

        Returns:
            Its seconds, and what it printed.

        Raises:
            Unfinished: It failed, or time was up.
        """
        if self.left < LEAST_SECONDS:
            raise Unfinished("not begun: time is up")
        log = self.folder / "log"
        started = time.perf_counter()
        with log.open("w") as errors:
            process = subprocess.Popen(
                command,
                env=env or self.env,
                stdout=None if shown else subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            try:
                printed, _ = process.communicate(timeout=self.left)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise Unfinished(f"stopped after {time.perf_counter() - started:.0f} s: time is up") from error
        if process.returncode:
            lines = log.read_text().strip().splitlines() or (printed or "").strip().splitlines() or ["no message"]
            print("\n".join(lines[-30:]), file=sys.stderr, flush=True)
            raise Unfinished(f"failed: {lines[-1][:200].replace('|', '/')}")
        return time.perf_counter() - started, printed or ""


class Busy:
    """Asks nvidia-smi how busy the card is while the block runs.

    Attributes:
        share: The mean utilisation, such as "83 %"; "unknown" without nvidia-smi.
    """

    def __init__(self, folder: Path) -> None:
        self.share = "unknown"
        self._samples = folder / "utilisation"

    def __enter__(self) -> "Busy":
        self._process = None
        if shutil.which("nvidia-smi"):
            asked = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "250"]
            with self._samples.open("w") as samples:
                self._process = subprocess.Popen(asked, stdout=samples, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            values = [float(line) for line in self._samples.read_text().split() if line.isdigit()]
            if values:
                self.share = f"{np.mean(values):.0f} %"


def card(env: dict[str, str]) -> tuple[str, str]:
    """Returns the platform and a line on the devices; JAX stays out of this process, as it would take all memory."""
    ask = "import jax; d = jax.devices(); print(d[0].platform, len(d), 'x', d[0].device_kind, 'JAX', jax.__version__)"
    asked = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True, env=env)
    platform, _, about = asked.stdout.strip().splitlines()[-1].partition(" ")
    if platform == "gpu" and shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=memory.total,driver_version", "--format=csv,noheader"]
        about += f", {subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()[0]}"
    return platform, about


def draw(study: Study, count: int) -> Path:
    """Draws the images of a table, on all cores, and says how long that took.

    Raises:
        Unfinished: It failed, or time was up.
    """
    images = study.folder / f"images-{count}"
    seconds, _ = study.run([sys.executable, "-c", DRAW, str(images), str(count)])
    print(f"{count:,} images drawn in {seconds:.0f} s\n", flush=True)
    return images


def peer_python() -> str | None:
    """Returns a Python that has PyTorch: that of the peer, else this one; None where neither has."""
    peer = CACHE / "pytorch" / "bin" / "python"
    if peer.exists():
        return str(peer)
    return sys.executable if all(find_spec(name) for name in ("torch", "torchvision", "tensorboard")) else None


def train(study: Study, images: Path, count: int, name: str) -> str:
    """Runs crackexp; returns the cells of its row behind the name."""
    folder = study.folder / f"{count}-{list(JOBS).index(name)}"
    folder.mkdir()
    own = ["dataset=folder", f"dataset.path={images}", f"paths.root={folder}", f"hydra.run.dir={folder}/run"]
    command = [sys.executable, "-m", "crackexp.train", "+experiment=mobilenet", *own, *JOBS[name], *study.words]
    with Busy(study.folder) as busy:
        seconds, _ = study.run(command, study.env | {"CRACKEXP_CACHE": str(folder / "cache")})
    result = json.loads((folder / "run" / "result.json").read_text())
    metrics = result["metrics"]
    spent = ", ".join(
        f"{part} {taken:.1f}" for part, taken in result["seconds"].items() if part != "total" and taken >= 0.5
    )
    rate = f"{metrics['time/embedded_images_per_second']:,.0f}"
    scores = f"{metrics['test/accuracy']:.4f} | {metrics['test/log_loss']:.5f}"
    return f"{seconds:.1f} | {spent} | {rate} | {busy.share} | {scores} | {off_by(study, folder, count)}"


def off_by(study: Study, folder: Path, count: int) -> str:
    """Returns the largest difference of plain embeddings to those of the first job, relative to the largest number."""
    (table,) = (folder / "cache" / "embeddings").glob("[!.]*/plain")
    shards = read_shards(table, "embeddings")
    rows = {key: row for shard in shards for key, row in zip(shard.keys.tolist(), shard.rows, strict=True)}
    expected = study.embeddings.setdefault(count, {key: np.array(row) for key, row in rows.items()})
    largest = max(float(np.abs(row).max()) for row in expected.values())
    return f"{max(float(np.abs(rows[key] - row).max()) for key, row in expected.items()) / largest:.1e}"


def peer(study: Study, images: Path, count: int) -> str:
    """Runs the recipe in PyTorch; returns the cells of its row behind the name."""
    python = peer_python()
    if python is None:
        raise Unfinished("PyTorch is not installed: python experiments/speed/peers.py pytorch")
    weights, output = study.folder / "weights.h5", study.folder / f"{count}-pytorch"
    if not weights.exists():
        study.run([sys.executable, "-c", WEIGHTS, str(weights)], study.env | {"JAX_PLATFORMS": "cpu"})
    command = [python, str(HERE / "framework_peer.py"), str(images), str(weights), str(output)]
    with Busy(study.folder) as busy:
        seconds, printed = study.run(command, environment())
    said = last_json(printed)
    spent = ", ".join(f"{part} {taken:.1f}" for part, taken in said["seconds"].items() if taken >= 0.5)
    return f"{seconds:.1f} | {spent} | | {busy.share} | {said['test_accuracy']:.4f} | | "


def table(study: Study, images: Path, count: int, names: Sequence[str]) -> None:
    """Runs jobs, and prints a row for each as soon as it has ended."""
    print(HEADER, flush=True)
    for name in names:
        try:
            cells = peer(study, images, count) if name == PEER else train(study, images, count, name)
        except Exception as why:  # whatever a job leaves behind, the others are still measured
            cells = f"{why if isinstance(why, Unfinished) else repr(why)} | | | | | | "
        print(f"| {count:,} | {name} | {cells} |", flush=True)
    print(flush=True)


def parts(study: Study, images: Path) -> None:
    """Prints the parts of the job beside the limits of card and host."""
    words = ["dataset=folder", f"dataset.path={images}", *study.words]
    try:
        study.run([sys.executable, str(HERE / "parts.py"), "--without", "finetuning", "job", "--", *words], shown=True)
    except Unfinished as why:
        print(f"| the parts: {why} | | |")
    print(flush=True)


def main() -> None:
    begun = time.perf_counter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # an exception, so that jobs do not outlive it
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--seconds", type=float, default=480.0, help="after which the script has ended")
    parser.add_argument("--virtual", action="store_true", help="try the script on virtual CPU devices")
    args = parser.parse_args()
    env = dict(os.environ) | (VIRTUAL if args.virtual else {})
    words = [*(["trainer.devices=2"] if args.virtual else []), *args.words]
    platform, about = card(env)
    if platform == "cpu" and not args.virtual:
        sys.exit(f"JAX finds no GPU. Install crackexp[gpu], or type --virtual to try the script. Received: {about}")
    print(f"{'Virtual devices, not measured on a GPU' if args.virtual else 'GPU'}: {about}; {machine()}", flush=True)
    with TemporaryDirectory() as temporary:
        study = Study(Path(temporary), words, env, begun + args.seconds - 5)  # the rest is for removing the files
        count = COUNT // 100 if args.virtual else COUNT // 10
        try:
            images = draw(study, count)
            table(study, images, count, FIRST)
            parts(study, images)
            print(f"The first tables took {time.perf_counter() - begun:.0f} s.\n", flush=True)
            if not args.virtual:
                table(study, draw(study, COUNT), COUNT, list(JOBS))
        except Unfinished as why:
            print(f"The images could not be drawn: {why}", flush=True)
    print(f"All took {time.perf_counter() - begun:.0f} s.")


if __name__ == "__main__":
    main()
