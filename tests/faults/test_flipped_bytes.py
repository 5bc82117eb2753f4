"""Bytes that flip in files of the cache and of the store: what is read is what was written, or it is refused."""

import logging
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pytest

from crackexp.data.classes.decisions import Classes
from crackexp.data.duplicates import find_duplicates
from crackexp.data.files.archive import unpack
from crackexp.data.files.download import _Part
from crackexp.data.images.cache import ImageCache
from crackexp.data.index import ImageIndex, build_index
from crackexp.data.pipeline import image_batches
from crackexp.data.splits.ratio_split import RatioSplit
from crackexp.data.thumbnails import thumbnails
from crackexp.embeddings.leases import Leases
from crackexp.embeddings.store import EmbeddingStore
from crackexp.evaluation.tables import predictions_table
from crackexp.models.backbone import SmallCNN
from crackexp.models.classifier import build_classifier
from crackexp.models.heads import build_head
from crackexp.sweep.watch import Watch
from crackexp.tracking.models import load
from crackexp.tracking.runs import find_run, training_digests
from crackexp.tracking.sweeps import SweepStore
from crackexp.training.checkpoint import Checkpoint, Checkpointer
from crackexp.training.history import TrainingHistory
from crackexp.utils import shards
from crackexp.utils.errors import UserError
from crackexp.utils.seeds import generator
from tests.conftest import write_patches
from tests.tracking.test_logger import make_logger

RUN = "0" * 32
CLASSES = Classes(("Negative", "Positive"), ("Positive",))
FACTS = {"class_names": list(CLASSES.names), "positive": "Positive", "threshold": 0.5, "unsure_from": 0.25}


@dataclass
class Kept:
    """A kind of file, and how it is read.

    Attributes:
        files: of this kind.
        read: returns what they hold, as what can be compared; whatever cannot be read is made anew or refused.
        tries: flipped bytes.
        harmless: that no flip needs to be told of, since what the file holds is not what is computed.
    """

    files: list[Path]
    read: Callable[[], Any]
    tries: int = 40
    harmless: bool = False


def same(one: Any, other: Any) -> bool:
    """Says whether two results are equal to the bit."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def attempt(read: Callable[[], Any]) -> tuple[Any, str | None]:
    """Returns what was read, or None and the sentence that refuses it."""
    try:
        return read(), None
    except (UserError, mlflow.MlflowException) as error:
        return None, str(error)


def assert_flips_are_held(name: str, kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """Flips bytes one at a time, spread over the files, and reads them each time as a new process would."""
    caplog.set_level(logging.WARNING)
    assert kept.files
    whole = {file: file.read_bytes() for file in kept.files}
    expected = kept.read()
    rng = generator(0, "flips", name)
    held = noticed = 0
    for number in range(kept.tries):
        for file, content in whole.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        file = kept.files[number % len(kept.files)]
        content = bytearray(whole[file])
        place = int(rng.integers(len(content)))
        content[place] ^= int(rng.integers(1, 256))
        file.write_bytes(content)
        caplog.clear()
        found, refusal = attempt(kept.read)
        told = [refusal] if refusal else [record.getMessage() for record in caplog.records]
        assert refusal or same(found, expected), f"{name}: byte {place} of {file} was used"
        assert not any("\n" in text for text in told), told
        held += 1
        noticed += bool(told)
    for file, content in whole.items():
        file.write_bytes(content)
    print(f"{name}: tried {kept.tries}, held {held}, told of {noticed}")
    assert held == kept.tries
    assert noticed or kept.harmless


def image_index(root: Path, cache: Path) -> ImageIndex:
    members = [(file.relative_to(root).as_posix(), file.parent.name) for file in sorted(root.rglob("*.jpg"))]
    return build_index(root, members, "Positive", cache)


def index_digests(patches: Path, cache: Path) -> Kept:
    def read() -> Any:
        index = image_index(patches, cache)
        return index.digests, index.fingerprint

    read()
    return Kept(list((cache / "index").glob("*.npz")), read)


def split_manifest(patches: Path, cache: Path) -> Kept:
    index = image_index(patches, cache)
    ratio = RatioSplit(ratio=[0.6, 0.2, 0.2], seed=1, cache=cache, check_leaks=False)

    def read() -> Any:
        split = ratio.split(index)
        return split.train.files, split.val.files, split.test.files, split.manifest.read_bytes()

    read()
    return Kept(list(cache.glob("splits/*/manifest.csv")), read)


def thumbnail_cache(patches: Path, cache: Path) -> Kept:
    index = image_index(patches, cache)

    def read() -> Any:
        return vars(thumbnails(index, cache))

    read()
    return Kept(list(cache.glob("duplicates/thumbnails-*")), read)


def copies(patches: Path, cache: Path) -> Kept:
    doubled = shutil.copytree(patches, cache / "doubled")
    for file in sorted((doubled / "Positive").glob("00*.jpg")):
        shutil.copy(file, file.with_name(f"again-{file.name}"))
    index = image_index(doubled, cache)

    def read() -> Any:
        return vars(find_duplicates(index, cache))

    read()
    return Kept(list(cache.glob("duplicates/pairs-*")), read)


def embeddings(patches: Path, cache: Path) -> Kept:
    digests = np.array([f"{number:032x}" for number in range(20)])
    rows = generator(0, "rows").normal(size=(20, 6)).astype(np.float32)
    store = EmbeddingStore(cache, "model", {"backbone": "b"}, 1e9)
    store.write("view", digests, rows, 2.0)

    def read() -> Any:
        shards._verified.clear()
        table = store.open("view", digests)
        if len(table.missing):
            store.write("view", digests[table.missing], rows[table.missing], 2.0)
            shards._verified.clear()
            table = store.open("view", digests)
        return table[:]

    folder = cache / "embeddings" / "model" / "view"
    return Kept(sorted(folder.glob("*.*")), read, tries=60)


def decoded_images(patches: Path, cache: Path) -> Kept:
    index = image_index(patches, cache).subset(np.arange(4))

    def read() -> Any:
        shards._verified.clear()
        return list(image_batches(index, 8, 4, cache=ImageCache(8, cache, 1e9)))

    read()
    return Kept(
        sorted((cache / "images").rglob("*.*.npy")) + sorted((cache / "images").rglob("*.json")), read, tries=60
    )


def tables_in_use(patches: Path, cache: Path) -> Kept:
    user = Leases(cache / "embeddings")
    user.add(cache / "embeddings" / "model" / "view")

    def read() -> Any:
        with Leases(cache / "embeddings").locked() as used:
            assert user.tables <= used
        return user.tables

    return Kept(list(cache.glob("embeddings/.users/*.txt")), read, harmless=True)


def resume_state(patches: Path, cache: Path) -> Kept:
    numbers = generator(0, "state").normal(size=40).astype(np.float32)
    state = Checkpoint(
        dataset="images",
        identity="code",
        phase="fit",
        batch=0,
        stopped=False,
        history=TrainingHistory({"loss": [0.3, 0.2]}, {"val/loss": 0.5}, [0], [(0, {"val/loss": 0.5})]),
        seconds={"fit": 1.5},
        variables=[numbers, numbers.reshape(5, 8)],
        optimizer=[numbers],
        metrics=[],
        callbacks=[{"class": "EarlyStopping", "values": {"wait": 1, "best_weights": [numbers]}}],
    )
    checkpointer = Checkpointer(str(cache), None, "images", "code")
    with checkpointer.open(RUN):
        checkpointer.save(state)

    def read() -> Any:
        found = Checkpointer(str(cache), RUN, "images", "code")
        with found.open(RUN):
            assert found.restored
            return vars(found.restored)

    return Kept(list(cache.glob("states/*/state.npz")), read, tries=80)


def archive(patches: Path, cache: Path) -> Kept:
    place = cache / "downloads" / "patches.zip"
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as target:
        for file in sorted(patches.rglob("00*.jpg")):
            target.write(file, file.relative_to(patches))

    def read() -> Any:
        folder = cache / "unpacked"
        shutil.rmtree(folder, ignore_errors=True)
        unpack(place, folder)
        return {file.relative_to(folder): file.read_bytes() for file in sorted(folder.rglob("*.jpg"))}

    return Kept([place], read)


def download_note(patches: Path, cache: Path) -> Kept:
    part = _Part(cache / "file.zip")
    cache.mkdir(exist_ok=True)
    part.note.write_text('{"url": "http://a/file.zip", "validator": "abc"}')

    def read() -> Any:
        found = part.validator("http://a/file.zip")
        return found is None or isinstance(found, str)  # of another one the server says that it has another version

    return Kept([part.note], read, harmless=True)


def trial_outcome(patches: Path, cache: Path) -> Kept:
    file = cache / "0" / "cell.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"overrides": ["dropout=0.1"], "state": "finished", "accuracy": 0.5, "seconds": 1.0}')

    def read() -> Any:
        watch = Watch(cache, 1, ["dropout"])
        watch.start()
        watch.stop()
        return list(watch.ended) == [file]

    return Kept([file], read, harmless=True)


CACHE = {
    "digests of images": index_digests,
    "manifest of a split": split_manifest,
    "thumbnails": thumbnail_cache,
    "copies of pictures": copies,
    "embeddings": embeddings,
    "decoded images": decoded_images,
    "tables in use": tables_in_use,
    "state of a run": resume_state,
    "archive": archive,
    "note of a download": download_note,
    "outcome of a trial": trial_outcome,
}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 8 Negative and 8 Positive patches; not to be changed."""
    return write_patches(tmp_path_factory.mktemp("few"), ("Negative", "Positive"), 8)


@pytest.mark.parametrize("name", CACHE)
def test_a_flipped_byte_in_the_cache_is_never_used(
    name: str, few: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert_flips_are_held(name, CACHE[name](few, tmp_path / "cache"), caplog)


@dataclass
class Logged:
    """A run in a store, and its folders."""

    uri: str
    run_id: str
    artifacts: Path
    model: Path
    store: SweepStore


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """A run that logged all that crackexp reads again."""
    classifier = build_classifier(SmallCNN([4]).build(32, 0), build_head(4, 2, 0.3, 0))
    root = tmp_path_factory.mktemp("store")
    logger = make_logger(root)
    digests = np.array([f"{number:032x}" for number in range(12)])
    labels = np.arange(12) % 2
    said = generator(0, "said").dirichlet([1, 1], 12).astype(np.float32)
    index = ImageIndex(Path(), digests, labels, digests, CLASSES.names, CLASSES.positives)
    table = predictions_table(index, said)
    manifest = "".join(
        f"train,{CLASSES.names[label]},{digest}.jpg,{digest}\n" for label, digest in zip(labels, digests, strict=True)
    )
    with logger.run("a run", {}):
        logger.log_text("trainer:\n  epochs: 3\ndropout: 0.3\n", "config/config.yaml")
        logger.log_text(f"split,class,file,digest\n{manifest}", "data/manifest.csv")
        logger.log_text("file,digest\na.jpg,abc\n", "data/mixed/other.csv")
        logger.log_text(table.to_csv(index=False), "test/predictions.csv")
        uri = logger.log_model(classifier, FACTS)
        logger.log_text(f'{{"run_id": "{RUN}", "model_uri": "{uri}", "metrics": {{"a": 0.5}}}}', "result.json")
    assert logger.run_id
    (config,) = Path(str(logger.artifacts)).rglob("config.yaml")
    (model,) = Path(str(logger.artifacts)).rglob("MLmodel")
    return Logged(logger.store, logger.run_id, config.parents[1], model.parent, SweepStore(logger))


RUN_FILES = ("config/config.yaml", "data/manifest.csv", "data/mixed/other.csv", "test/predictions.csv", "result.json")


@pytest.mark.parametrize("path", RUN_FILES)
def test_a_flipped_byte_in_a_file_of_a_run_is_never_used(
    path: str, logged: Logged, caplog: pytest.LogCaptureFixture
) -> None:
    run = logged.store.client.get_run(logged.run_id)

    def result() -> Any:
        found = logged.store.result(run)
        if found is None:
            raise UserError("it counts as missing")
        return found

    readers: dict[str, Callable[[], Any]] = {
        "config/config.yaml": lambda: find_run(logged.run_id, logged.uri).config,
        "data/manifest.csv": lambda: logged.store.split(run).to_csv(),
        "data/mixed/other.csv": lambda: training_digests(logged.run_id, logged.uri),
        "test/predictions.csv": lambda: logged.store.trial(run).predictions.to_csv(),
        "result.json": result,
    }
    assert_flips_are_held(path, Kept([logged.artifacts / path], readers[path], tries=15), caplog)


@pytest.fixture
def model(logged: Logged, tmp_path: Path) -> Iterator[Path]:
    """A copy of the logged model."""
    yield shutil.copytree(logged.model, tmp_path / "model")
    keras.backend.clear_session()


@pytest.mark.slow
def test_a_flipped_byte_in_a_model_is_never_used(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = generator(0, "images").integers(0, 256, (2, 32, 32, 3), np.uint8)

    def read() -> Any:
        found = load(str(model), None, "model")
        said = np.asarray(found.classifier.predict_on_batch(images))
        return said, found.classes, found.thresholds

    assert_flips_are_held("model.keras", Kept([model / "artifacts" / "model.keras"], read, tries=15), caplog)
    assert_flips_are_held("MLmodel", Kept([model / "MLmodel"], read, tries=60), caplog)


@pytest.mark.slow
def test_a_flipped_byte_in_a_served_model_is_never_used(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = generator(0, "images").integers(0, 256, (2, 32, 32, 3), np.uint8)

    def read() -> Any:
        return mlflow.pyfunc.load_model(str(model)).predict(images).to_csv()

    files = [model / "artifacts" / name for name in ("model.keras", "pixels.py", "model_facts.py", "saved.py")]
    assert_flips_are_held("served model", Kept(files, read, tries=15), caplog)


PROGRAMS = """
import sys, warnings
from pathlib import Path
import jax, numpy as np
from jax._src import compilation_cache
from crackexp.inference.compilation import keep_programs

def read():
    jax.clear_caches()
    compilation_cache.reset_cache()
    keep_programs(Path(sys.argv[1]))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return np.asarray(jax.jit(lambda x: jax.numpy.tanh(x @ x) + 1)(jax.numpy.eye(8)))

expected = read()
files = sorted(Path(sys.argv[1]).rglob("*-cache"))
whole = {file: file.read_bytes() for file in files}
rng = np.random.default_rng(0)
told = 0
for number in range(24):
    file = files[number % len(files)]
    content = bytearray(whole[file])
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    file.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert np.array_equal(read(), expected)
    told += bool(caught)
    file.write_bytes(whole[file])
print(f"compiled programs: tried 24, held 24, told of {told}")
assert told
"""


@pytest.mark.slow
def test_a_flipped_byte_in_a_compiled_program_is_never_used(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]
