"""Prints reports, and plain lines, on the terminal."""

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table as RichTable
from rich.tree import Tree

from crackexp.reporting.report import Report, Table, Tone

WIDE = 110
"""The number of characters in a line from which on a terminal shows columns of priority 1."""
STYLES: dict[Tone, str] = {
    "": "",
    "primary": "bold green",
    "secondary": "",
    "danger": "red",
    "warning": "yellow",
    "muted": "dim",
}


def print_report(report: Report) -> None:
    """Prints the sections of a report, then its answer, then its notes."""
    for section in report.shown("terminal"):
        title = section.title
        for table in section.tables:
            _console().print(_table(table, table.title or title))
            title = ""
        if title:
            print_plain(f"\n{title}:", STYLES[section.tone] or "bold")
        for sentence in section.sentences:
            print_plain(sentence, STYLES[section.tone] or None)
        if section.code:
            print_plain(section.code)
    if report.answer:
        print_plain(f"\n{' '.join(report.answer)}\n", "bold")
    for note in report.notes:
        print_plain(f"- {note}")


def print_plain(text: str, style: str | None = None) -> None:
    """Prints lines as they are, never wrapped."""
    _console().print(text, style=style, soft_wrap=True, highlight=False)


def print_config(cfg: DictConfig) -> None:
    """Prints a resolved config as a tree, a branch for each group."""
    tree = Tree("config", guide_style="dim")
    scalars = {key: value for key, value in cfg.items() if not OmegaConf.is_config(value)}
    groups = {key: value for key, value in cfg.items() if OmegaConf.is_config(value)}
    tree.add(_yaml(OmegaConf.create(scalars)))
    for key, value in groups.items():
        tree.add(str(key)).add(_yaml(value))
    _console().print(tree)


def _console() -> Console:
    """Returns the terminal at its present width. Brackets and colons in names of files mean nothing to it."""
    return Console(soft_wrap=False, markup=False, emoji=False)


def _table(table: Table, title: str) -> RichTable:
    columns = table.fitting(1 if _console().width >= WIDE else 0)
    made = RichTable(title=title or None, title_justify="left", title_style="bold")
    for column in columns:
        whole = column.numeric and not any(" " in text.strip("<> ") for text in column.texts)
        made.add_column(column.title, justify="right" if column.numeric else "left", no_wrap=whole, overflow="fold")
    for row, texts in enumerate(zip(*(column.texts for column in columns), strict=True)):
        made.add_row(*texts, style=STYLES[table.tone(row)])
    return made


def _yaml(node: DictConfig) -> Syntax:
    return Syntax(OmegaConf.to_yaml(node).rstrip(), "yaml", background_color="default")
