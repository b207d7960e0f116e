"""The content of `aws-job-stat.json` and of the event."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation, LeftOut, ResultSummary
from job_protocol.audit_chain import document_of
from job_protocol.elements import Element, Elements, ElementState
from job_protocol.job import Job
from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import Problem
from job_protocol.states import ClientStatus, JobStatus, Outcome
from lambdas.rules.status_document import details, event_detail, iso, render_details, wants_event
from tests.unit.job_protocol.strategies import allocations, jobs
from tests.unit.lambdas.examples import (
    NOW,
    a_dead_job,
    a_job,
    a_rejected_upload,
    an_allocation,
)


def test_a_finished_job_is_told_with_all_that_a_user_asks() -> None:
    ended = an_allocation(
        client_status=ClientStatus.FAILED,
        attempt=1,
        scheduler="slurm",
        scheduler_id="4711",
        exit_code=3,
        reason="NonZeroExitCode",
        claimed_at=NOW - 90,
        submitted_at=NOW - 80,
        started_at=NOW - 70,
        ended_at=NOW - 50,
        results=ResultSummary(
            files=2, size=10, left_out=1, listed=(LeftOut("core", "is a socket"),)
        ),
    )
    job = a_dead_job(Outcome.FAILED, rev=7, message="failed with exit code 3")
    assert details(job, ended, now=NOW, site_last_seen=NOW - 5) == {
        "format": 1,
        "job": "job0001",
        "site": "dc1",
        "word": "JOB_FAILED",
        "status": "dead",
        "outcome": "failed",
        "message": "failed with exit code 3",
        "run": 1,
        "revision": 7,
        "upload": {"version": "v1", "time": "2023-11-14T22:11:40Z"},
        "allocation": {
            "id": "a1",
            "attempt": 2,
            "client_status": "failed",
            "desired": "run",
            "scheduler": "slurm",
            "scheduler_id": "4711",
            "exit_code": 3,
            "reason": "NonZeroExitCode",
            "created": "2023-11-14T22:11:40Z",
            "claimed": "2023-11-14T22:11:50Z",
            "submitted": "2023-11-14T22:12:00Z",
            "started": "2023-11-14T22:12:10Z",
            "ended": "2023-11-14T22:12:30Z",
            "results": {
                "files": 2,
                "bytes": 10,
                "left_out": 1,
                "left_out_first": [{"path": "core", "reason": "is a socket"}],
            },
        },
        "audit": document_of(ended),
        "finished": "2023-11-14T22:12:30Z",
        "site_last_seen": "2023-11-14T22:13:15Z",
        "updated": "2023-11-14T22:13:20Z",
    }


def test_a_rejection_is_told_with_every_reason() -> None:
    reasons = (Problem("j/a", "one", "do this"), Problem("j/b", "two", "do that"))
    document = details(a_rejected_upload(reasons=reasons), None, now=NOW, site_last_seen=None)
    assert document["word"] == "FILE_REJECTED"
    assert document["reasons"] == [
        {"key": "j/a", "problem": "one", "remedy": "do this"},
        {"key": "j/b", "problem": "two", "remedy": "do that"},
    ]
    assert {"run", "allocation", "site_last_seen"}.isdisjoint(document)


def test_a_long_list_of_what_was_left_out_is_referred_to() -> None:
    summary = ResultSummary(left_out=2, listed=(LeftOut("a", "why"),))
    ended = an_allocation(client_status=ClientStatus.COMPLETE, results=summary)
    document = details(a_dead_job(), ended, now=NOW, site_last_seen=None)
    report = document["allocation"]["results"]["left_out_report"]
    assert report == "_jobferry/results/a1.json"


def test_exit_code_zero_is_told() -> None:
    ended = an_allocation(client_status=ClientStatus.COMPLETE, exit_code=0)
    document = details(a_dead_job(), ended, now=NOW, site_last_seen=None)
    assert document["allocation"]["exit_code"] == 0


def test_it_is_readable_and_readable_as_japanese() -> None:
    text = render_details(details(a_job(id="解析 1"), None, now=NOW, site_last_seen=None)).decode()
    assert '"job": "解析 1"' in text
    assert text.startswith("{\n  ")
    assert text.endswith("}\n")


@given(jobs, st.none() | allocations)
def test_any_state_of_a_live_or_dead_job_can_be_rendered(
    job: Job, allocation: Allocation | None
) -> None:
    if job.outcome is not None or job.client_status is None or not job.client_status.terminal:
        document = details(job, allocation, now=NOW, site_last_seen=None)
        assert json.loads(render_details(document)) == document
        assert document["revision"] == job.rev
        assert None not in document.values()


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, None), (0, "1970-01-01T00:00:00Z"), (10**12, None), (10**30, None)]
)
def test_times_are_in_utc(seconds: int | None, text: str | None) -> None:
    assert iso(seconds) == text


def test_an_event_says_which_revision_of_which_bucket_it_tells() -> None:
    job = a_dead_job(rev=5)
    document = details(job, None, now=NOW, site_last_seen=None)
    assert event_detail(job, document) == {"id": "job0001#5", "bucket": "bucket", **document}


@pytest.mark.parametrize("announce", [True, False])
@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("status", JobStatus)
def test_the_end_is_announced_and_the_rest_where_it_is_asked_for(
    announce: bool, every: bool, status: JobStatus
) -> None:
    wanted = wants_event(a_job(announce=announce, status=status), every_transition=every)
    assert wanted == (announce and (every or status is JobStatus.DEAD))


def test_an_array_is_told_by_counts_and_by_what_did_not_complete() -> None:
    bad = {index: Element(ElementState.FAILED, index % 256) for index in range(200)}
    vector = Elements.queued(1000).changed(
        {
            **dict.fromkeys(range(1000), Element(ElementState.COMPLETE, 0)),
            **bad,
            998: Element(ElementState.KEPT, 0),
            999: Element(ElementState.LOST),
        }
    )
    ended = an_allocation(
        settings=JobSettings(count=1000),
        elements=vector.pack(),
        client_status=ClientStatus.FAILED,
    )
    array = details(a_job(), ended, now=NOW, site_last_seen=None)["allocation"]["array"]
    first = array.pop("failed_first")
    assert array == {
        "count": 1000,
        "complete": 799,
        "failed": 200,
        "lost": 1,
        "complete_before": 1,
        "not_complete": "0-199,999",
    }
    assert len(first) == 100
    assert first[3] == {"index": 3, "state": "failed", "exit_code": 3}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (ClientStatus.PENDING, {"queued": 3}),
        (ClientStatus.FAILED, {"not_run": 3, "not_complete": "0-2"}),
    ],
)
def test_elements_of_an_array_that_never_ran_do_not_wait(
    status: ClientStatus, told: dict[str, int]
) -> None:
    allocation = an_allocation(settings=JobSettings(count=3), client_status=status)
    document = details(a_job(), allocation, now=NOW, site_last_seen=None)
    assert document["allocation"]["array"] == {"count": 3, **told}


def test_elements_that_cannot_be_read_keep_nothing_else_from_being_told() -> None:
    allocation = an_allocation(settings=JobSettings(count=3), elements=b"?")
    document = details(a_job(), allocation, now=NOW, site_last_seen=None)
    assert "not a vector" in document["allocation"]["array"]["problem"]
