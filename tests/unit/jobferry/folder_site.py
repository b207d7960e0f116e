"""A site in a folder: uploads are copied, jobs run as subprocesses, results are read from disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from job_protocol.states import Word
from jobferry.client import Client
from jobferry.interface import Event, Fetched, Listing, Progress, RemoteFile
from jobferry.report import Report
from jobferry.shared_inputs import SharedUpload
from jobferry.upload_plan import Upload


def run_job(directory: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run every element of a job as a site does: by its script, each with its index."""
    settings = json.loads((directory / "aws-job.json").read_text())
    return [run_element(directory, index) for index in range(settings.get("count", 1))]


def run_element(directory: Path, index: int | None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory.parent)}
    if index is not None:
        environment["JOBFERRY_ARRAY_INDEX"] = str(index)
    return subprocess.run(
        ["/bin/bash", str(directory / "aws-job-run.sh")],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


class FolderAccess:
    """The jobs of a site in `root`."""

    bucket = "folder"

    def __init__(self, root: Path, *, run: bool = True) -> None:
        self.root = root
        self.run = run
        self.submitted: list[str] = []
        self.stopped: list[str] = []
        self.looks = 0
        self.listed: list[tuple[str, str]] = []
        self.failures: list[Exception] = []
        self.stop_failures: list[Exception] = []
        self._reports: dict[str, Report] = {}

    def end(self, job_id: str, word: Word, **details: Any) -> None:
        self._reports[job_id] = Report(job_id, word, details)

    def location(self, job_id: str) -> str:
        return f"folder:{job_id}/"

    def report(self, job_id: str) -> Report | None:
        self.looks += 1
        if self.failures:
            raise self.failures.pop()
        return self._reports.get(job_id)

    def reports(self, prefix: str, limit: int) -> Listing:
        return Listing((), 0, True)

    def submit(self, upload: Upload, progress: Progress, sites: Sequence[str] = ()) -> str:
        for file in upload.files:
            target = self.root / upload.job_id / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.source, target)
        if upload.settings is not None:
            (self.root / upload.job_id / "aws-job.json").write_bytes(upload.settings)
        self.submitted.append(upload.job_id)
        self.end(upload.job_id, Word.JOB_QUEUED)
        if self.run:
            self.run_to_end(upload.job_id)
        return upload.job_id

    def retry(self, job_id: str) -> None:
        raise AssertionError(f"an executor retries nothing: {job_id}")

    def events(self, job_id: str) -> tuple[Event, ...]:
        return ()

    def share(self, upload: SharedUpload, progress: Progress) -> None:
        raise AssertionError(f"an executor shares no inputs: {upload}")

    def run_untold(self, job_id: str) -> list[int]:
        """Run a job; its state stays what it was. The elements' exit codes."""
        return [done.returncode for done in run_job(self.root / job_id)]

    def run_to_end(self, job_id: str) -> None:
        codes = self.run_untold(job_id)
        word = Word.JOB_FAILED if any(codes) else Word.JOB_COMPLETE
        self.end(job_id, word, allocation={"exit_code": max(codes)})

    def stop(self, job_id: str) -> None:
        if self.stop_failures:
            raise self.stop_failures.pop()
        self.stopped.append(job_id)

    def files(self, job_id: str, under: str = "", after: str = "") -> Iterator[RemoteFile]:
        self.listed.append((under, after))
        top = self.root / job_id
        for file in sorted(top.rglob("*")):
            path = file.relative_to(top).as_posix()
            if file.is_file() and path.startswith(under) and path > after:
                yield RemoteFile(path, file.stat().st_size, 0)

    def fetch(self, job_id: str, path: str, target: IO[bytes], progress: Progress) -> Fetched:
        target.write((self.root / job_id / path).read_bytes())
        return Fetched(0, None)

    def read(self, job_id: str, path: str, start: int) -> Iterator[bytes]:
        file = self.root / job_id / path
        if file.exists():
            yield file.read_bytes()[start:]


class FolderClient(Client):
    """A client of a site in a folder."""

    def __init__(self, access: FolderAccess) -> None:
        self._access = access
