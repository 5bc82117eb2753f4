"""``python -m crackexp.cache``: what is kept, and how to be rid of it."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from crackexp.training.store import Store

Command = Callable[..., subprocess.CompletedProcess[str]]


def fill(cache: Path) -> None:
    digests = np.asarray([hashlib.blake2b(bytes([row]), digest_size=16).hexdigest() for row in range(50)])
    for model, size in (("aaaa", 96), ("bbbb", 160)):
        store = Store(cache, model, {"backbone": "mobilenet_v2", "image_size": size, "device": "cpu"}, 1e9)
        store.write("plain", digests, np.zeros((50, 5000), np.float32), 1.0)
    (cache / "xla").mkdir()
    (cache / "xla" / "program").write_bytes(bytes(2_000_000))


def test_what_is_kept_is_listed_with_its_size(command: Command, tmp_path: Path) -> None:
    fill(tmp_path / "kept")
    done = command("cache", CRACKEXP_CACHE=str(tmp_path / "kept"), COLUMNS="160")
    assert done.returncode == 0, done.stderr
    assert "embeddings by mobilenet_v2, 96 px, cpu, 1 views" in done.stdout
    assert "programs" in done.stdout
    assert "2.0 MB" in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_a_part_is_cleared_and_the_rest_stays(command: Command, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    fill(kept)
    done = command("cache", "clear=aaaa", CRACKEXP_CACHE=str(kept))
    assert "Removed aaaa: 1.0 MB" in done.stdout
    assert [folder.name for folder in (kept / "embeddings").iterdir()] == ["bbbb"]
    command("cache", "clear=embeddings", CRACKEXP_CACHE=str(kept))
    assert not list((kept / "embeddings").iterdir())
    assert (kept / "xla" / "program").is_file()
    command("cache", "clear=all", CRACKEXP_CACHE=str(kept))
    assert not (kept / "xla").exists()


def test_an_unknown_name_is_refused_with_the_names(command: Command, tmp_path: Path) -> None:
    fill(tmp_path / "kept")
    done = command("cache", "clear=embedings", CRACKEXP_CACHE=str(tmp_path / "kept"))
    assert done.returncode == 2
    assert "embeddings" in done.stderr
    assert "Received: clear=embedings" in done.stderr


def test_an_empty_cache_is_no_error(command: Command, tmp_path: Path) -> None:
    done = command("cache", CRACKEXP_CACHE=str(tmp_path / "none"))
    assert done.returncode == 0
    assert "0.0 MB" in done.stdout
