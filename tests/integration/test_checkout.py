"""What the files around the package say of it is so."""

import re
from pathlib import Path

import yaml

import crackexp

ROOT = Path(__file__).parents[2]


def test_the_hooks_of_pre_commit_run_what_make_lint_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert hooks == [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.group(1).splitlines()]


def test_the_citation_names_the_version_and_the_license_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == crackexp.__version__
    assert f'license = "{citation["license"]}"' in (ROOT / "pyproject.toml").read_text()


def test_the_image_is_built_of_files_that_exist() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert kept
    assert [name for name in kept if not (ROOT / name).exists()] == []
    (script,) = re.findall(r"/source/(\S+\.sh)", (ROOT / "Dockerfile").read_text())
    assert (ROOT / script).stat().st_mode & 0o111
