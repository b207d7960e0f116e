"""Purges jobs: their objects in the bucket, their directories on the site, then themselves.

Each step is found again from what the table says, so that whoever dies on the way is gone on with:

1. `purge_requests` marks the job. One that still runs is purged when it has ended.
2. The publisher, which sees every change of a job, hands a marked job that is dead to `advance`.
3. `advance` deletes the objects, then asks the site by its queue, and waits.
4. The puller removes the directories and says so; `advance` forgets the job.

A template has no directories. What it has goes when no child may run it any more, and its place in
the tree, a folder by then, with the last child, whether that is purged or expires.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from job_protocol import identifiers, object_keys
from job_protocol.job import DEFAULT_KEEP_DAYS, Job
from job_protocol.states import Role
from lambdas.errors import Conflict
from lambdas.ports.job_items import as_folder
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_table import JobTable

_CHILDREN_PAGES = 10
_DAY = 24 * 3600
_WHILE_PUBLISHED = 10
"""Seconds to wait for a publisher that writes the job's status objects."""


class ObjectRemover(Protocol):
    """Deletes objects of a site's bucket."""

    def delete_job(self, job_id: str, *, before: int, until: float) -> bool:
        """Delete what lies under a job's prefix; whether nothing is left to delete."""

    def delete_own(self, keys: tuple[str, ...]) -> None:
        """Delete objects of jobferry's own, all their versions."""


class Children(Protocol):
    """What the table says of templates."""

    def children(self, site: str, parent: str, *, pages: int) -> list[Job]:
        """The children of a template."""

    def any_below(self, site: str, folder: str) -> bool:
        """Whether any job or folder lies below an id."""


class Ends(Protocol):
    """Has the ends of children told."""

    def announce_end(self, child: Job) -> bool:
        """Have the publisher of a child's end look at its template; whether it has not ended."""


@dataclass(frozen=True, slots=True)
class Purging:
    """The purges of one deployment.

    Attributes:
        table: the job table.
        remover_of: deletes in a bucket, by the bucket's name.
        queue: the purger's queue.
        clock: the time in seconds since the epoch.
        templates: what the table says of templates.
        ends: has the ends of children told.
    """

    table: JobTable
    remover_of: Callable[[str], ObjectRemover]
    queue: JobQueue
    clock: Callable[[], float]
    templates: Children
    ends: Ends

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
            self._forget_template(job, until)
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
            if job.parent is not None:
                self._forget_place(site, job.parent, until)
        else:
            self.table.ask_to_purge(job, now=int(self.clock()))

    def _forget_template(self, job: Job, until: float) -> None:
        """Delete a template's versions and scripts, then itself; its dead children stay.

        While a child may still run one of them all of it waits; the publisher of that child's end
        hands the template on again.
        """
        children = self.templates.children(job.site, job.id, pages=_CHILDREN_PAGES)
        waits = False
        for child in children:
            if self.clock() > until:
                self.queue.send(job.site, job.id)
                return
            waits |= child.active and self.ends.announce_end(child)
        if waits:
            return
        registered = identifiers.registered(job.site, job.id)
        inputs = [
            object_keys.template_input_key(registered, name, path)
            for name in _versions(job)
            for path in (object_keys.SCRIPT, object_keys.SIGNED, object_keys.SIGNATURE)
        ]
        self.remover_of(job.bucket).delete_own((*_specifications(job), *inputs))
        if self.templates.any_below(job.site, job.id):
            kept = (child.ttl for child in children if child.ttl is not None)
            last = max(kept, default=int(self.clock()) + DEFAULT_KEEP_DAYS * _DAY)
            folder = as_folder(job.site, job.id, job.bucket)
            self.table.replace_job(job, replace(folder, rev=job.rev + 1, ttl=last))
        else:
            self.table.forget(job)

    def _forget_place(self, site: str, parent: str, until: float) -> None:
        """Delete what is left of a purged template when its last child is gone."""
        place = self.table.job(site, parent)
        if place is None or self.templates.any_below(site, parent):
            return
        with suppress(Conflict):  # somebody has put a job there, or registered it anew
            if place.role is Role.TEMPLATE and place.purge is not None and not place.launches:
                self._forget_template(place, until)
            elif place.role is Role.FOLDER and place.ttl is not None:
                self.table.forget(place)

    def _delete_objects(self, job: Job, asked: int, until: float) -> bool:
        remover = self.remover_of(job.bucket)
        if not remover.delete_job(job.id, before=asked, until=until):
            return False
        own = [] if job.parent is not None else _specifications(job)
        if job.current is not None:
            own.append(object_keys.input_manifest_key(job.current))
            own.append(object_keys.result_report_key(job.current))
        if own:
            remover.delete_own(tuple(own))
        return True


def _versions(job: Job) -> tuple[str, ...]:
    """The names of a registered job's versions."""
    return (job.registration.name, *job.earlier) if job.registration is not None else ()


def _specifications(job: Job) -> list[str]:
    registered = identifiers.registered(job.site, job.id)
    return [object_keys.specification_key(registered, name) for name in _versions(job)]
