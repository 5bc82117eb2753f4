"""``crackexp COMMAND``, which runs what ``python -m crackexp.COMMAND`` runs."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import crackexp
from crackexp.__main__ import COMMANDS, main
from crackexp.config.commands import command_words
from crackexp.config.options import conf_dir
from tests.conftest import TINY

HEAVY = {"hydra", "omegaconf", "yaml", "keras", "jax", "mlflow", "numpy", "pydantic"}
OWN_HEAD = """
from crackexp.models import Head

class Mine(Head):
    def __init__(self, depth: int) -> None:
        self.depth = depth
"""


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Runs ``crackexp WORDS`` in this process and returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["crackexp", *words])
    try:
        return main()
    except SystemExit as end:
        return int(end.code or 0)


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_every_command_is_listed_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert typed(monkeypatch, *words) == 0
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    listed = {name: text for name, text in rows if not name.startswith("-")}
    assert set(listed) == {"sweep"} | {file.stem for file in conf_dir().glob("*.yaml")}
    assert tuple(listed) == COMMANDS
    assert all(len(text.split()) >= 3 and "`" not in text for text in listed.values())


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_list_and_version_import_neither_hydra_nor_keras(tmp_path: Path, word: str) -> None:
    done = run(sys.executable, "-X", "importtime", "-m", "crackexp", word, folder=tmp_path)
    assert done.returncode == 0
    assert crackexp.__version__ in done.stdout
    assert not {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()} & HEAVY


def test_a_reader_that_closes_the_list_ends_the_command(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as closed:
        words = [sys.executable, "-m", "crackexp", "--help"]
        done = subprocess.run(words, cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["xyz"], "Choose from: adapt, app, audit"),
        (["dropout=0.3"], "Type crackexp COMMAND dropout=0.3."),
        (["-m", "dropout=0.3"], "A command comes first"),
        (["--completion", "tcsh"], "bash, zsh or fish"),
        (["--completion"], "bash, zsh or fish"),
    ],
)
def test_what_is_no_command_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert typed(monkeypatch, *words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.strip().startswith("crackexp: ")


def test_a_command_ends_as_its_module_does(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "crackexp", "train", "dropuot=0.3", folder=tmp_path)
    module = run(sys.executable, "-m", "crackexp.train", "dropuot=0.3", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, module.stdout, module.stderr)
    assert "Did you mean 'dropout'?" in done.stderr


def test_sweep_is_train_over_several_values(tmp_path: Path) -> None:
    told = run(sys.executable, "-m", "crackexp", "sweep", "task_name=a,b", folder=tmp_path)
    assert told.returncode == 2
    assert "All trials of a sweep share task_name" in told.stderr


@pytest.mark.slow
def test_the_script_finds_modules_in_the_working_folder(script: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_HEAD)
    told = run(str(script), "train", "head._target_=own.Mine", folder=tmp_path)
    assert told.returncode == 2
    assert "depth" in told.stderr


def test_next_commands_are_printed_as_the_user_types_them(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for began, words in [
        ([str(script), "train"], ["crackexp", "evaluate"]),
        (["-m", "crackexp", "train"], ["python", "-m", "crackexp.evaluate"]),
        (["-m", "crackexp.train"], ["python", "-m", "crackexp.evaluate"]),
        ([], ["python", "-m", "crackexp.evaluate"]),
    ]:
        monkeypatch.setattr(sys, "orig_argv", [sys.executable, *began])
        assert command_words("evaluate") == words


@pytest.mark.slow
def test_a_sweep_in_processes_of_joblib_prints_the_next_command(
    script: Path, tmp_path: Path, patches: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRACKEXP_CACHE", str(cache))
    (tmp_path / "own.py").write_text(
        "import keras\n\nclass Silent(keras.callbacks.Callback):\n    def __init__(self):\n        super().__init__()\n"
    )
    job = ["+callbacks.own={_target_: own.Silent}", "dataset=folder", f"dataset.path={patches}", *TINY]
    done = run(
        str(script), "sweep", *job, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", folder=tmp_path
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    results = [json.loads(file.read_text()) for file in tmp_path.glob("multirun/train/*/*/*/result.json")]
    assert len({result["run_id"] for result in results}) == 2
    (again,) = {text for text in done.stdout.splitlines() if "crackexp compare" in text}
    assert "python" not in again


@pytest.mark.slow
def test_a_stopped_command_ends_with_the_status_of_the_signal(
    script: Path, tmp_path: Path, patches: Path, cache: Path
) -> None:
    with subprocess.Popen(
        [script, "train", "dataset=folder", f"dataset.path={patches}", *TINY, "epochs=100000", "callbacks=none"],
        cwd=tmp_path,
        env={**os.environ, "CRACKEXP_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout
            printed = []
            for line in process.stdout:
                printed.append(line)
                if line.startswith("Epoch 2/"):
                    process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 143, "".join(printed)
    (resume,) = [line for line in printed if line.startswith("Resume it")]
    assert shlex.split(resume)[2:4] == ["crackexp", "train"]
