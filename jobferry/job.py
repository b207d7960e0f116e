"""One job of a site, as an object: its state, its files, its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from job_protocol.object_keys import STDERR, STDOUT, element_log
from job_protocol.states import Outcome
from jobferry.download import Downloaded, download, plan_into
from jobferry.element_choice import files_of
from jobferry.errors import (
    JobActive,
    JobferryError,
    JobNotFound,
)
from jobferry.interface import Event, JobAccess, Progress, RemoteFile
from jobferry.notebook import job_html, problem_html
from jobferry.polling import changes, intervals
from jobferry.report import Report

SizedProgress = Callable[[int], Progress]
"""Is told how many bytes there are, and gives back what is told of each part of them."""


def silent(_total: int) -> Progress:
    """Progress that nobody sees."""
    return lambda _bytes: None


class Job:
    """One job of a site.

    Attributes:
        id: the job id.
        location: where its files lie.
    """

    def __init__(
        self, access: JobAccess, job_id: str, *, before: tuple[object, object] | None = None
    ) -> None:
        """A job that exists, or may.

        Args:
            access: the way to it.
            job_id: its id.
            before: see `polling.changes`.
        """
        self._access = access
        self._before = before
        self.id = job_id
        self.location = access.location(job_id)

    def __repr__(self) -> str:
        return f"<Job {self.id!r} at {self.location}>"

    def _repr_html_(self) -> str:
        """The job's state as a table, in a notebook."""
        try:
            return job_html(self.status(), self.location)
        except JobferryError as error:
            return problem_html(repr(self), str(error))

    def files(self, under: str = "", after: str = "") -> Iterator[RemoteFile]:
        """The job's files in the bucket, in the order of their paths.

        Args:
            under: what the paths begin with.
            after: only paths that come after this one.
        """
        return self._access.files(self.id, under, after)

    def read(self, path: str, start: int = 0) -> Iterator[bytes]:
        """The content of a file, part by part; nothing if there is no more, or no such file.

        Args:
            path: relative to the job.
            start: the byte to begin with.
        """
        return self._access.read(self.id, path, start)

    def status(self) -> Report:
        """The job's state.

        Raises:
            JobNotFound: there is no such job.
        """
        report = self._access.report(self.id)
        if report is None:
            raise JobNotFound(
                f"there is no job {self.id!r} at {self.location}; see `jobferry status` for all"
            )
        return report

    def watch(self, timeout: float | None = None) -> Iterator[Report]:
        """Each state of the job up to its end, as it comes.

        Args:
            timeout: seconds until it gives up; None is never.

        Raises:
            JobNotFound, WaitTimedOut: see `polling.changes`.
        """
        return changes(
            self.status,
            sleep=time.sleep,
            clock=time.monotonic,
            timeout=timeout,
            before=self._before,
        )

    def wait(self, timeout: float | None = None) -> Report:
        """The job's state at its end; look at `outcome`.

        Args:
            timeout: seconds until it gives up; None is never.

        Raises:
            JobNotFound, WaitTimedOut: see `polling.changes`.
        """
        *_, last = self.watch(timeout)
        return last

    def stop(self) -> Report:
        """Ask for the job's end and return the state before; an ended job stays as it is.

        Raises:
            JobNotFound: there is no such job.
        """
        report = self.status()
        if not report.dead:
            self._access.stop(self.id)
        return report

    def retry(self) -> Report:
        """Run a job that has failed again, with the inputs of its last run.

        Of an array, only the elements that are not complete run again. Returns the state before;
        a job that is complete stays as it is.

        Raises:
            JobNotFound: there is no such job.
            JobActive: it has not ended.
        """
        report = self.status()
        if not report.dead:
            raise JobActive(
                f"job {self.id!r} has not ended ({report.word}); wait for its end (jobferry wait), "
                "or stop it (jobferry stop)"
            )
        if report.outcome is not Outcome.COMPLETE:
            self._access.retry(self.id)
            self._before = report.identity
        return report

    def events(self) -> tuple[Event, ...]:
        """What happened to the job's runs, oldest first.

        Over S3 it is what the versions of `aws-job-stat.json` tell, as long as there are any.

        Raises:
            JobNotFound: there is no such job.
        """
        return self._access.events(self.id)

    def get(
        self,
        directory: str | Path | None = None,
        *,
        only: Sequence[str] = (),
        elements: str | None = None,
        force: bool = False,
        progress: SizedProgress = silent,
    ) -> Downloaded:
        """Fetch the job's files; what is here already is not fetched again.

        Args:
            directory: where to; by default one named as the last part of the job id.
            only: patterns of the files that are wanted; empty means all.
            elements: of an array, only the logs and the folders `elements/INDEX/` (of a Nomad job,
                over the API, `GROUP.INDEX/`) of these:
                `failed`, `complete`, or indexes such as `1,5-9`.
            force: overwrite what was changed here.
            progress: sees the transfer.

        Raises:
            JobNotFound: nothing lies under the job's prefix.
            LocalFilesDiffer: files were changed here.
            TransferFailed: a file cannot be written.
            UsageError: there are no such elements.
        """
        wanted = None if elements is None else files_of(elements, self.status())
        target = Path(directory) if directory is not None else Path(self.id.rpartition("/")[2])
        plan = plan_into(self._access, self.id, target, only, force, wanted)
        if not (plan.fetch or plan.folders or plan.present or only or wanted):
            self.status()
        return download(self._access, self.id, target, plan, progress(plan.size))

    def stdout(self, element: int | None = None) -> str:
        """What the job has printed so far; bytes that are no UTF-8 are replaced.

        Args:
            element: of an array, the index of an element.
        """
        return self._printed(STDOUT, element)

    def stderr(self, element: int | None = None) -> str:
        """What the job has printed to its standard error so far; see `stdout`."""
        return self._printed(STDERR, element)

    def _printed(self, name: str, element: int | None) -> str:
        path = name if element is None else element_log(name, element)
        return b"".join(self._access.read(self.id, path, 0)).decode("utf-8", "replace")

    def follow(
        self, *, stderr: bool = False, until_end: bool = True, element: int | None = None
    ) -> Iterator[bytes]:
        """What the job prints, as it comes into the bucket.

        Args:
            stderr: its standard error instead of its standard output.
            until_end: go on until the job has ended, instead of up to now.
            element: of an array, the index of an element.

        Raises:
            JobNotFound: there is no such job.
        """
        path, start = STDERR if stderr else STDOUT, 0
        if element is not None:
            path = element_log(path, element)
        for seconds in intervals():
            dead = self.status().dead
            for chunk in self._access.read(self.id, path, start):
                start += len(chunk)
                yield chunk
            if dead or not until_end:
                return
            time.sleep(seconds)
