"""Retrying a job, and what is shown of an array."""

from __future__ import annotations

import pytest

from job_protocol.states import Word
from jobferry.errors import JobActive
from jobferry.job import Job
from jobferry.rendering import describe
from jobferry.report import Report, report_of
from tests.unit.jobferry.memory_access import MemoryAccess

ARRAY = {
    "count": 1000,
    "complete": 997,
    "failed": 3,
    "failed_first": [
        {"index": 17, "state": "failed", "exit_code": 1},
        {"index": 203, "state": "failed", "exit_code": 137},
        {"index": 998, "state": "lost"},
    ],
}


def job_with(word: Word) -> tuple[Job, MemoryAccess]:
    access = MemoryAccess()
    access.states = [Report("job", word)]
    return Job(access, "job"), access


@pytest.mark.parametrize("word", [Word.JOB_FAILED, Word.JOB_STOPPED, Word.JOB_LOST])
def test_a_job_that_did_not_complete_is_asked_to_run_again(word: Word) -> None:
    job, access = job_with(word)
    assert job.retry().word is word
    assert access.retried == ["job"]


def test_a_job_that_is_complete_is_left_alone() -> None:
    job, access = job_with(Word.JOB_COMPLETE)
    job.retry()
    assert access.retried == []


def test_an_active_job_is_not_retried() -> None:
    job, access = job_with(Word.JOB_RUNNING)
    with pytest.raises(JobActive, match="has not ended"):
        job.retry()
    assert access.retried == []


def test_until_a_retry_is_accepted_the_details_of_the_earlier_run_are_not_told() -> None:
    report = report_of("job", b"JOB_RETRY\n", b'{"word": "JOB_FAILED", "outcome": "failed"}')
    assert (report.dead, report.active, report.details) == (False, False, {})


def test_an_array_is_shown_by_counts_and_by_what_did_not_complete() -> None:
    report = Report("job", Word.JOB_FAILED, {"allocation": {"array": ARRAY}})
    text = describe(report, "s3://b/job/")
    assert "Elements     = 1000: 997 complete, 3 failed" in text
    assert "Not Complete = 17 (1), 203 (137), 998 (lost)" in text


def test_the_output_of_an_element_is_its_own() -> None:
    files = {"aws-job-stdout.17.txt": b"seventeen", "aws-job-stdout.txt": b"all"}
    access = MemoryAccess({name: (text, 1, None) for name, text in files.items()})
    assert Job(access, "job").stdout(17) == "seventeen"
    assert Job(access, "job").stdout() == "all"
