"""The command ``crackexp``: ``crackexp train ARGUMENTS`` runs what ``python -m crackexp.train ARGUMENTS`` runs.

Hydra and Keras are imported by the entry modules only, so that the list of commands and the version appear at once.
"""

import ast
import os
import runpy
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from crackexp import __version__
from crackexp.utils.errors import refuse

COMMANDS = (
    "train",
    "sweep",
    "evaluate",
    "predict",
    "survey",
    "review",
    "explain",
    "app",
    "calibrate",
    "adapt",
    "audit",
    "compare",
    "export",
    "cache",
    "ui",
    "check",
)
SHELLS = ("bash", "zsh", "fish")
OPTIONS = {
    "--help": "Shows this list",
    "--version": "Prints the version",
    "--completion": f"Prints a script that completes command lines in {', '.join(SHELLS[:-1])} or {SHELLS[-1]}",
}
USAGE = """\
crackexp {version}: experiments on concrete-crack classifiers

Usage: crackexp COMMAND [group=option] [key=value]

Commands:
{commands}

Options:
{options}

crackexp COMMAND --help shows the groups and keys of a command.
This line completes them in bash: eval "$(crackexp --completion bash)"
"""


def main() -> int:
    """Runs the command that the first word of the command line names, in this process.

    Returns:
        The exit status: 0, or 141 where the reader of stdout has closed it. A command raises SystemExit with another.
    """
    match sys.argv[1:]:
        case [] | ["-h" | "--help", *_]:
            text = usage()
        case ["-V" | "--version", *_]:
            text = f"crackexp {__version__}\n"
        case ["--completion", shell] if shell in SHELLS:
            text = Path(__file__).with_name("cli").joinpath(f"completion.{shell}").read_text()
        case ["--completion", *words]:
            refuse(f"--completion takes {', '.join(SHELLS[:-1])} or {SHELLS[-1]}. Received: {' '.join(words)}")
        case ["--complete", *words]:  # asked by the scripts in crackexp/cli
            text = "".join(f"{found}\n" for found in candidates(words or [""]))
        case [name, *words]:
            run_command(name, words)
            return 0
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:  # the reader, such as head, has closed stdout, to which Python would write again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


def usage() -> str:
    """Returns what ``crackexp --help`` prints: the commands, and a sentence about each."""
    width = max(map(len, [*COMMANDS, *OPTIONS]))
    commands = "\n".join(f"  {name:<{width}}  {summary(name)}" for name in COMMANDS)
    options = "\n".join(f"  {name:<{width}}  {text}" for name, text in OPTIONS.items())
    return USAGE.format(version=__version__, commands=commands, options=options)


def summary(name: str) -> str:
    """Returns the sentence about a command, with which the docstring of its module begins. Nothing is imported."""
    if name == "sweep":
        return "Trains with all combinations of values, such as dropout=0.1,0.3, and compares them (train -m)"
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition(": ``")[0]


def run_command(name: str, words: Sequence[str]) -> None:
    """Runs the entry module of a command as ``python -m`` does: as `__main__`, with the working folder in the path."""
    if name not in COMMANDS:
        from crackexp.config.options import suggest

        if "=" in name or name.startswith("-"):
            refuse(f"A command comes first. Type crackexp COMMAND {name}.{suggest('', COMMANDS)} Received: {name}")
        refuse(f"There is no command '{name}'.{suggest(name, COMMANDS)} Received: {name}")
    module, words = ("train", ["-m", *words]) if name == "sweep" else (name, words)
    if not sys.flags.safe_path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    sys.argv[1:] = words
    runpy.run_module(f"crackexp.{module}", run_name="__main__", alter_sys=True)


def candidates(words: Sequence[str]) -> list[str]:
    """Returns what may stand in place of the last word of a command line, each with a description behind a tab."""
    match words:
        case [word]:
            known = OPTIONS if word.startswith("-") else {name: summary(name) for name in COMMANDS}
            return [f"{name}\t{text}" for name, text in known.items() if name.startswith(word)]
        case ["--completion", word]:
            return [shell for shell in SHELLS if shell.startswith(word)]
        case [name, *before, word] if name in COMMANDS:
            from crackexp.cli.completion import candidates as arguments

            return arguments("train" if name == "sweep" else name, before, word)
    return []


if __name__ == "__main__":
    sys.exit(main())
