"""Renders reports as Markdown, which MLflow shows as the description of a run."""

from crackexp.reporting.report import Report, Section, Table


def markdown(report: Report) -> str:
    """Returns a report as Markdown: the answer, the sections and the notes. Figures and pictures are left out."""
    blocks = []
    if report.answer:
        first, *rest = report.answer
        blocks += [f"**{literal(first)}**", literal(" ".join(rest))]
    for section in report.shown("markdown"):
        blocks += _section(section)
    blocks.append("\n".join(f"- {literal(note)}" for note in report.notes))
    return "\n\n".join(block for block in blocks if block) + "\n"


def literal(text: str) -> str:
    """Returns a text with its special characters escaped, so that Markdown shows it literally, in a table too."""
    for sign in "\\`*_|<>":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")


def _section(section: Section) -> list[str]:
    blocks = [f"### {literal(section.title)}"] if section.title else []
    for table in section.tables:
        blocks += [f"**{literal(table.title)}**"] if table.title else []
        blocks += _table(table)
    blocks += [literal(sentence) for sentence in section.sentences]
    return [*blocks, f"```\n{section.code}\n```"] if section.code else blocks


def _table(table: Table) -> list[str]:
    columns = table.fitting(1)
    lines = ["| " + " | ".join(literal(column.title) for column in columns) + " |"]
    lines.append("|" + "|".join("---:" if column.numeric else "---" for column in columns) + "|")
    count = len(table.rows)
    shown = count if table.brief is None else min(table.brief, count)
    lines += ["| " + " | ".join(literal(column.texts[row]) for column in columns) + " |" for row in range(shown)]
    return ["\n".join(lines), *([f"The first {shown} of {count} rows."] if shown < count else [])]
