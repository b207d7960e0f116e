"""What the client needs of a way to the jobs, whichever it is; over S3 is the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from job_protocol.job_settings import SharedInput
from jobferry.notebook import jobs_html
from jobferry.report import Report
from jobferry.shared_inputs import SharedUpload
from jobferry.signed_shared import SharedObject
from jobferry.upload_plan import Upload

Progress = Callable[[int], None]
"""Called with the number of bytes that were just transferred, from several threads."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file under a job's prefix.

    Attributes:
        path: relative to the job; one that ends in `/` is an empty folder.
        size: bytes.
        modified: when it was written, in whole seconds since the epoch.
    """

    path: str
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came along with the content of a file.

    Attributes:
        modified: when it was written, in whole seconds since the epoch.
        mode: its permission bits, if they are known.
    """

    modified: int
    mode: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Jobs, the one that changed last first.

    Attributes:
        reports: the jobs, with little detail.
        total: how many were found.
        complete: whether everything was looked at.
    """

    reports: tuple[Report, ...]
    total: int
    complete: bool

    def _repr_html_(self) -> str:
        """A table, in a notebook."""
        return jobs_html(self)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a run.

    Attributes:
        time: when, as ISO 8601 in UTC; a site's clock may disagree with the others.
        run: which run of the job, from 1; None if an older API does not tell.
        type: `Submitted`, `Created`, `Claimed`, `Scheduled`, `Started`, `Ended` or `Finished`.
        allocation: the allocation that it is about.
        message: what happened, a sentence.
    """

    time: str | None
    run: int | None
    type: str
    allocation: str | None
    message: str


class JobAccess(Protocol):
    """A way to the jobs of one site. Every method may raise a `JobferryError`."""

    def location(self, job_id: str) -> str:
        """Where the job's files lie, for people."""

    def report(self, job_id: str) -> Report | None:
        """The job's state; None if there is no such job."""

    def reports(self, prefix: str, limit: int) -> Listing:
        """At most `limit` jobs whose ids begin with `prefix`."""

    @property
    def bucket(self) -> str | None:
        """The site's bucket; None if it is not known here, and so nothing can be shared."""

    def share(self, upload: SharedUpload, progress: Progress) -> None:
        """Upload what many jobs share, as far as it is not there yet."""

    def shared_objects(self, row: SharedInput) -> Iterable[SharedObject]:
        """The objects of a row of `inputs`, with the SHA-256 of each, to be signed."""

    def submit(self, upload: Upload, progress: Progress, sites: Sequence[str] = ()) -> str:
        """Upload everything, and when all of it is there, ask for the run.

        Args:
            upload: what is uploaded.
            progress: sees the transfer.
            sites: several sites, of which one takes it; empty for the one of this way.

        Returns:
            The job id.
        """

    def stop(self, job_id: str) -> None:
        """Ask for the job's end."""

    def events(self, job_id: str) -> tuple[Event, ...]:
        """What happened to the job's runs, as far as they are kept, oldest first."""

    def audit(self, job_id: str) -> tuple[dict[str, Any], ...]:
        """The chains of the job's allocations, as far back as they are kept, oldest first."""

    def retry(self, job_id: str) -> None:
        """Ask for a further run with the recorded inputs."""

    def files(self, job_id: str, under: str = "", after: str = "") -> Iterator[RemoteFile]:
        """What lies under the job's prefix, in the order of the paths.

        Args:
            job_id: the job.
            under: what the paths begin with.
            after: only paths that come after this one.
        """

    def fetch(self, job_id: str, path: str, target: IO[bytes], progress: Progress) -> Fetched:
        """Write a file's content, as it is now, to `target`; what is in there is not sent again.

        Args:
            job_id: the job.
            path: relative to the job.
            target: what was fetched before, if anything was; readable and writable.
            progress: sees the transfer, what was there before included.
        """

    def read(self, job_id: str, path: str, start: int) -> Iterator[bytes]:
        """The content of a file from byte `start` on; nothing if there is no more, or no file."""
