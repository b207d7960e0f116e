"""What the status objects of a job say, and the event that goes with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.audit_chain import document_of
from job_protocol.elements import Elements, ElementsError, ElementState, ranges
from job_protocol.items import to_attributes
from job_protocol.job import Job
from job_protocol.object_keys import result_report_key
from job_protocol.states import ClientStatus, JobStatus, Outcome

FORMAT = 1

LISTED_ELEMENTS = 100
"""How many elements that did not complete the document names."""

_MOST_RANGES = 20_000
"""Characters of indexes that the document holds: 3,000 elements at least, far apart as they are."""

_COUNTED = {
    "running": ElementState.RUNNING,
    "complete": ElementState.COMPLETE,
    "failed": ElementState.FAILED,
    "stopped": ElementState.STOPPED,
    "lost": ElementState.LOST,
}


def iso(seconds: int | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC; None for a time that no calendar holds.

    Some of them come from a site's clock, which may be wrong by any amount.
    """
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return None


def _without_none(pairs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in pairs.items() if value is not None}


def details(
    job: Job, allocation: Allocation | None, *, now: int, site_last_seen: int | None
) -> dict[str, Any]:
    """The content of `aws-job-stat.json`.

    Args:
        job: the job as it stands.
        allocation: its current allocation, if it has one.
        now: seconds since the epoch.
        site_last_seen: the newest heartbeat of the site, in seconds since the epoch.
    """
    return _without_none(
        {
            "format": FORMAT,
            "job": job.id,
            "site": job.site,
            "word": job.word.value,
            "status": job.status.value,
            "outcome": job.outcome.value if job.outcome else None,
            "message": job.message,
            "note": job.note,
            "waiting_on": [to_attributes(one) for one in job.waiting_on if job.active] or None,
            "reasons": [to_attributes(problem) for problem in job.reasons] or None,
            "run": job.run or None,
            "submitter": job.submitter,
            "revision": job.rev,
            "upload": _without_none({"version": job.upload, "time": iso(job.submitted)}) or None,
            "allocation": _allocation_details(allocation) if allocation else None,
            "audit": document_of(allocation) if allocation else None,
            "finished": iso(job.finished),
            "site_last_seen": iso(site_last_seen),
            "updated": iso(now),
        }
    )


def _allocation_details(allocation: Allocation) -> dict[str, Any]:
    results = allocation.results
    return _without_none(
        {
            "id": allocation.id,
            "attempt": allocation.attempt + 1,
            "client_status": allocation.client_status.value,
            "desired": allocation.desired.value,
            "not_before": iso(allocation.not_before),
            "scheduler": allocation.scheduler,
            "scheduler_id": allocation.scheduler_id,
            "exit_code": allocation.exit_code,
            "array": array_details(allocation),
            "reason": allocation.reason,
            "created": iso(allocation.created),
            "claimed": iso(allocation.claimed_at),
            "submitted": iso(allocation.submitted_at),
            "expected_start": iso(expected_start(allocation)),
            "started": iso(allocation.started_at),
            "ended": iso(allocation.ended_at),
            "results": None
            if results is None
            else _without_none(
                {
                    "files": results.files,
                    "bytes": results.size,
                    "left_out": results.left_out,
                    "left_out_first": [to_attributes(entry) for entry in results.listed] or None,
                    "left_out_report": result_report_key(allocation.id)
                    if results.left_out > len(results.listed)
                    else None,
                }
            ),
        }
    )


def expected_start(allocation: Allocation) -> int | None:
    """When the scheduler expects to start what still waits, in seconds since the epoch."""
    waits = allocation.client_status is ClientStatus.QUEUED
    return allocation.expected_start if waits else None


def array_details(allocation: Allocation) -> dict[str, Any] | None:
    """How many elements are in each state, and the first ones that did not complete."""
    try:
        elements = allocation.known_elements
    except ElementsError as error:
        return {"count": allocation.settings.array, "problem": str(error)}
    if elements is None:
        return None
    waiting = "not_run" if allocation.client_status.terminal else "queued"
    names = {waiting: ElementState.QUEUED, **_COUNTED}
    counts = {name: len(elements.of(state)) for name, state in names.items()}
    counts["complete"] += len(elements.of(ElementState.KEPT))
    bad = elements.of(ElementState.FAILED, ElementState.STOPPED, ElementState.LOST)
    return _without_none(
        {
            "count": len(elements.all),
            **{name: number for name, number in counts.items() if number},
            "not_complete": _not_complete(allocation, elements),
            "complete_before": len(elements.of(ElementState.KEPT)) or None,
            "failed_first": [
                _without_none(
                    {
                        "index": index,
                        "state": elements.all[index].state.name.lower(),
                        "exit_code": elements.all[index].exit_code,
                    }
                )
                for index in bad[:LISTED_ELEMENTS]
            ]
            or None,
        }
    )


def _not_complete(allocation: Allocation, elements: Elements) -> str | None:
    """The indexes of all elements that an array has ended without, as in `3,7,10-12`."""
    if not allocation.client_status.terminal:
        return None
    done = {*elements.of(ElementState.COMPLETE), *elements.of(ElementState.KEPT)}
    text = ranges(index for index in range(len(elements.all)) if index not in done)
    return text if text and len(text) <= _MOST_RANGES else None


def render_details(document: dict[str, Any]) -> bytes:
    """The bytes of `aws-job-stat.json`: readable, and readable as Japanese."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def event_detail(job: Job, document: dict[str, Any]) -> dict[str, Any]:
    """The detail of a `Job State Change` event; `id` tells repetitions of the same one."""
    return {"id": f"{job.id}#{job.rev}", "bucket": job.bucket, **document}


def failure_name(job: Job) -> str:
    """The name by which a workflow catches the end of a job that is not complete.

    Args:
        job: the dead job; `Jobferry.JobFailed`, `Jobferry.JobStopped` and so on.
    """
    return f"Jobferry.Job{(job.outcome or Outcome.LOST).value.capitalize()}"


def wants_event(job: Job, *, every_transition: bool) -> bool:
    """Whether this state is announced: the end of a job, or every change if so deployed."""
    return job.announce and (every_transition or job.status is JobStatus.DEAD)
