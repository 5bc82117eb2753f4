"""An account of the files below an input: which were used, left out or doubted, and why."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

from crackexp.reporting.formatting import counted
from crackexp.utils.names import on_one_line, visible

INCOMPLETE = 3
"""The exit status of a command that left out a file which may be an image."""

LEFT_OUT, DOUBTED = "left out", "doubted"
"""The values of the column fate in `Account.table`."""
SHOWN = 20
"""The number of files of each kind that a text names; tables and reports name all of them."""


@dataclass(frozen=True)
class Remark:
    """A remark on one file.

    Attributes:
        file: The path, as the user knows it.
        reason: Why the file was left out or is doubted, in a few words.
        may_be_image: Whether a file that was left out may be an image that the user wanted to be read. It is False
            for what certainly is none, such as a link that leads back to a folder which was read already.
    """

    file: str
    reason: str
    may_be_image: bool = True


@dataclass
class Account:
    """Records what became of each file below an input.

    Every command that reads files keeps one account, prints `text`, lists `table` in its report, and ends with
    `exit_status`.

    Attributes:
        used: The number of images that were used, those with a doubt among them.
        left_out: The files that were not used, each with its reason.
        doubts: The files that were used although something about them is odd, each with the reason. A file may have
            several doubts.
        ignored: The number of files that were left out without a remark, by their suffix: files that are not meant as
            images (``.DS_Store``, ``.txt``, ``.xml``), and those beyond a limit that the user set.

    Example:

    >>> account = Account(used=2)
    >>> account.leave_out("a.dng", "a camera raw file")
    >>> account.exit_status
    3
    """

    used: int = 0
    left_out: list[Remark] = field(default_factory=list)
    doubts: list[Remark] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def leave_out(self, file: str, reason: str, may_be_image: bool = True) -> None:
        """Notes a file that is not used."""
        self.left_out.append(Remark(file, reason, may_be_image))

    def doubt(self, file: str, reasons: Iterable[str]) -> None:
        """Notes what is odd about a file that is used; `reasons` may be empty."""
        self.doubts += [Remark(file, reason) for reason in reasons]

    def ignore(self, file: str) -> None:
        """Counts a file that is not meant as an image."""
        path = PurePath(file)
        self.ignored[path.suffix.lower() or path.name] += 1

    def add(self, other: "Account") -> None:
        """Adds the files of another account."""
        self.used += other.used
        self.left_out += other.left_out
        self.doubts += other.doubts
        self.ignored.update(other.ignored)

    def renamed(self, rename: Callable[[str], str]) -> "Account":
        """Returns a copy of the account in which every file has the name `rename(file)`."""

        def moved(remarks: list[Remark]) -> list[Remark]:
            return [replace(remark, file=rename(remark.file)) for remark in remarks]

        return replace(self, left_out=moved(self.left_out), doubts=moved(self.doubts), ignored=Counter(self.ignored))

    def of(self, dataset: str) -> "Account":
        """Returns a copy of the account with the name of a dataset before every file."""
        return self.renamed(lambda file: f"{dataset}: {file}")

    @property
    def exit_status(self) -> int:
        """The exit status of the command: 3 where a file was left out that may be an image, else 0."""
        return INCOMPLETE if any(remark.may_be_image for remark in self.left_out) else 0

    @property
    def counts(self) -> dict[str, int]:
        """The number of files that were used, left out, doubted and ignored."""
        return {
            "used": self.used,
            "left_out": len(self.left_out),
            "doubted": len({remark.file for remark in self.doubts}),
            "ignored": self.ignored.total(),
        }

    def table(self) -> "pd.DataFrame":
        """Returns a row for each file that was left out or is doubted, with the columns file, fate and reason."""
        import pandas as pd  # takes half a second, which --help and refusals do not wait for

        rows = [(visible(remark.file), LEFT_OUT, visible(remark.reason)) for remark in self.left_out]
        rows += [(visible(remark.file), DOUBTED, visible(remark.reason)) for remark in self.doubts]
        return pd.DataFrame(rows, columns=["file", "fate", "reason"])

    def text(self) -> str:
        """Returns the counts in a line, and below it the first files that were left out or are doubted."""
        counts = self.counts
        line = (
            f"Files: {counts['used']:,} used, {counts['left_out']:,} left out, {counts['doubted']:,} used with a doubt"
        )
        if self.ignored:
            suffixes = ", ".join(f"{suffix} {count:,}" for suffix, count in self.ignored.most_common(5))
            line += f"; {counted(counts['ignored'], 'other')} ignored ({suffixes})"
        lines = [line]
        for fate, remarks in ((LEFT_OUT, self.left_out), (DOUBTED, self.doubts)):
            lines += [f"  {fate}: {on_one_line(f'{remark.file}: {remark.reason}')}" for remark in remarks[:SHOWN]]
            if len(remarks) > SHOWN:
                lines.append(f"  {fate}: and {len(remarks) - SHOWN:,} more")
        return "\n".join(lines)
