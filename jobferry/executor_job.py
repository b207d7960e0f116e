"""One job of the executor that has not ended: asks for its state, and fetches what has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from job_protocol.states import Word
from jobferry.errors import (
    CloudUnreachable,
    Detached,
    JobferryError,
    JobNotFound,
    ResultMissing,
    UsageError,
)
from jobferry.executor_missing import LastWords
from jobferry.executor_results import Promise, settle
from jobferry.executor_runner import element_name
from jobferry.executor_upload import FORMAT, JOB, RESULTS
from jobferry.interface import RemoteFile
from jobferry.job import Job
from jobferry.polling import intervals
from jobferry.report import Report

_FETCHES = 8
_IN_MEMORY = 16 * 1024 * 1024


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
        self._first_open = 0
        self._after = ""
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
            self.fail(error)
        self.due = self._clock() + next(self._intervals)

    def take_back(self) -> None:
        """Stop the job if the caller has cancelled every call of it that has not ended."""
        cancelled = [promise.take_back() for promise in self.promises if not promise.ended]
        if cancelled and all(cancelled):
            self._to_stop = True
            self.due = self._clock()

    def leave(self) -> None:
        """Wait for no call any more; the job goes on."""
        error = Detached(
            f"job {self.job.id!r} goes on without this executor: Executor.attach([{self.job.id!r}])"
        )
        for promise in self.promises:
            promise.fail(error)

    def fail(self, error: Exception) -> None:
        """End every call that has not ended, and leave the job as it is."""
        self._to_stop = False
        for promise in self.promises:
            promise.fail(error)

    def _follow(self, report: Report) -> None:
        if report.word is Word.JOB_RUNNING:
            for promise in self.promises:
                promise.begin()
        if report.dead or report.word is Word.JOB_RUNNING:
            self._collect(report.dead)
        if report.dead:
            last_words = LastWords(self.job, report, self._chunk)
            for number, promise in enumerate(self.promises):
                if not promise.ended:
                    promise.fail(ResultMissing(last_words.why(number)))

    def _collect(self, dead: bool) -> None:
        """Fetch the results that have come or grown since the last time.

        An element that is still at work may have been seen half-way, with its size of now.
        """
        come = [
            (file, waiting)
            for file in self.job.files(RESULTS, self._after)
            if (waiting := self._waiting_for(file.path))
            and (dead or self._sizes.get(file.path) != file.size)
        ]
        for start in range(0, len(come), _FETCHES):
            some = come[start : start + _FETCHES]
            with ExitStack() as open_files, ThreadPoolExecutor(_FETCHES) as pool:
                targets = [open_files.enter_context(SpooledTemporaryFile(_IN_MEMORY)) for _ in some]
                fetched = pool.map(self._fetch, some, targets)
                for (file, waiting), target, _ in zip(some, targets, fetched, strict=True):
                    settle(target, waiting)
                    self._sizes[file.path] = file.size
        while not self._waiting_in(self._first_open) and self._first_open < len(self.promises):
            self._after = f"{RESULTS}{element_name(self._first_open)}"
            self._first_open += 1

    def _waiting_for(self, path: str) -> dict[int, Promise]:
        """The calls that have not ended of the element whose results lie at a path."""
        name = path.removeprefix(RESULTS)
        return self._waiting_in(int(name)) if name.isdecimal() else {}

    def _waiting_in(self, element: int) -> dict[int, Promise]:
        first = element * self._chunk
        calls = enumerate(self.promises[first : first + self._chunk], first)
        return {number: promise for number, promise in calls if not promise.ended}

    def _fetch(self, come: tuple[RemoteFile, object], target: IO[bytes]) -> None:
        for part in self.job.read(come[0].path):
            target.write(part)


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
