"""Takes requests to purge jobs; see `purging` for what happens then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from job_protocol.job import Job
from job_protocol.states import Role
from lambdas.errors import Conflict, ControlPlaneError
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_table import JobTable

_TRIES = 8
ASKED = "it is being purged: its objects, then its directory on the site are removed"


class NoSuchJob(ControlPlaneError):
    """There is no job of this id that could be purged."""


@dataclass(frozen=True, slots=True)
class PurgeRequests:
    """Marks jobs to be purged.

    Attributes:
        table: the job table.
        queue: the purger's queue.
        clock: the time in seconds since the epoch.
    """

    table: JobTable
    queue: JobQueue
    clock: Callable[[], float]

    def ask(self, site: str, job_id: str) -> Job:
        """Mark a job to be purged as soon as it has ended; asking again changes nothing.

        A template is handed to the purger at once: nothing of it is published.

        Raises:
            NoSuchJob: there is none.
            Conflict: the job kept changing; ask again.
        """
        for _ in range(_TRIES):
            job = self.table.job(site, job_id)
            if job is None or job.role not in (Role.LEAF, Role.TEMPLATE):
                raise NoSuchJob(
                    f"site {site} has no job {job_id!r} to purge; objects without a job are "
                    "removed with `aws s3 rm`"
                )
            if job.purge is not None:
                if job.role is Role.TEMPLATE:
                    self.queue.send(site, job_id)
                return job
            marked = replace(
                job,
                rev=job.rev + 1,
                unpublished=job.role is Role.LEAF,
                purge=int(self.clock()),
                ttl=None,
                note=ASKED,
            )
            try:
                self.table.replace_job(job, marked)
            except Conflict:
                continue
            if job.role is Role.TEMPLATE:
                self.queue.send(site, job_id)
            return marked
        raise Conflict(f"job {job_id!r} kept changing; ask again")
