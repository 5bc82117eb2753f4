"""Each part of the job alone, beside its limit, then the job.

python experiments/speed/parts.py [--without PART ... --] [WORD ...]

The words are those of crackexp.train, such as dataset=mendeley; without any the drawn set is taken.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import limits
import loky
import numpy as np
from hydra import compose, initialize_config_dir

from crackexp.config.checking import check
from crackexp.config.options import conf_dir
from crackexp.data.datamodule import DataModule
from crackexp.data.images.decode import load_image
from crackexp.data.images.pixels import resize
from crackexp.data.index import ImageIndex
from crackexp.embeddings.embedder import Embedder
from crackexp.inference.engine import computing
from crackexp.metrics import Bootstrap, Predictions, evaluate_predictions
from crackexp.models.classifier import unfreeze
from crackexp.training.build import build_module
from crackexp.training.checkpoint import Checkpointer
from crackexp.training.config import TrainConfig
from crackexp.training.parts import build_parts
from crackexp.utils.timer import Timer

SAMPLE = 512
IMAGES, BATCHES = 1024, 8
"""How many images are embedded at least, and how many batches: a device is busy only after the first ones."""
PARTS = ("device_views", "finetuning", "job")
"""The parts that can be left out."""


def row(part: str, rate: float, limit: float | None = None, of: str = "") -> None:
    share = f"{rate / limit:.0%} of {limit:,.0f}, {of}" if limit else ""
    print(f"| {part} | {rate:,.0f} | {share} |", flush=True)


def rate(count: int, work: Callable[[], object]) -> float:
    """Returns images a second of `work`, which takes `count` of them."""
    return count / limits.seconds(work, rounds=3)


def host(data: DataModule, batch_size: int) -> np.ndarray:
    """Measures decoding and augmenting; returns some images, (n, S, S, 3) uint8."""
    train, size = data.train, data.image_size
    rows = range(min(SAMPLE, len(train)))
    best = limits.decoding([train.path(one) for one in rows])
    view = data.view(0)

    def decode(one: int) -> np.ndarray:
        return resize(load_image(train.path(one)), size)

    images = np.stack([decode(one) for one in rows])

    def augment(one: int) -> np.ndarray:
        return view(images[one], str(train.digests[one]))

    with ThreadPoolExecutor(loky.cpu_count()) as pool:
        row("decode and resize", rate(len(rows), lambda: list(pool.map(decode, rows))), best, "libjpeg-turbo alone")
        row("augment", rate(len(rows), lambda: list(pool.map(augment, rows))))
    part = train.subset(np.arange(len(rows)))
    batched = rate(len(rows), lambda: list(data.images(part, batch_size, view)))
    row("decode, augment, batch (grain)", batched, best, "same")
    batch = images[:batch_size]
    to_device = rate(len(batch), lambda: jax.device_put(batch).block_until_ready())
    row("host to device", to_device, limits.copying() / images[0].nbytes, "one core copying")
    return images


def embedded(data: DataModule, embedder: Embedder) -> ImageIndex:
    """Returns the images that embedding is measured on."""
    return data.train.subset(np.arange(min(max(IMAGES, BATCHES * embedder.batch_size), len(data.train))))


def device_views(trainer: Any, data: DataModule, images: np.ndarray) -> None:
    """Measures views that are made on the device, alone and with the backbone."""
    view = data.view(0)
    if view.augmentation.host_only:
        return
    embedder: Embedder = trainer.head.embedder
    part, views = embedded(data, embedder), trainer.head.views
    images = images[: embedder.batch_size]
    size, digests = data.image_size, data.train.digests[: len(images)].tolist()

    def draw() -> Any:
        return jax.tree.map(lambda *rows: np.stack(rows), *[view.draw(size, size, digest) for digest in digests])

    row("draw the parameters of views", rate(len(images), draw))
    program = jax.jit(view.augmentation.apply)
    batch, drawn = jax.device_put(images), jax.device_put(draw())
    alone = rate(len(images), lambda: program(batch, drawn).block_until_ready())
    row("augment on the device", alone, limits.device_copying() / images[0].nbytes, "its memory copying")
    batches = rate(len(part), lambda: jax.block_until_ready(list(views.batches(part, embedder.batch_size, view))))
    row("draw and augment on the device", batches)
    best = limits.arithmetic() / limits.operations(trainer.module.classifier)
    number = iter(range(100))

    def embed() -> Any:
        def source(index: ImageIndex, batch_size: int) -> Iterator[Any]:
            return views.batches(index, batch_size, view)

        return embedder.embed(part, f"device-{next(number)}", source, "device views")

    row("draw, augment, embed on the device, store", rate(len(part), embed), best, "a large matrix product")
    views.release()


def embedding(trainer: Any, data: DataModule, images: np.ndarray) -> None:
    """Measures the backbone alone, and with what feeds it."""
    best = limits.arithmetic() / limits.operations(trainer.module.classifier)
    embedder: Embedder = trainer.head.embedder
    part = embedded(data, embedder)

    def in_memory(index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
        batches = [images[start : start + batch_size] for start in range(0, len(images) - batch_size + 1, batch_size)]
        return islice(cycle(batches), -(-len(index) // batch_size))

    def from_files(index: ImageIndex, batch_size: int) -> Iterator[np.ndarray]:
        return data.images(index, batch_size, data.view(0))

    number = iter(range(100))
    for name, source in (("embed", in_memory), ("decode, augment, embed, store", from_files)):
        embed = partial(embedder.embed, part, images=source, title=name)
        row(
            name,
            rate(len(part), lambda embed=embed: embed(view_key=f"try-{next(number)}")),
            best,
            "a large matrix product",
        )


def head(trainer: Any, data: DataModule, cfg: Any) -> None:
    """Measures the head on stored embeddings, and the statistics of the test set."""
    checkpointer = Checkpointer(cfg.paths.cache, None, data.index.fingerprint, "parts")
    for epoch in range(cfg.epochs):
        trainer.head.training_embeddings(epoch, cfg.epochs)
    trainer.predict(data.val, "val")
    with redirect_stdout(StringIO()):
        trainer.fit([], lambda metrics, step: None, checkpointer)
        started = time.perf_counter()
        trainer.fit([], lambda metrics, step: None, checkpointer)
        taken = time.perf_counter() - started
    row("head: fit, with validation", trainer.epochs * data.steps_per_epoch * data.batch_size / taken)
    test = data.test
    row("head: predict", rate(len(test), lambda: trainer.predict(test, "test")))
    probabilities = trainer.predict(test, "test")
    judge = cfg.evaluation

    def evaluate() -> Any:
        predictions = Predictions(test.labels, probabilities, test.classes.indices[0])
        return evaluate_predictions(predictions, Bootstrap(cfg.seed, judge.level, judge.resamples))

    row("metrics with intervals", rate(len(test), evaluate))


def finetuning(cfg: Any, data: DataModule, images: np.ndarray) -> None:
    """Measures training steps through the last layers of the backbone, on pixels in memory."""
    module = build_module(build_parts(cfg), cfg, data.index.classes)
    unfreeze(module.classifier, cfg.backbone.finetune_from)
    pixels, labels = images[: cfg.batch_size], module.targets(data.train.labels[: cfg.batch_size])
    rates = {}
    for name, network in (("as Keras has it", module.classifier), ("as trained", computing(module.classifier))):
        network.compile(optimizer=module.optimizer(), loss=module.loss)
        rates[name] = rate(len(pixels), lambda network=network: network.train_on_batch(pixels, labels))
        row(f"fine-tuning step, {name}", rates[name], rates["as Keras has it"], "as Keras has it")


def job(words: list[str], folder: Path, title: str) -> None:
    """Runs the whole job and prints where its seconds went."""
    command = [sys.executable, "-m", "crackexp.train", *words, f"paths.root={folder}", f"hydra.run.dir={folder}/run"]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - started
    seconds: dict[str, float] = json.loads((folder / "run" / "result.json").read_text())["seconds"]
    seconds["before crackexp's clock"] = whole - seconds.pop("total")
    spent = ", ".join(f"{name} {taken:.1f}" for name, taken in seconds.items())
    print(f"| {title}: {whole:.1f} s | {spent} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--without", nargs="*", default=[], choices=PARTS, metavar="PART", help=", ".join(PARTS))
    args = parser.parse_args()
    words = ["+experiment=mobilenet", *args.words]
    print("| part | images a second | of the limit |\n|---|---:|---|")
    with TemporaryDirectory() as folder:
        own = [f"paths.root={folder}", f"paths.cache={folder}/parts", f"paths.output={folder}", "tracking=none"]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg = check(compose("train", [*words, *own]), TrainConfig)
        parts = build_parts(cfg)
        data = DataModule(
            parts.dataset,
            parts.split,
            parts.augmentation,
            cfg.image_size,
            cfg.batch_size,
            cfg.seed,
        )
        data.prepare()
        data.setup()
        trainer = parts.trainer
        trainer.setup(lambda: build_module(parts, cfg, data.index.classes), data, Timer())
        images = host(data, trainer.head.embedder.batch_size)
        embedding(trainer, data, images)
        if "device_views" not in args.without:
            device_views(trainer, data, images)
        head(trainer, data, cfg)
        if "finetuning" not in args.without:
            finetuning(cfg, data, images)
        if "job" in args.without:
            return
        print("\n| the job | where its seconds go |\n|---|---|")
        for title in ("cold", "again"):
            job([*words, f"paths.cache={folder}/job"], Path(folder), title)


if __name__ == "__main__":
    main()
