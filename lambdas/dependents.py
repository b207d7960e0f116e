"""Dependencies at work: how a new run stands towards others, and who may start when one ends.

No wake-up is lost. A run begins to wait by a transaction that holds only while what it waits for
has not ended, and that leaves an edge and says on that job that somebody waits. The publisher that
has written the end then reads the edges, to which none can be added any more, and tells everybody;
it marks the end as published only after that. Whoever dies on the way is gone on with, and telling
twice changes nothing: the job that waits says itself what it still waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from job_protocol.audit_chain import CONTROL_PLANE
from job_protocol.dependency import Dependency
from job_protocol.items import SCHEMA_VERSION
from job_protocol.job import Job
from lambdas.errors import Conflict, ControlPlaneError, JobBusy
from lambdas.ports.dependency_table import DependencyTable
from lambdas.ports.job_items import Asked
from lambdas.ports.job_table import JobTable
from lambdas.rules import dependencies as rules
from lambdas.rules.revision import touched
from lambdas.turns import Turns

MOST_TOLD = 200
"""Jobs that are told in one call: a publisher has a minute."""

_TRIES = 8
_DAY = 24 * 3600


def look_up(table: JobTable, site: str, wanted: Iterable[Dependency]) -> rules.Jobs:
    """The jobs that dependencies name, as they are now.

    Args:
        table: the job table.
        site: the site of the job that depends.
        wanted: its dependencies.

    Raises:
        ControlPlaneError: a newer deployment wrote one of them.
    """
    ids: dict[str, list[str]] = {}
    for dependency in wanted:
        ids.setdefault(dependency.site or site, []).append(dependency.job)
    found = {
        (at, job.id): job
        for at, named in ids.items()
        for job in table.jobs(at, list(dict.fromkeys(named))).values()
    }
    for job in found.values():
        _must_be_known(job)
    return found


@dataclass(frozen=True, slots=True)
class Dependents:
    """The jobs that wait for others.

    Attributes:
        table: the job table.
        edges: its dependencies.
        clock: the time in seconds since the epoch.
        purge: hands a template on that waits for the end of its children, by site and id.
    """

    table: JobTable
    edges: DependencyTable
    clock: Callable[[], int]
    purge: Callable[[str, str], None]

    def tell(self, ended: Job) -> None:
        """Tell everybody who waits for the end of a job's run, and let its siblings start.

        Args:
            ended: the job; the table says that it is dead.

        Raises:
            JobBusy: there are more; come back.
            Conflict: a job kept changing; come back.
        """
        Turns(self.table, self.clock).ended(ended)
        template = self.table.job(ended.site, ended.parent) if ended.parent is not None else None
        if template is not None and template.purge is not None:
            self.purge(template.site, template.id)
        for number, (site, job_id) in enumerate(self.edges.waiting_for(ended)):
            if number == MOST_TOLD:
                raise JobBusy(f"more than {MOST_TOLD} jobs wait for job {ended.id!r}", seconds=0)
            self._tell(ended, site, job_id)
            self.edges.told(ended, site, job_id, ttl=ended.ttl or self.clock() + _DAY)

    def _tell(self, ended: Job, site: str, job_id: str) -> None:
        for _ in range(_TRIES):
            waiting = self.table.job(site, job_id)
            if waiting is None:
                return
            _must_be_known(waiting)
            try:
                if self._release(ended, waiting):
                    return
            except Conflict:
                continue
        raise Conflict(f"job {job_id!r} of site {site} kept changing")

    def _release(self, ended: Job, waiting: Job) -> bool:
        """Write what follows for a job; whether nothing is left to do.

        Raises:
            Conflict: the job changed meanwhile.
        """
        follows = rules.after_end(waiting, ended)
        if follows is None:
            return True
        now = self.clock()
        job, never = touched(follows[0], now), follows[1]
        allocation = self.table.allocation(job.site, job.current) if job.current else None
        if allocation is None or allocation.client_status.terminal:
            return True
        if never is not None:
            ttl = now + allocation.keep_days * _DAY
            asked = Asked(by=CONTROL_PLANE, at=now)
            self.table.stop_unclaimed(waiting, job, asked, ttl=ttl, reason=never)
        elif job.waiting_on:
            self.table.replace_job(waiting, job)
        else:
            self.edges.enter_queue(waiting, job, allocation)
        return True


def _must_be_known(job: Job) -> None:
    if job.v > SCHEMA_VERSION:
        raise ControlPlaneError(
            f"the item of job {job.id!r} of site {job.site} has version {job.v}; this deployment "
            f"knows up to {SCHEMA_VERSION}: deploy the newer one again"
        )
