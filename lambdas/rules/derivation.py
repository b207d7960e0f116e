"""What follows for a job from its current allocation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.audit_chain import CONTROL_PLANE
from job_protocol.elements import ElementsError, ElementState
from job_protocol.job import Job
from job_protocol.states import ClientStatus, Desired, JobStatus, job_status_of, outcome_of
from lambdas.rules.again import again
from lambdas.rules.dependencies import waiting_sentence
from lambdas.rules.revision import touched

_DAY = 24 * 3600
_RUNS = ElementState.RUNNING


@dataclass(frozen=True, slots=True)
class Derived:
    """What a publisher writes.

    Attributes:
        job: the job as it follows from the allocation (the same object if nothing changes).
        successor: the allocation that is due because the current one failed, if any.
    """

    job: Job
    successor: Allocation | None = None


def derive(job: Job, allocation: Allocation | None, now: int) -> Derived:
    """The job that follows from its current allocation.

    Args:
        job: the job as it was read.
        allocation: its current allocation, if it has one.
        now: seconds since the epoch.
    """
    if not job.active or allocation is None or allocation.id != job.current:
        return Derived(job)
    successor = next_attempt(allocation, now)
    if successor is not None:
        follows = replace(
            job,
            current=successor.id,
            client_status=successor.client_status,
            status=JobStatus.PENDING,
            message=_retry_message(allocation, successor, now),
        )
    else:
        status = job_status_of(allocation.client_status)
        dead = status is JobStatus.DEAD
        follows = replace(
            job,
            client_status=allocation.client_status,
            status=status,
            outcome=outcome_of(allocation.client_status),
            message=message_of(allocation)
            or waiting_sentence(job)
            or _kept_message(job, allocation),
            finished=(allocation.ended_at or now) if dead else None,
            ttl=now + allocation.keep_days * _DAY if dead and job.purge is None else None,
            # The results of a run that was to be purged while it ran go as well.
            purge=now if dead and job.purge is not None else job.purge,
        )
    if follows == job:
        return Derived(job)
    return Derived(replace(follows, rev=job.rev + 1, unpublished=True, announce=True), successor)


def next_run(job: Job, now: int) -> Job | None:
    """The job with the run that was to follow, once the current one has ended; None if none was.

    Args:
        job: the job; its end has been told.
        now: seconds since the epoch.
    """
    if job.active or job.replacement is None:
        return None
    follows = job.replacement
    new = Job(
        site=job.site,
        id=job.id,
        bucket=job.bucket,
        rev=job.rev,
        announce=True,
        run=job.run + 1,
        upload=follows.upload,
        sequencer=job.sequencer,
        stop_sequencer=job.stop_sequencer,
        current=follows.allocation,
        client_status=ClientStatus.PENDING,
        created=job.created,
        submitted=follows.time,
        priority=follows.priority,
        submitter=follows.submitter,
        counted=job.counted,
        registration=job.registration,
        earlier=job.earlier,
    )
    return touched(new, now)


def next_attempt(allocation: Allocation, now: int) -> Allocation | None:
    """The allocation that follows one that failed or was lost, if the user asked for retries.

    None follows what the site's policy refused: the same inputs would be refused again.

    Args:
        allocation: the current allocation.
        now: seconds since the epoch.
    """
    retries = allocation.settings.retries
    if (
        allocation.client_status not in (ClientStatus.FAILED, ClientStatus.LOST)
        or allocation.desired is Desired.STOP
        or allocation.refused
        or retries is None
        or allocation.attempt >= retries.attempts
    ):
        return None
    return again(
        allocation,
        id_=identifiers.next_allocation(allocation.id),
        run=allocation.run,
        attempt=allocation.attempt + 1,
        now=now,
        principal=CONTROL_PLANE,
        not_before=now + retries.delay,
    )


def message_of(allocation: Allocation) -> str | None:
    """One sentence about the state, with the scheduler's own words."""
    words = f" ({allocation.reason})" if allocation.reason else ""
    where = f"{allocation.scheduler} job {allocation.scheduler_id}"
    match allocation.client_status:
        case ClientStatus.PENDING | ClientStatus.STARTING:
            waiting = "waits for the site's puller"
            return f"{waiting}{words}" if words else None
        case ClientStatus.QUEUED:
            return f"{where} waits{words}"
        case ClientStatus.RUNNING:
            return f"{where} runs{words}{_progress(allocation)}"
        case ClientStatus.PUBLISHING:
            return f"{where} has ended; {allocation.reason or 'its results are being pushed'}"
        case ClientStatus.COMPLETE:
            return None
        case ClientStatus.STOPPED:
            return f"stopped{words}"
        case ClientStatus.LOST:
            return f"lost{words}"
        case ClientStatus.FAILED if allocation.exit_code is None:
            return f"failed{words}"
        case ClientStatus.FAILED:
            return f"failed with exit code {allocation.exit_code}{words}"


def _progress(allocation: Allocation) -> str:
    """How far an array is: it is a part of the message, so that each step of it is published."""
    try:
        elements = allocation.known_elements
    except ElementsError:
        return ""
    if elements is None:
        return ""
    ended, count = len(elements.all) - len(elements.open), len(elements.all)
    return f"; of {count} elements {ended} have ended, {len(elements.of(_RUNS))} run"


def _kept_message(job: Job, allocation: Allocation) -> str | None:
    """Why there is a further attempt, until that one has something to say."""
    waits = allocation.client_status in (ClientStatus.PENDING, ClientStatus.STARTING)
    return job.message if waits and allocation.attempt else None


def _retry_message(ended: Allocation, successor: Allocation, now: int) -> str:
    wait = (successor.not_before or now) - now
    return (
        f"attempt {ended.attempt + 1} {message_of(ended)}; "
        f"attempt {successor.attempt + 1} may start in {wait} s"
    )
