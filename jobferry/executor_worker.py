"""The one thread of an executor: packs calls into jobs, submits them, and waits for results.

It ends when there is nothing to do and begins again with the next call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from jobferry.executor_job import OpenJob
from jobferry.executor_upload import Batch, Call, batches_of

GATHER = 0.25
"""Seconds without a further call until those that came one by one become a job."""

GATHER_AT_MOST = 2.0
"""Seconds after the first of them."""


class Worker:
    """What an executor does in the background."""

    def __init__(
        self,
        submit: Callable[[Batch], OpenJob],
        chunk: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A worker that has nothing to do yet.

        Args:
            submit: uploads calls as a job.
            chunk: calls of one array element, of calls that come one by one.
            clock: seconds, never going back.
        """
        self._submit = submit
        self._chunk = chunk
        self._clock = clock
        self._changed = threading.Condition()
        self._news = False
        self._gathered: list[Call] = []
        self._first = self._last = 0.0
        self._ready: list[Batch] = []
        self._submitting: Batch | None = None
        self._open: list[OpenJob] = []
        self._job_ids: list[str] = []
        self._detached = False
        self._thread: threading.Thread | None = None

    def gather(self, call: Call) -> None:
        """Take one call; it becomes a job with those that follow within a short moment."""
        with self._changed:
            self._last = self._clock()
            if not self._gathered:
                self._first = self._last
            self._gathered.append(call)
            self._wake()

    def take(self, calls: Sequence[Call], chunk: int) -> None:
        """Take calls that belong together."""
        with self._changed:
            self._ready += batches_of(calls, chunk)
            self._wake()

    def adopt(self, jobs: Iterable[OpenJob]) -> None:
        """Wait for jobs that are there already."""
        with self._changed:
            for open_job in jobs:
                self._open.append(open_job)
                self._job_ids.append(open_job.job.id)
            self._wake()

    def wake(self) -> None:
        """Look at once whether something was cancelled."""
        with self._changed:
            self._wake()

    def unfinished(self) -> list[Future[Any]]:
        """The futures of all calls that have not ended."""
        with self._changed:
            batches = [*self._ready, *([self._submitting] if self._submitting else [])]
            calls = [*self._gathered, *(call for batch in batches for call in batch.calls)]
            futures = [call.future for call in calls]
            futures += [p.future for open_job in self._open for p in open_job.promises]
        return [future for future in futures if not future.done()]

    def job_ids(self) -> list[str]:
        """The ids of all jobs that were submitted or adopted, in order."""
        with self._changed:
            return list(self._job_ids)

    def flush(self) -> None:
        """Submit what has been gathered, and return when all of it is submitted.

        Called by a future's callback, that is by the worker itself, it returns at once.
        """
        with self._changed:
            self._pack()
            self._wake()
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: not self._ready and self._submitting is None)

    def detach(self) -> None:
        """Submit what has been gathered, and wait for nothing more."""
        self.flush()
        with self._changed:
            self._detached = True
            self._wake()
        self.join()

    def join(self) -> None:
        """Return when every call has ended."""
        while (thread := self._thread) is not None:
            thread.join()

    def _wake(self) -> None:
        self._news = True
        self._changed.notify_all()
        if self._thread is None and (self._gathered or self._ready or self._open):
            self._thread = threading.Thread(target=self._run, name="jobferry", daemon=True)
            self._thread.start()

    def _pack(self) -> None:
        self._ready += batches_of(self._gathered, self._chunk)
        self._gathered = []

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._gathered and self._clock() >= self._packed_at():
                    self._pack()
                if self._ready:
                    self._submitting = self._ready.pop(0)
                elif not self._gathered and not self._open:
                    self._thread = None
                    return
            if self._submitting is not None:
                self._begin(self._submitting)
            else:
                self._look()
                self._sleep()

    def _packed_at(self) -> float:
        return min(self._last + GATHER, self._first + GATHER_AT_MOST)

    def _begin(self, batch: Batch) -> None:
        open_job = None
        calls = [call for call in batch.calls if not _was_cancelled(call)]
        try:
            if calls:
                open_job = self._submit(Batch(calls, batch.chunk))
        except Exception as error:  # nobody else would ever end these calls
            for call in calls:
                if call.future.set_running_or_notify_cancel():
                    call.future.set_exception(error)
        with self._changed:
            self._submitting = None
            if open_job is not None:
                self._open.append(open_job)
                self._job_ids.append(open_job.job.id)
            self._changed.notify_all()

    def _look(self) -> None:
        for open_job in self._open:
            try:
                open_job.take_back()
                if self._detached:
                    open_job.leave()
                if not open_job.ended and self._clock() >= open_job.due:
                    open_job.look()
            except Exception as error:  # nobody else would ever end these calls
                open_job.fail(error)
        with self._changed:
            self._open = [open_job for open_job in self._open if not open_job.ended]

    def _sleep(self) -> None:
        """Until something is due or has changed."""
        with self._changed:
            moments = [open_job.due for open_job in self._open]
            if self._gathered:
                moments.append(self._packed_at())
            if moments and not self._news:
                self._changed.wait(max(0.0, min(moments) - self._clock()))
            self._news = False


def _was_cancelled(call: Call) -> bool:
    """Whether the caller has taken the call back; those who wait for it are told."""
    return call.future.cancelled() and not call.future.set_running_or_notify_cancel()
