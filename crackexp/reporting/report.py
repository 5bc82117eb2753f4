"""Reports, made of sections: every result returns one, and the renderers beside this module show it.

A report holds texts that are ready to be read, figures and pictures. Its texts are not escaped, since each renderer
does that, so the name of a file or a class may hold any characters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from crackexp.utils.names import visible

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

Tone = Literal["", "primary", "secondary", "danger", "warning", "muted"]
"""The weight of a row, a word or a section, named as in Bootstrap; "" is plain text."""

Medium = Literal["terminal", "markdown", "html"]
EVERYWHERE: tuple[Medium, ...] = ("terminal", "markdown", "html")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: The head of the column.
        texts: A text for each row.
        keys: A number or a text for each row, by which rows are sorted and which a CSV file holds; None for the texts.
        numeric: Whether the texts are numbers, which are aligned to the right.
        tones: A tone for each row whose text is shown as a badge; empty where the column has no badges.
        priority: 0 for a column that is always shown, 1 for one that a narrow terminal leaves out, 2 for one that only
            a page has room for.
    """

    title: str
    texts: Sequence[str]
    keys: Sequence[Any] | None = None
    numeric: bool = False
    tones: Sequence[Tone] = ()
    priority: int = 0

    @property
    def values(self) -> Sequence[Any]:
        """The keys, or the texts where there are none."""
        return self.texts if self.keys is None else self.keys


@dataclass(frozen=True)
class Table:
    """A table, column by column.

    Attributes:
        columns: The columns, each with as many texts as the others.
        title: The title of the table; empty where the title of the section is enough.
        tones: A tone for each row; empty for plain rows.
        sortable: Whether a click on the head of a column sorts the table on a page.
        brief: The number of rows in the description of a run; None for all.
        path: The CSV file that the table is logged as, below the folder of the report; empty to log none.

    Example:

    >>> table = Table([Column("class", ["crack"]), Column("images", ["1,200"], [1200], numeric=True)])
    >>> table.rows
    [('crack', '1,200')]
    """

    columns: Sequence[Column]
    title: str = ""
    tones: Sequence[Tone] = ()
    sortable: bool = False
    brief: int | None = None
    path: str = ""

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The texts, row by row."""
        return list(zip(*(column.texts for column in self.columns), strict=True))

    def tone(self, row: int) -> Tone:
        """Returns the tone of a row."""
        return self.tones[row] if self.tones else ""

    def fitting(self, priority: int) -> list[Column]:
        """Returns the columns that a medium with room for columns of this priority shows."""
        return [column for column in self.columns if column.priority <= priority]

    def frame(self) -> "pd.DataFrame":
        """Returns the table as it is logged: the keys of each column."""
        import pandas as pd  # takes half a second, which commands that only print a table do not wait for

        return pd.DataFrame(
            {
                column.title: [visible(key) if isinstance(key, str) else key for key in column.values]
                for column in self.columns
            }
        )


@dataclass(frozen=True)
class Figure:
    """A drawn figure.

    Attributes:
        drawing: The matplotlib figure.
        path: The PNG file that it is logged as, below the folder of the report.
        caption: A few words that describe it.
    """

    drawing: "Drawing"
    path: str
    caption: str


@dataclass(frozen=True)
class Overlay:
    """An overlay of a picture, which a reader of a page can switch on.

    Attributes:
        name: A word in lower case, which a page uses as a CSS class.
        title: The name by which the reader chooses the overlay.
        outlines: Closed lines, each as the data of an SVG path in pixels of the picture.
        image: A PNG or JPEG file, stretched to `size`.
        size: Width and height of the image, in pixels of the picture.
    """

    name: str
    title: str
    outlines: Sequence[str] = ()
    image: bytes = b""
    size: tuple[float, float] = (0, 0)


@dataclass(frozen=True)
class Picture:
    """A picture of a gallery.

    Attributes:
        source: Pixels (H, W, 3) uint8 RGB, the bytes of a PNG or JPEG file, or the path of a file beside the page.
        alt: The alternative text.
        size: Width and height in pixels; needed where there are overlays.
        overlays: The overlays. A click on a picture with overlays enlarges it.
    """

    source: "np.ndarray | bytes | str"
    alt: str
    size: tuple[int, int] = (0, 0)
    overlays: Sequence[Overlay] = ()


@dataclass(frozen=True)
class Label:
    """A word with a tone.

    Attributes:
        text: The word.
        tone: Its tone.
    """

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Card:
    """One entry of a gallery.

    Attributes:
        pictures: The pictures, side by side.
        title: The text below them.
        details: Further texts, a line each.
        label: The label before the details, such as a decision.
    """

    pictures: Sequence[Picture]
    title: str
    details: Sequence[str] = ()
    label: Label | None = None


@dataclass(frozen=True)
class Gallery:
    """Pictures with captions.

    Attributes:
        cards: The entries.
        title: The title of the gallery where it is a PNG file.
        width: The smallest width of a card on a page, in rem.
        path: The PNG file that the gallery is logged as, below the folder of the report. It takes pictures of pixels.
            Empty to log none.
    """

    cards: Sequence[Card]
    title: str = ""
    width: float = 11
    path: str = ""

    @property
    def overlays(self) -> Sequence[Overlay]:
        """The overlays that a reader chooses from: those of the first picture that has some."""
        pictures = (picture for card in self.cards for picture in card.pictures)
        return next((picture.overlays for picture in pictures if picture.overlays), ())


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: The heading; empty for none.
        sentences: Paragraphs or lines.
        tables: The tables.
        figures: The figures.
        galleries: The galleries.
        name: The anchor of the section on a page.
        code: Something to type, shown as it is.
        folded: Whether a page shows the section only on a click.
        tone: The tone of the sentences.
        media: Where the section is shown. What it holds is logged in any case.
        files: Tables and texts that are logged and not shown, by their paths below the folder of the report.
    """

    title: str = ""
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    galleries: Sequence[Gallery] = ()
    name: str = ""
    code: str = ""
    folded: bool = False
    tone: Tone = ""
    media: Sequence[Medium] = EVERYWHERE
    files: "Mapping[str, pd.DataFrame | str]" = field(default_factory=dict)

    def below(self, folder: str) -> "Section":
        """Returns the section with the paths of all that is logged of it below a folder."""

        def moved(path: str) -> str:
            return f"{folder}/{path}" if path else ""

        return replace(
            self,
            tables=[replace(table, path=moved(table.path)) for table in self.tables],
            figures=[replace(figure, path=moved(figure.path)) for figure in self.figures],
            galleries=[replace(gallery, path=moved(gallery.path)) for gallery in self.galleries],
            files={moved(path): content for path, content in self.files.items()},
        )


@dataclass(frozen=True)
class Report:
    """The report of a command or a run.

    Attributes:
        title: What the report is about.
        sections: The parts, in the order in which they are read.
        answer: The sentences that a reader looks for, the most important one first. They stand first in a description
            and on a page, and last on a terminal, where the eye is.
        labels: Words below the answer or the title of a page.
        notes: What a reader must know to trust the answer.
        source: How the report was made, in a line.
    """

    title: str
    sections: Sequence[Section] = ()
    answer: Sequence[str] = ()
    labels: Sequence[Label] = ()
    notes: Sequence[str] = ()
    source: str = ""

    def shown(self, medium: Medium) -> list[Section]:
        """Returns the sections that a medium shows."""
        return [section for section in self.sections if medium in section.media]
