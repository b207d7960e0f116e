"""The events of a job in order, from the times that its items keep: they cost nothing to have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import JobStatus, Role
from lambdas.rules.derivation import message_of
from lambdas.rules.status_document import iso


class _Event(NamedTuple):
    time: int | None
    kind: str
    message: str
    run: int
    allocation: str | None = None


def events(job: Job, allocations: Iterable[Allocation]) -> list[dict[str, Any]]:
    """What happened to the job, oldest first.

    Times of a site come from the site's clock, so that they may disagree with the others.

    Args:
        job: the job.
        allocations: of its current run, and of runs before as far as they are to be told.
    """
    found = [_Event(job.submitted, "Submitted", _submitted(job), job.run)]
    for one in allocations:
        found += _of_attempt(one)
    if job.status is JobStatus.DEAD and job.outcome is not None:
        found.append(
            _Event(job.finished, "Finished", job.message or f"the job is {job.outcome}", job.run)
        )
    happened = [event for event in found if event.time is not None]
    return [
        {
            "Time": iso(event.time),
            "Type": event.kind,
            "Run": event.run,
            "AllocID": event.allocation,
            "Message": event.message,
        }
        for event in sorted(happened, key=lambda event: (event.run, event.time or 0))
    ]


def _submitted(job: Job) -> str:
    if job.registration is not None and job.role is Role.TEMPLATE:
        return f"version {job.registration.version} was registered by {job.submitter}"
    if job.submitter is None and job.parent is not None:
        return f"run {job.run} was launched by the periodic job {job.parent}"
    return f"run {job.run} was submitted by {job.submitter or 'a mark in the bucket'}"


def _of_attempt(one: Allocation) -> list[_Event]:
    attempt = f"attempt {one.attempt + 1}"
    found = [
        (one.created, "Created", f"{attempt} waits for site {one.site}"),
        (one.claimed_at, "Claimed", f"the puller of site {one.site} took {attempt}"),
        (one.submitted_at, "Scheduled", f"{one.scheduler} took it as job {one.scheduler_id}"),
        (one.started_at, "Started", f"{attempt} runs"),
    ]
    if one.client_status.terminal:
        said = message_of(one) or one.client_status.value
        found.append((one.ended_at, "Ended", f"{attempt}: {said}"))
    return [_Event(time, kind, message, one.run, one.id) for time, kind, message in found]
