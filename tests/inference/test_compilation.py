"""Compiled programs: one a step, told where it becomes two, and kept within bounds."""

import logging
import subprocess
import sys
from pathlib import Path

import jax
import keras
import numpy as np
import pytest

from crackexp.inference.compilation import compile_once, set_precision
from crackexp.models.heads import build_head

KEEP = """
import sys, jax
from pathlib import Path
from crackexp.inference import compilation
compilation.PROGRAM_BYTES = int(sys.argv[2])
compilation.keep_programs(Path(sys.argv[1]))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
for size in (int(word) for word in sys.argv[3:]):
    jax.jit(lambda x: jax.numpy.tanh(x @ x) + 1)(jax.numpy.ones((size, size))).block_until_ready()
"""


@pytest.fixture
def head() -> keras.Model:
    head = compile_once(build_head(4, 2, dropout=0.3, seed=0))
    head.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return head


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((count, 4), np.float32), np.zeros(count, np.int32)


def test_a_partial_batch_is_told_by_its_shape(head: keras.Model, caplog: pytest.LogCaptureFixture) -> None:
    head.fit(*rows(20), batch_size=8, epochs=2, verbose=0)
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "train_step of head is compiled once more. "
        "Received: batch float32[4, 4], int32[4] after float32[8, 4], int32[8]"
    ]


def test_whole_batches_compile_once(head: keras.Model, caplog: pytest.LogCaptureFixture) -> None:
    head.fit(*rows(24), batch_size=8, epochs=2, verbose=0)
    assert not caplog.records


def run(folder: Path, limit: int, *sizes: int) -> set[str]:
    """Compiles a program a size in a process of its own; returns the names of the programs that are kept then."""
    words = [sys.executable, "-W", "error", "-c", KEEP, str(folder), str(limit), *map(str, sizes)]
    subprocess.run(words, check=True, timeout=120)
    return {file.name for file in (folder / "programs").glob("*-cache")}


@pytest.mark.slow
def test_programs_stay_within_bounds_and_a_half_written_one_goes(tmp_path: Path) -> None:
    all_of_them = run(tmp_path, 2**30, 8, 9, 10)
    assert len(all_of_them) >= 3
    size = sum(file.stat().st_size for file in (tmp_path / "programs").glob("*-cache"))
    (tmp_path / "programs" / "broken-cache").write_bytes(b"half")
    kept = run(tmp_path, size, 11, 12, 13)
    assert "broken-cache" not in kept
    assert kept != all_of_them
    assert sum(file.stat().st_size for file in (tmp_path / "programs").glob("*-cache")) <= size


def test_sums_of_many_rows_are_right_on_the_cpu() -> None:
    """With XLA's default, jaxlib 0.10.2 gives 1,065,369,600 here (jax issue 39103)."""
    rows = jax.numpy.zeros((32_769, 3)).at[:, 0].set(jax.numpy.arange(32_769))
    squares = jax.jit(jax.vmap(lambda row: jax.numpy.sum((jax.numpy.eye(3) @ row) ** 2)))(rows)
    assert float(squares[-1]) == 32_768**2


@pytest.mark.parametrize(
    ("precision", "policy", "products"),
    [
        ("float32", "float32", "highest"),
        ("tensorfloat32", "float32", "tensorfloat32"),
        ("mixed_bfloat16", "mixed_bfloat16", "highest"),
    ],
)
def test_products_are_those_of_float32_unless_asked(precision: str, policy: str, products: str) -> None:
    try:
        set_precision(precision)
        assert keras.config.dtype_policy().name == policy
        program = jax.jit(lambda x: keras.ops.matmul(x, x)).lower(np.ones((8, 8), np.float32)).as_text()
        assert {"highest": "[HIGHEST, HIGHEST]", "tensorfloat32": "[HIGH, HIGH]"}[products] in program
    finally:
        set_precision("float32")
