"""Purges jobs: their objects in the bucket, their directories on the site, then themselves.

Each step is found again from what the table says, so that whoever dies on the way is gone on with:

1. `purge_requests` marks the job. One that still runs is purged when it has ended.
2. The publisher, which sees every change of a job, hands a marked job that is dead to `advance`.
3. `advance` deletes the objects, then asks the site by its queue, and waits.
4. The puller removes the directories and says so; `advance` forgets the job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from job_protocol import identifiers, object_keys
from job_protocol.job import Job
from job_protocol.states import Role
from lambdas.ports.job_items import as_folder
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_table import JobTable

_WHILE_PUBLISHED = 10
"""Seconds to wait for a publisher that writes the job's status objects."""


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
        children_of: the children of a template, by its site and id.
    """

    table: JobTable
    remover_of: Callable[[str], ObjectRemover]
    queue: JobQueue
    clock: Callable[[], float]
    children_of: Callable[[str, str], list[Job]]

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
        if job is None or job.purge is None or job.active or job.launches:
            return
        if job.role is Role.TEMPLATE:
            self._forget_template(job)
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

    def _forget_template(self, job: Job) -> None:
        """Delete a template's versions, then itself; its children, and their place, stay.

        Its scripts stay as well while a child may still run one.
        """
        children = self.children_of(job.site, job.id)
        names = (*((job.registration.name,) if job.registration else ()), *job.earlier)
        registered = identifiers.registered(job.site, job.id)
        keys = [object_keys.specification_key(registered, name) for name in names]
        if not any(child.active for child in children):
            keys += [
                object_keys.template_input_key(registered, name, path)
                for name in names
                for path in (object_keys.SCRIPT, object_keys.SIGNED, object_keys.SIGNATURE)
            ]
        self.remover_of(job.bucket).delete_own(tuple(keys))
        if children:
            folder = as_folder(job.site, job.id, job.bucket)
            self.table.replace_job(job, replace(folder, rev=job.rev + 1))
        else:
            self.table.forget(job)

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
