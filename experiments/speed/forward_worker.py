"""One engine that runs a frozen network over images in memory; started by `forward.py` with the engine's own Python.

python forward_worker.py ENGINE FOLDER THREADS

FOLDER holds ``network.keras``, ``network.onnx`` and ``images.npy``, (n, S, S, 3) uint8. Writes the embeddings, (n, d)
float32, to ``ENGINE.npy`` and prints the batch that it chose; then, for each line that it reads, images a second.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]
SECONDS = 2.0
"""A measurement goes on for at least as long."""


def batches(images: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    return (images[start : start + batch] for start in range(0, len(images), batch))


def crackexp(folder: Path, batch: int | None, threads: int) -> Forward:
    """As a run of crackexp embeds, with the engine that inference=auto takes."""
    from crackexp.inference.auto import Auto

    return streamed(Auto(str(folder)), folder, batch)


def crackexp_xla(folder: Path, batch: int | None, threads: int) -> Forward:
    from crackexp.inference.xla import Xla

    return streamed(Xla(), folder, batch)


def crackexp_openvino(folder: Path, batch: int | None, threads: int) -> Forward:
    from crackexp.inference.openvino import OpenVino

    return streamed(OpenVino(), folder, batch)


def crackexp_onnxruntime(folder: Path, batch: int | None, threads: int) -> Forward:
    from crackexp.inference.onnxruntime import OnnxRuntime

    return streamed(OnnxRuntime(), folder, batch)


def streamed(engine: Any, folder: Path, batch: int | None) -> Forward:
    import keras

    inference = engine.inference(keras.models.load_model(folder / "network.keras"), batch)
    return lambda images: np.concatenate(list(inference.stream(batches(images, inference.batch_size))))


def keras_jax(folder: Path, batch: int, threads: int) -> Forward:
    """Keras' own layers, compiled by JAX."""
    import jax
    import keras

    network = keras.models.load_model(folder / "network.keras")
    weights = [
        [variable.value for variable in variables]
        for variables in (network.trainable_variables, network.non_trainable_variables)
    ]
    step = jax.jit(lambda weights, images: network.stateless_call(*weights, images, training=False)[0])
    return lambda images: np.concatenate([step(weights, one) for one in batches(images, batch)])


def tensorflow(folder: Path, batch: int, threads: int) -> Forward:
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    network = keras.models.load_model(folder / "network.keras")
    step = tf.function(lambda images: network(images, training=False))
    return lambda images: np.concatenate([step(tf.constant(one)).numpy() for one in batches(images, batch)])


def onnxruntime(folder: Path, batch: int, threads: int) -> Forward:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(folder / "network.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.concatenate([session.run(None, {name: one})[0] for one in batches(images, batch)])


def openvino(folder: Path, batch: int, threads: int) -> Forward:
    """In float32, which it would round to 16 bits by itself where the processor can, and by its asynchronous queue."""
    sys.modules.setdefault("openvino_telemetry", None)  # its import would send a message
    import openvino as ov

    core = ov.Core()
    network = core.read_model(folder / "network.onnx")
    shape = network.inputs[0].partial_shape
    shape[0] = batch
    network.reshape(shape)
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    queue = ov.AsyncInferQueue(core.compile_model(network, "CPU", hints))
    outputs: dict[int, np.ndarray] = {}
    queue.set_callback(lambda request, place: outputs.update({place: request.get_output_tensor().data.copy()}))

    def forward(images: np.ndarray) -> np.ndarray:
        for place, one in enumerate(batches(images, batch)):
            queue.start_async({0: one}, place)
        queue.wait_all()
        return np.concatenate([outputs[place] for place in range(len(outputs))])

    return forward


CRACKEXP = (crackexp, crackexp_xla, crackexp_openvino, crackexp_onnxruntime)
ENGINES = {engine.__name__: engine for engine in (*CRACKEXP, keras_jax, tensorflow, onnxruntime, openvino)}
BATCHES = {engine.__name__: (None,) for engine in CRACKEXP}
"""That an engine chooses its fastest of; crackexp takes its own, the peers 1, 8 or 32."""


def rate(forward: Forward, images: np.ndarray) -> float:
    """Returns images a second."""
    started, count = time.perf_counter(), 0
    while (seconds := time.perf_counter() - started) < SECONDS:
        forward(images)
        count += len(images)
    return count / seconds


def main(engine: str, folder: Path, threads: int) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the engine itself prints is no answer
    images = np.load(folder / "images.npy")
    tried = []
    for batch in BATCHES.get(engine, (1, 8, 32)):
        forward = ENGINES[engine](folder, batch, threads)
        forward(images)
        tried.append((rate(forward, images), batch, forward))
    _, batch, forward = max(tried, key=lambda one: one[0])
    np.save(folder / f"{engine}.npy", forward(images))
    print(batch or "own", file=answers, flush=True)
    for _ in sys.stdin:
        print(rate(forward, images), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
