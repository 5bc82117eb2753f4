"""Failed jobs that raise their error without the line that Hydra prints above it."""

from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class FailedJob(JobReturn):
    """The return of a failed job, whose `return_value` raises the error of the job and prints nothing.

    `JobReturn` prints the overrides to stderr before it raises, above a traceback or a sentence that tells more.
    """

    @property
    def return_value(self) -> Any:
        raise self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


class FailureCallback(Callback):
    """A Hydra callback that makes the return of each failed job a `FailedJob`, in the process that runs the job."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Changes the class of the return, which Hydra gives to the sweeper whatever a callback does."""
        if job_return.status == JobStatus.FAILED:
            job_return.__class__ = FailedJob
