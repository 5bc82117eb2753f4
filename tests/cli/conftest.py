"""The script ``crackexp``, as pip installs it."""

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script in a folder of the PATH."""
    file = tmp_path / "bin" / "crackexp"
    file.parent.mkdir()
    file.write_text(f"#!{sys.executable}\nimport sys\nfrom crackexp.__main__ import main\nsys.exit(main())\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(file.parent), prepend=os.pathsep)
    return file
