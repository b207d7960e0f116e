"""A bucket in memory, for tests of what is done with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from job_protocol.job_settings import SharedInput
from jobferry.interface import Event, Fetched, Listing, Progress, RemoteFile
from jobferry.report import Report
from jobferry.shared_inputs import SharedUpload
from jobferry.signed_shared import SharedObject
from jobferry.upload_plan import Upload


class MemoryAccess:
    """Files by path: content, time, and mode if there is one."""

    bucket = "memory"

    def __init__(self, files: dict[str, tuple[bytes, int, int | None]] | None = None) -> None:
        self.contents = files or {}
        self.fetched: list[str] = []
        self.states: list[Report] = []
        self.stopped: list[str] = []
        self.retried: list[str] = []
        self.failures: list[Exception] = []

    def location(self, job_id: str) -> str:
        return f"memory:{job_id}/"

    def report(self, job_id: str) -> Report | None:
        return self.states[-1] if self.states else None

    def reports(self, prefix: str, limit: int) -> Listing:
        return Listing(tuple(self.states[:limit]), len(self.states), True)

    def submit(self, upload: Upload, progress: Progress, sites: Sequence[str] = ()) -> str:
        raise AssertionError("nothing is uploaded here")

    def events(self, job_id: str) -> tuple[Event, ...]:
        return ()

    def audit(self, job_id: str) -> tuple[dict[str, Any], ...]:
        return ()

    def shared_objects(self, row: SharedInput) -> Iterable[SharedObject]:
        raise AssertionError("nothing is shared here")

    def share(self, upload: SharedUpload, progress: Progress) -> None:
        raise AssertionError("nothing is uploaded here")

    def stop(self, job_id: str) -> None:
        self.stopped.append(job_id)

    def retry(self, job_id: str) -> None:
        self.retried.append(job_id)

    def files(self, job_id: str, under: str = "", after: str = "") -> Iterator[RemoteFile]:
        for path, (content, modified, _) in self.contents.items():
            if path.startswith(under) and path > after:
                yield RemoteFile(path, len(content), modified)

    def fetch(self, job_id: str, path: str, target: IO[bytes], progress: Progress) -> Fetched:
        content, modified, mode = self.contents[path]
        self.fetched.append(path)
        target.write(content[:1])
        progress(len(content[:1]))
        if self.failures:
            raise self.failures.pop()
        target.write(content[1:])
        progress(len(content[1:]))
        return Fetched(modified, mode)

    def read(self, job_id: str, path: str, start: int) -> Iterator[bytes]:
        yield self.contents[path][0][start:]
