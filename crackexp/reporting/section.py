"""The base class of sections that users add to a report."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from crackexp.reporting.report import Section

Result = TypeVar("Result")


class ReportSection(ABC, Generic[Result]):
    """Makes a section of a report of a result, such as an `EvaluationResult`.

    A section that the config group `report` names is made once the model is evaluated. It is printed, it stands in the
    description of the run, and its tables, figures and files are logged below the artifact folder ``report/NAME``.

    Example:

    >>> from crackexp.reporting import ReportSection, Section
    >>> class Length(ReportSection[list[int]]):
    ...     def section(self, result):
    ...         return Section("Length", [f"There are {len(result)} numbers."])
    >>> Length().section([3, 5]).sentences
    ['There are 2 numbers.']
    """

    @abstractmethod
    def section(self, result: Result) -> Section:
        """Returns the section.

        Args:
            result: The result that the report is about.
        """
