"""What a command imports before it answers, on which the time of its answer depends."""

import subprocess
import sys
from pathlib import Path

ANSWERS = """
import contextlib, io, sys
from crackexp.__main__ import main
for words in (["train", "--help"], ["train", "--cfg", "job"], ["predict", "--help"], ["--complete", "train", "opt"]):
    sys.argv = ["crackexp", *words]
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        main()
    assert printed.getvalue(), words
heavy = {"numpy", "pandas", "scipy", "sklearn", "PIL", "matplotlib", "cv2", "sqlalchemy", "mlflow", "jax", "keras"}
print(sorted(heavy & sys.modules.keys()))
"""


def test_help_config_and_completion_import_nothing_that_only_work_needs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ANSWERS], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
