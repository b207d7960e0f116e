"""Where the files of an allocation lie: the job's directory, and the folders of elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from job_protocol import element_files
from lambdas.errors import Refused
from lambdas.ports.job_files import Folder, JobFiles, Stat
from lambdas.routes.allocations import the_element
from lambdas.routes.elements import running
from lambdas.routes.route import Call
from lambdas.rules import file_tree
from lambdas.rules.task_groups import element_count, place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """What a request means by paths.

    Attributes:
        files: the files of the site's jobs.
        job: the job.
        roots: the prefixes under which a path is looked for, the first one first.
        element: the element, of a script's array, whose logs are meant.
        has_script_logs: whether the logs of a script may lie beside its directory.
        started: whether the allocation has started.
    """

    files: JobFiles
    job: str
    roots: tuple[str, ...]
    element: int | None
    has_script_logs: bool
    started: bool

    def file(self, path: str) -> tuple[str, str, Stat]:
        """The prefix and the path below it of a file that a path means, and the file there.

        Raises:
            Refused: there is none.
        """
        for root, candidate in self._places(path):
            if candidate and (stat := self.files.stat(root, candidate)) is not None:
                return root, candidate, stat
        raise Refused(
            404,
            f"file not found: {path or '/'}",
            "client/fs/ls lists what is there; a running job's other files come at its end",
        )

    def _places(self, path: str) -> Iterator[tuple[str, str]]:
        yield from ((root, path) for root in self.roots)
        if self.has_script_logs and (log := file_tree.script_log(path, self.element)) is not None:
            yield self.job, log

    def folder(self, path: str, root: int = 0, after: str | None = None) -> tuple[int, Folder]:
        """What lies directly in a folder, and below which of the roots: the first that has any.

        Args:
            path: the folder's path.
            root: which root to begin with.
            after: where the part before ended, in that root.
        """
        found = self.files.folder(self.roots[root], path, after)
        if found.there or after is not None or root + 1 == len(self.roots):
            return root, found
        return self.folder(path, root + 1)


def opened(call: Call) -> Directory:
    """The directory that a request names by an allocation, and by `element` if it does.

    An element of a job from a Nomad job file has a folder of its own in which it works. All
    elements of a script work in the job directory, and may have `elements/INDEX/` for what is
    their own. With `element` it is that folder alone; without, the job directory, too.

    Raises:
        Refused: there is no such allocation or element.
    """
    allocation, index = the_element(call, call.path["alloc_id"])
    files, job_id = call.services.files(allocation.site), allocation.job
    started, stated = allocation.started_at is not None, call.query.get("element")
    count = element_count(allocation)
    if stated is not None and stated >= count:
        raise Refused(404, f"element {stated} not found", f"the allocation has {count}, from 0 on")
    if allocation.settings.array is None:
        return Directory(
            files=files,
            job=job_id,
            roots=(job_id,),
            element=None,
            has_script_logs=True,
            started=started,
        )
    index = index if stated is None else stated
    job = call.services.table.job(allocation.site, job_id)
    version = running(call, job) if job is not None else None
    folder = place_of(version.job if version else None, index).folder
    own = f"{job_id}/{folder or element_files.folder_of(index)}".rstrip("/")
    both = (own, job_id) if folder else (job_id, own)
    return Directory(
        files=files,
        job=job_id,
        roots=both if stated is None else (own,),
        element=index,
        has_script_logs=not folder,
        started=started,
    )
