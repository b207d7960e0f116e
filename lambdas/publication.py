"""Brings a job's status objects, events and next allocation up to date with the job table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from job_protocol.allocation import Allocation
from job_protocol.items import SCHEMA_VERSION
from job_protocol.job import Job
from job_protocol.states import JobStatus, Outcome
from lambdas.errors import Conflict, JobBusy
from lambdas.ports import counters, replacements
from lambdas.ports.event_bus import EventBus
from lambdas.ports.job_table import JobTable
from lambdas.rules.derivation import derive, next_run
from lambdas.rules.status_document import (
    details,
    event_detail,
    failure_name,
    render_details,
    wants_event,
)

LEASE_SECONDS = 90
"""Longer than the Lambda's time limit, so that who holds an expired lease no longer runs."""

_TRIES = 20
_DAY = 24 * 3600


class StatusWriter(Protocol):
    """Writes the status objects of a job into its site's bucket."""

    def put_status(self, job_id: str, word: bytes, details: bytes) -> None:
        """Write both objects."""


class Waiters(Protocol):
    """Tells the workflows that wait for jobs how these ended."""

    def succeed(self, task_token: str, output: dict[str, Any]) -> None:
        """The job is complete."""

    def fail(self, task_token: str, error: str, cause: str) -> None:
        """The job ended otherwise."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The publisher's work on one job, safe to repeat and to run twice at once.

    Attributes:
        table: the job table.
        bucket_of: the status writer of a bucket.
        events: the event bus.
        workflows: the workflows that wait for jobs.
        every_transition: whether every change of state is announced, or only the end.
        clock: the time in seconds since the epoch.
        new_lease: makes an id for this publisher's lease.
        purge: hands a dead job that is to be purged on, by site and id.
        tell_dependents: lets the jobs that wait for a dead one start or end.
    """

    table: JobTable
    bucket_of: Callable[[str], StatusWriter]
    events: EventBus
    workflows: Waiters
    every_transition: bool
    clock: Callable[[], int]
    new_lease: Callable[[], str]
    purge: Callable[[str, str], None]
    tell_dependents: Callable[[Job], None]

    def publish(self, site: str, job_id: str) -> None:
        """Write what the table says of a job, until it has not changed while it was written.

        Raises:
            JobBusy: another publisher holds the job; come back when its lease has run out.
            Conflict: the job kept changing.
        """
        job = self._published(site, job_id)
        if job is not None and job.purge is not None and not job.active:
            self.purge(site, job_id)

    def _published(self, site: str, job_id: str) -> Job | None:
        """The job as it stands when its objects show it; None if it is none of ours."""
        lease = self.new_lease()
        for _ in range(_TRIES):
            job = self.table.job(site, job_id)
            if job is None or job.v > SCHEMA_VERSION:
                return None
            if not job.active and not job.unpublished:
                return job  # as after most windows of passing states: its end was told meanwhile
            allocation = self._allocation(job)
            derived = derive(job, allocation, self.clock())
            if not derived.job.unpublished:
                return job
            try:
                held = self._acquire(job, derived.job, derived.successor, lease)
                self._write_or_let_go(held, derived.successor or allocation)
                self._finish(held)
            except Conflict:
                continue
            return held
        raise Conflict(f"job {job_id!r} of site {site} kept changing")

    def _allocation(self, job: Job) -> Allocation | None:
        if job.current is None or job.outcome is Outcome.REJECTED:
            return None
        return self.table.allocation(job.site, job.current)

    def _acquire(self, read: Job, new: Job, successor: Allocation | None, lease: str) -> Job:
        """Write what was derived, and take the lease in the same write.

        Where another publisher holds it, only what was derived is written: the revision tells
        the holder to start again.
        """
        now = self.clock()
        foreign = read.lease not in (None, lease) and (read.lease_until or 0) > now
        held = new if foreign else replace(new, lease=lease, lease_until=now + LEASE_SECONDS)
        if successor is not None:
            self.table.create_allocation(read, held, successor)
        elif read.counted and not held.active and held.replacement is None:
            held = replace(held, counted=())
            counters.end_run(self.table, read, held)
        elif held != read:
            self.table.replace_job(read, held)
        if foreign:
            seconds = (read.lease_until or now) - now
            raise JobBusy(f"job {read.id!r} is being published", seconds=seconds)
        return held

    def _write_or_let_go(self, held: Job, allocation: Allocation | None) -> None:
        try:
            self._write(held, allocation)
            if held.dependents and held.status is JobStatus.DEAD:
                self.tell_dependents(held)
        except Exception:
            # The next attempt need not wait for the lease to run out; if the job has changed
            # meanwhile, it must. The lease ends instead of going: a job without one would come
            # back through the stream at once, again and again while the bucket is out of reach.
            with suppress(Conflict):
                self.table.replace_job(held, replace(held, lease_until=self.clock()))
            raise

    def _finish(self, held: Job) -> None:
        """Say that everybody was told, and let the run begin that is to follow, if one is."""
        told = _told(held)
        following = next_run(told, self.clock())
        if following is None:
            self.table.replace_job(held, told)
        else:
            replacements.begin(self.table, held, following)

    def _write(self, job: Job, allocation: Allocation | None) -> None:
        document = details(
            job,
            allocation,
            now=self.clock(),
            site_last_seen=self.table.site_last_seen(job.site),
        )
        self.bucket_of(job.bucket).put_status(job.id, job.word.body, render_details(document))
        if wants_event(job, every_transition=self.every_transition):
            self.events.put("Job State Change", event_detail(job, document))
        if job.awaited and job.status is JobStatus.DEAD:
            self._tell_workflow(job, document)

    def _tell_workflow(self, job: Job, document: dict[str, Any]) -> None:
        """Answer the task token of this run; a workflow that has gone is a normal result."""
        token = self.table.task_token(job.site, job.id, job.run)
        if token is None:
            return
        if job.outcome is Outcome.COMPLETE:
            self.workflows.succeed(token, document)
        else:
            self.workflows.fail(token, failure_name(job), job.message or job.word.value)
        # A job that is purged has no time of its own to go.
        self.table.forget_task_token(job, ttl=job.ttl or self.clock() + _DAY)


def _told(held: Job) -> Job:
    """The job once its objects, its event and all that wait for it say how it stands."""
    return replace(
        held,
        unpublished=False,
        announce=False,
        lease=None,
        lease_until=None,
        dependents=held.dependents and held.active,
    )
