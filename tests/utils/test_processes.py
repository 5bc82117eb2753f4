"""Processes for work: they end with their parent, and the script of a user needs no guard."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SCRIPT = """
import os
from crackexp.utils.processes import process_pool

pool = process_pool(1)
print(pool.submit(os.getpid).result(), flush=True)
{rest}
"""


def start(folder: Path, rest: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """Starts a script without a guard that starts a process, and returns both."""
    script = folder / "script.py"
    script.write_text(SCRIPT.format(rest=rest))
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    return parent, psutil.Process(int(parent.stdout.readline()))


@pytest.mark.parametrize("end", ["kill", "terminate", "wait"])
def test_a_process_ends_with_its_parent(tmp_path: Path, end: str) -> None:
    parent, process = start(tmp_path, "" if end == "wait" else "import time; time.sleep(60)")
    with parent:
        getattr(parent, end)()
    psutil.wait_procs([process], timeout=20)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_script_without_a_guard_draws_patches(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "from pathlib import Path\n"
        "from crackexp.data.synthetic.patches import draw_dataset\n"
        "draw_dataset(Path('drawn'), 1000, seed=0, size=32)\n"
    )
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True)
    assert len(list(tmp_path.glob("drawn/*/*.jpg"))) == 1000
