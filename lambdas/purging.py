"""Purges jobs: their objects in the bucket, their directories on the site, then themselves.

Each step is found again from what the table says, so that whoever dies on the way is gone on with:

1. `ask` marks the job. A job that still runs is purged when it has ended; whoever asks stops it.
2. The publisher, which sees every change of a job, hands a marked job that is dead to `advance`.
3. `advance` deletes the objects, then asks the site by its queue, and waits.
4. The puller removes the directories and says so; `advance` forgets the job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from job_protocol import object_keys
from job_protocol.job import Job
from job_protocol.states import Role
from lambdas.errors import Conflict, ControlPlaneError
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_table import JobTable

_TRIES = 8
_WHILE_PUBLISHED = 10
"""Seconds to wait for a publisher that writes the job's status objects."""

ASKED = "it is being purged: its objects, then its directory on the site are removed"


class NoSuchJob(ControlPlaneError):
    """There is no job of this id that could be purged."""


class ObjectRemover(Protocol):
    """Deletes objects of a site's bucket."""

    def delete_job(self, job_id: str, *, before: int, until: float) -> bool:
        """Delete what lies under a job's prefix; whether nothing is left to delete."""

    def delete_own(self, keys: tuple[str, ...]) -> None:
        """Delete objects of jobferry's own, all their versions."""


@dataclass(frozen=True, slots=True)
class Purging:
    """The purges of one deployment.

    Attributes:
        table: the job table.
        remover_of: deletes in a bucket, by the bucket's name.
        queue: the purger's queue.
        clock: the time in seconds since the epoch.
    """

    table: JobTable
    remover_of: Callable[[str], ObjectRemover]
    queue: JobQueue
    clock: Callable[[], float]

    def ask(self, site: str, job_id: str) -> Job:
        """Mark a job to be purged as soon as it has ended; asking again changes nothing.

        Raises:
            NoSuchJob: there is none.
            Conflict: the job kept changing; ask again.
        """
        for _ in range(_TRIES):
            job = self.table.job(site, job_id)
            if job is None or job.role is not Role.LEAF:
                raise NoSuchJob(
                    f"site {site} has no job {job_id!r} to purge; objects without a job are "
                    "removed with `aws s3 rm`"
                )
            if job.purge is not None:
                return job
            marked = replace(
                job,
                rev=job.rev + 1,
                unpublished=True,
                purge=int(self.clock()),
                ttl=None,
                note=ASKED,
            )
            try:
                self.table.replace_job(job, marked)
            except Conflict:
                continue
            return marked
        raise Conflict(f"job {job_id!r} kept changing; ask again")

    def advance(self, site: str, job_id: str, *, until: float) -> None:
        """Take the next step of a purge.

        Args:
            site: the site.
            job_id: the job.
            until: when to leave the rest to a further call, in seconds since the epoch.

        Raises:
            Conflict: the job changed meanwhile; its message will come again.
        """
        job = self.table.job(site, job_id)
        if job is None or job.purge is None or job.active:
            return
        allocation = self.table.allocation(site, job.current) if job.current else None
        if allocation is not None and allocation.purge_wanted and allocation.purged_at is None:
            return
        if job.unpublished or (job.lease_until or 0) > self.clock():
            self.queue.send(site, job_id, delay=_WHILE_PUBLISHED)
            return
        if not self._delete_objects(job, job.purge, until):
            self.queue.send(site, job_id)
        elif allocation is None or allocation.purged_at is not None:
            self.table.forget(job)
        else:
            self.table.ask_to_purge(job, now=int(self.clock()))

    def _delete_objects(self, job: Job, asked: int, until: float) -> bool:
        remover = self.remover_of(job.bucket)
        if not remover.delete_job(job.id, before=asked, until=until):
            return False
        if job.current is not None:
            remover.delete_own(
                (
                    object_keys.input_manifest_key(job.current),
                    object_keys.result_report_key(job.current),
                )
            )
        return True
