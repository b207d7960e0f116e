"""One job of the executor that has not ended: asks for its state, and fetches what has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from job_protocol.object_keys import STDERR
from job_protocol.states import Word
from jobferry.client import Job
from jobferry.errors import (
    CloudUnreachable,
    JobferryError,
    JobNotFound,
    ResultMissing,
    UsageError,
)
from jobferry.executor_results import Promise, settle
from jobferry.executor_runner import element_name
from jobferry.executor_upload import FORMAT, JOB, RESULTS
from jobferry.interface import RemoteFile
from jobferry.polling import intervals
from jobferry.report import Report

_FETCHES = 8
_IN_MEMORY = 16 * 1024 * 1024
_TOLD_OF_STDERR = 2000


class OpenJob:
    """The calls of one job. All of it is called by one thread.

    Attributes:
        job: the job.
        promises: of its calls, by number.
        due: when to look again, by the clock.
    """

    def __init__(
        self,
        job: Job,
        futures: Sequence[Future[Any]],
        chunk: int,
        clock: Callable[[], float],
    ) -> None:
        """The calls of a job.

        Args:
            job: the job.
            futures: of its calls, in order.
            chunk: calls of one array element.
            clock: seconds, never going back.
        """
        self.job = job
        self.promises = [Promise(future) for future in futures]
        self.due = clock()
        self._chunk = chunk
        self._clock = clock
        self._intervals = intervals()
        self._seen: Report | None = None
        self._sizes: dict[str, int] = {}
        self._complete_up_to = 0
        self._to_stop = False

    @property
    def ended(self) -> bool:
        """Whether no call of it is waited for any more, and nothing is left to do."""
        return not self._to_stop and all(promise.ended for promise in self.promises)

    def look(self) -> None:
        """Ask for the state, and end the calls whose results are there."""
        try:
            if self._to_stop:
                self.job.stop()
                self._to_stop = False
                return
            report = self.job.status()
            if report != self._seen:
                self._intervals = intervals()
                self._follow(report)
                self._seen = report
        except CloudUnreachable:
            pass  # the next look may get through
        except JobferryError as error:
            if not isinstance(error, JobNotFound):
                error.add_note(f"job {self.job.id!r} goes on: Executor.attach([{self.job.id!r}])")
            self._to_stop = False
            self.fail(error)
        self.due = self._clock() + next(self._intervals)

    def take_back(self) -> None:
        """Stop the job if the caller has cancelled every call of it that has not ended."""
        cancelled = [promise.take_back() for promise in self.promises if not promise.ended]
        if cancelled and all(cancelled):
            self._to_stop = True
            self.due = self._clock()

    def fail(self, error: Exception) -> None:
        """End every call that has not ended."""
        for promise in self.promises:
            promise.fail(error)

    def _follow(self, report: Report) -> None:
        if report.word is Word.JOB_RUNNING:
            for promise in self.promises:
                promise.begin()
        if report.dead or report.word is Word.JOB_RUNNING:
            self._collect()
        if report.dead:
            self._give_up(report)

    def _collect(self) -> None:
        """Fetch the results that have come or grown since the last time."""
        after = ""
        if self._complete_up_to:
            after = f"{RESULTS}{element_name(self._complete_up_to - 1)}"
        come = [f for f in self.job.files(RESULTS, after) if self._sizes.get(f.path) != f.size]
        promises = dict(enumerate(self.promises))
        for start in range(0, len(come), _FETCHES):
            some = come[start : start + _FETCHES]
            with ExitStack() as open_files, ThreadPoolExecutor(_FETCHES) as pool:
                targets = [open_files.enter_context(SpooledTemporaryFile(_IN_MEMORY)) for _ in some]
                for file, target in zip(some, pool.map(self._fetched, some, targets), strict=True):
                    settle(target, promises)
                    self._sizes[file.path] = file.size
        while (there := self._element(self._complete_up_to)) and all(p.ended for p in there):
            self._complete_up_to += 1

    def _element(self, index: int) -> list[Promise]:
        return self.promises[index * self._chunk : (index + 1) * self._chunk]

    def _fetched(self, file: RemoteFile, target: IO[bytes]) -> IO[bytes]:
        for part in self.job.read(file.path):
            target.write(part)
        return target

    def _give_up(self, report: Report) -> None:
        """The job is dead and its results are in the bucket: what has none gets none."""
        for number, promise in enumerate(self.promises):
            if not promise.ended:
                promise.fail(ResultMissing(self._why(report, number)))

    def _why(self, report: Report, number: int) -> str:
        code = "" if report.exit_code is None else f", exit code {report.exit_code}"
        text = (
            f"call {number} of job {self.job.id!r} has no result: the job has ended as "
            f"{report.outcome}{code}; see {self.job.location}"
        )
        if report.message is not None:
            text += f"\n{report.message}"
        for reason in report.reasons:
            text += f"\n{reason.get('key')}: {reason.get('problem')}; {reason.get('remedy')}"
        said = self._end_of_stderr(number // self._chunk)
        return f"{text}\nIts standard error ends with:\n{said}" if said else text

    def _end_of_stderr(self, index: int) -> str:
        name = STDERR.removesuffix(".txt")
        sizes = {file.path: file.size for file in self.job.files(name)}
        path = next((p for p in (f"{name}.{index}.txt", STDERR) if sizes.get(p)), None)
        if path is None:
            return ""
        start = max(0, sizes[path] - _TOLD_OF_STDERR)
        return b"".join(self.job.read(path, start)).decode("utf-8", "replace").rstrip()


def attached(job: Job, clock: Callable[[], float]) -> OpenJob:
    """The calls of a job that an earlier executor has submitted, with new futures.

    Raises:
        UsageError: it is no job of an executor, or not of one that this version knows.
        JobferryError: the bucket cannot be read.
    """
    body = b"".join(job.read(JOB))
    try:
        facts = json.loads(body)
        known = facts["format"] == FORMAT
        calls, chunk = int(facts["calls"]), int(facts["chunk"])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"there is no job of an executor at {job.location}: {JOB} is missing or is no "
            "description of one; check the id and the site"
        ) from error
    if not known:
        raise UsageError(
            f"the job at {job.location} is of a newer version of jobferry; attach with that one"
        )
    return OpenJob(job, [Future() for _ in range(calls)], chunk, clock)
