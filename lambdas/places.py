"""The tree of job ids of a site: no job lies inside another one, and folders are for good."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from job_protocol import object_keys
from job_protocol.job import Job
from job_protocol.object_keys import Problem
from job_protocol.states import Role
from lambdas.errors import Conflict
from lambdas.ports.job_items import as_folder
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_directory import Site
from lambdas.rules.revision import touched


@dataclass(frozen=True, slots=True)
class Places:
    """The tree of one site's job ids.

    Attributes:
        table: the job table.
        site: the site.
        clock: the time in seconds since the epoch.
    """

    table: JobTable
    site: Site
    clock: Callable[[], int]

    def problems(self, job_id: str, job: Job | None) -> list[Problem]:
        """Why the job id cannot name a job here; nothing is written.

        Args:
            job_id: the job id.
            job: its item, if there is one.
        """
        problems = object_keys.job_id_problems(job_id)
        if problems:
            return problems
        if job is not None and job.purge is not None:
            return [
                Problem(
                    job_id,
                    f"{job_id!r} is being purged",
                    "wait until GET /v1/job/ID says that it is not there, or choose another id",
                )
            ]
        if job is not None and job.role is Role.FOLDER:
            return [
                Problem(
                    job_id,
                    f"{job_id!r} is a folder of other jobs ({job_id}/...)",
                    "choose a job id that is not a folder of others",
                )
            ]
        if job is not None and job.role is Role.TEMPLATE:
            return [
                Problem(
                    job_id,
                    f"{job_id!r} is a {job.kind.value} job",
                    "choose another job id, or dispatch that job",
                )
            ]
        above = self.table.jobs(self.site.name, object_keys.ancestors(job_id))
        return [
            _inside(job_id, folder)
            for folder, item in above.items()
            if item.role in (Role.LEAF, Role.TEMPLATE)
        ]

    def take(self, job_id: str) -> list[Problem]:
        """Make folders of everything above the job id, for good.

        Returns:
            Why that cannot be; an empty list if it is done.

        Raises:
            Conflict: a folder changed meanwhile.
        """
        folders = object_keys.ancestors(job_id)
        there = self.table.jobs(self.site.name, folders)
        for folder in folders:
            item = there.get(folder) or self._new_folder(folder)
            if item.role is Role.REJECTED:
                # It keeps its revision: who read it as rejected must not take it for unchanged.
                self.table.replace_job(
                    item, replace(touched(item, self.clock()), role=Role.FOLDER, ttl=None)
                )
            elif item.role is not Role.FOLDER:
                return [_inside(job_id, folder)]
            elif item.ttl is not None:  # a purged template's, which was to go with its children
                self.table.replace_job(item, replace(item, rev=item.rev + 1, ttl=None))
        return []

    def _new_folder(self, folder: str) -> Job:
        """The folder's item, or the item of whoever took the place first."""
        item = as_folder(self.site.name, folder, self.site.bucket)
        with suppress(Conflict):
            self.table.replace_job(None, item)
            return item
        winner = self.table.job(self.site.name, folder)
        if winner is None:
            raise Conflict(f"{folder!r} came and went")
        return winner


def _inside(job_id: str, other: str) -> Problem:
    return Problem(
        job_id,
        f"job id {job_id!r} lies inside the job {other!r}",
        "choose a job id that is not under another job's prefix",
    )
