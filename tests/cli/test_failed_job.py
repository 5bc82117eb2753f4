"""Tests of the returns of failed jobs."""

import pickle

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from crackexp.cli.failed_job import FailedJob, FailureCallback


def ended(status: JobStatus, value: object) -> JobReturn:
    job = JobReturn(overrides=["dropout=0.1"])
    job.return_value, job.status = value, status
    FailureCallback().on_job_end(OmegaConf.create(), job)
    return job


def test_a_failed_job_raises_its_error_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    job = pickle.loads(pickle.dumps(ended(JobStatus.FAILED, ValueError("a bug"))))  # as launchers pass it on
    assert isinstance(job, FailedJob)
    assert (job.status, job.overrides) == (JobStatus.FAILED, ["dropout=0.1"])
    with pytest.raises(ValueError, match="a bug"):
        _ = job.return_value
    assert capsys.readouterr() == ("", "")


def test_a_completed_job_keeps_its_value() -> None:
    assert ended(JobStatus.COMPLETED, 0.5).return_value == 0.5
