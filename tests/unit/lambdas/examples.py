"""A job, its allocation and a mark, to vary in tests."""

from __future__ import annotations

import hashlib
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome, Role, Word
from lambdas.rules.mark import Mark

NOW = 1_700_000_000


def a_job(**changes: Any) -> Job:
    """A job that waits for its site, published."""
    facts: dict[str, Any] = {
        "site": "dc1",
        "id": "job0001",
        "bucket": "bucket",
        "run": 1,
        "upload": "v1",
        "sequencer": "10",
        "current": "a1",
        "client_status": ClientStatus.PENDING,
        "created": NOW - 100,
        "submitted": NOW - 100,
    }
    return Job(**facts | changes)


def a_dead_job(outcome: Outcome = Outcome.COMPLETE, **changes: Any) -> Job:
    """A job that has ended."""
    facts: dict[str, Any] = {
        "status": JobStatus.DEAD,
        "outcome": outcome,
        "client_status": ClientStatus.COMPLETE,
        "finished": NOW - 50,
    }
    return a_job(**facts | changes)


def a_rejected_upload(**changes: Any) -> Job:
    """An upload that never became a job."""
    facts: dict[str, Any] = {
        "role": Role.REJECTED,
        "status": JobStatus.DEAD,
        "outcome": Outcome.REJECTED,
        "run": 0,
        "current": None,
        "client_status": None,
    }
    return a_job(**facts | changes)


def a_folder(**changes: Any) -> Job:
    """A folder above jobs."""
    return Job(**{"site": "dc1", "id": "job0001", "bucket": "bucket"} | changes, role=Role.FOLDER)


def an_allocation(**changes: Any) -> Allocation:
    """The current allocation of `a_job`."""
    facts: dict[str, Any] = {"site": "dc1", "job": "job0001", "id": "a1", "created": NOW - 100}
    return Allocation(**facts | changes)


def a_mark(word: Word | bytes = Word.FILE_UPLOAD, **changes: Any) -> Mark:
    """A mark of `a_job`, later than all that the job has seen."""
    body = word.body if isinstance(word, Word) else word
    facts: dict[str, Any] = {
        "bucket": "bucket",
        "key": "job0001/aws-job-stat.txt",
        "version": "v2",
        "etag": hashlib.md5(body, usedforsecurity=False).hexdigest(),
        "sequencer": "20",
        "time": NOW,
        "size": len(body),
    }
    return Mark(**facts | changes)
