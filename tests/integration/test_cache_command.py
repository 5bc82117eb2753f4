"""``python -m crackexp.cache``: what is kept, and how to be rid of it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from crackexp.embeddings.store import EmbeddingStore

Command = Callable[..., subprocess.CompletedProcess[str]]


def fill(cache: Path) -> None:
    digests = np.asarray([hashlib.blake2b(bytes([row]), digest_size=16).hexdigest() for row in range(50)])
    for model, size in (("aaaa", 96), ("bbbb", 160)):
        store = EmbeddingStore(cache, model, {"backbone": "mobilenet_v2", "image_size": size, "device": "cpu"}, 1e9)
        store.write("plain", digests, np.zeros((50, 5000), np.float32), 1.0)
    (cache / "images" / "160px-3").mkdir(parents=True)
    (cache / "images" / "160px-3" / "a.rows.npy").write_bytes(bytes(3_000_000))
    (cache / "programs").mkdir()
    (cache / "programs" / "program").write_bytes(bytes(2_000_000))


def test_what_is_kept_is_listed_with_its_size(command_here: Command, tmp_path: Path) -> None:
    fill(tmp_path / "kept")
    done = command_here("cache", CRACKEXP_CACHE=str(tmp_path / "kept"), COLUMNS="160")
    assert done.returncode == 0, done.stderr
    assert "embeddings by mobilenet_v2, 96 px, cpu, 1 view" in done.stdout
    assert "programs" in done.stdout
    assert "2.0 MB" in done.stdout
    assert "decoded and resized" in done.stdout
    assert "3.0 MB" in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_a_part_is_cleared_and_the_rest_stays(command_here: Command, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    fill(kept)
    done = command_here("cache", "clear=aaaa", CRACKEXP_CACHE=str(kept))
    assert "Removed aaaa: 1.0 MB" in done.stdout
    assert [folder.name for folder in (kept / "embeddings").glob("[!.]*")] == ["bbbb"]
    command_here("cache", "clear=embeddings", CRACKEXP_CACHE=str(kept))
    assert not list((kept / "embeddings").glob("[!.]*"))
    assert (kept / "programs" / "program").is_file()
    assert "Removed images: 3.0 MB" in command_here("cache", "clear=images", CRACKEXP_CACHE=str(kept)).stdout
    command_here("cache", "clear=all", CRACKEXP_CACHE=str(kept))
    assert not (kept / "programs").exists()


def test_what_a_running_process_uses_stays(command: Command, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    fill(kept)
    user = EmbeddingStore(kept, "aaaa", {}, 1e9)
    user.open("plain", np.asarray(["0" * 32]))
    assert "in use now" in command("cache", CRACKEXP_CACHE=str(kept)).stdout

    refused = command("cache", "clear=aaaa", CRACKEXP_CACHE=str(kept))
    assert refused.returncode == 2
    assert "uses aaaa" in refused.stderr
    assert "Received: clear=aaaa" in refused.stderr

    partly = command("cache", "clear=all", CRACKEXP_CACHE=str(kept))
    assert partly.returncode == 2
    assert "Removed bbbb" in partly.stdout
    assert not (kept / "programs").exists()
    assert list((kept / "embeddings/aaaa/plain").glob("*.rows.npy"))

    del user
    assert command("cache", "clear=all", CRACKEXP_CACHE=str(kept)).returncode == 0
    assert not (kept / "embeddings/aaaa").exists()


def test_a_held_lock_keeps_its_part(command_here: Command, tmp_path: Path) -> None:
    state = tmp_path / "kept/states/abc"
    state.mkdir(parents=True)
    (state / "state.npz").write_bytes(b"x")
    with FileLock(state / "lock"):
        assert command_here("cache", "clear=states", CRACKEXP_CACHE=str(tmp_path / "kept")).returncode == 2
        assert state.is_dir()
    assert command_here("cache", "clear=states", CRACKEXP_CACHE=str(tmp_path / "kept")).returncode == 0
    assert not state.exists()


def test_help_imports_neither_keras_nor_jax(tmp_path: Path) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "crackexp.cache", "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "clear=embeddings" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "hydra" in imported
    assert not imported & {"keras", "jax", "mlflow", "pandas"}


def test_an_unknown_name_is_refused_with_the_names(command_here: Command, tmp_path: Path) -> None:
    fill(tmp_path / "kept")
    done = command_here("cache", "clear=embedings", CRACKEXP_CACHE=str(tmp_path / "kept"))
    assert done.returncode == 2
    assert "embeddings" in done.stderr
    assert "Received: clear=embedings" in done.stderr


def test_an_empty_cache_is_no_error(command_here: Command, tmp_path: Path) -> None:
    done = command_here("cache", CRACKEXP_CACHE=str(tmp_path / "none"))
    assert done.returncode == 0
    assert "0.0 MB" in done.stdout
