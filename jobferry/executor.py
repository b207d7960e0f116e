"""Calls of Python functions as jobs of a site, in the manner of `concurrent.futures`.

import jobferry

with jobferry.Executor(site="dc1", time_limit="1h", setup="module load python") as executor:
    for energy in executor.map(simulate, temperatures):
        print(energy)
"""

from __future__ import annotations

import concurrent.futures
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from jobferry.client import Client
from jobferry.errors import UsageError
from jobferry.executor_job import OpenJob, attached
from jobferry.executor_pickles import PickledFunction, pickled_call, pickled_function
from jobferry.executor_upload import RESULTS, Batch, Call, Surroundings, write_upload
from jobferry.executor_worker import Worker
from jobferry.job import Job
from jobferry.progress_bar import ProgressBar
from jobferry.stated_settings import Settings

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Executor(concurrent.futures.Executor):
    """Runs calls on a site. Its futures are those of `concurrent.futures`.

    Attributes:
        futures: of an attached executor: the calls of its jobs, in order.
    """

    def __init__(
        self,
        *,
        site: str | None = None,
        client: Client | None = None,
        python: str = "python3",
        setup: str = "",
        resources: Mapping[str, Any] | None = None,
        time_limit: int | str | None = None,
        account: str | None = None,
        queue: str | None = None,
        results: Sequence[str] = (),
        chunk: int = 1,
        job_prefix: str = "executor",
    ) -> None:
        """An executor that has submitted nothing yet.

        Args:
            site: where the calls run; as for `Client`.
            client: a client of your own, instead of `site`.
            python: the interpreter on the site, of the same version (major and minor) as this
                one; `~/` is the account's home there.
            setup: lines of bash that come before it, such as `module load python`.
            resources: what each array element asks of the scheduler, as in `aws-job.json`:
                `cpus`, `memory`, `gpus`, `nodes`.
            time_limit: of each array element: seconds, or text such as `1h30m`.
            account: whom the scheduler charges.
            queue: the scheduler's queue or partition.
            results: patterns of files, written by the calls into their working directory, that
                come back into the bucket beside what the calls return.
            chunk: how many calls one array element runs, one after the other. Let an element
                take a minute or more: a scheduler takes seconds to start one.
            job_prefix: what the ids of the jobs begin with.

        Raises:
            UsageError: arguments that contradict each other or have no meaning.
            ConfigurationError: there is no such site, or credentials are missing.
        """
        if client is not None and site is not None:
            raise UsageError("state either the site or a client, not both")
        self._client = client or Client(site=site, via="s3")
        self._surroundings = Surroundings(python=python, setup=setup, resources=resources or {})
        self._settings = Settings(
            time_limit=time_limit,
            account=account,
            queue=queue,
            results=[f"{RESULTS}**", *results],
        )
        self._chunk = _checked(chunk)
        self._prefix = job_prefix
        self._worker = Worker(self._submitted, self._chunk)
        self._calls = 0
        self._closed = ""
        self.futures: tuple[Future[Any], ...] = ()

    @classmethod
    def attach(
        cls, ids: Iterable[str], *, site: str | None = None, client: Client | None = None
    ) -> Executor:
        """An executor with new futures for the jobs of an earlier one.

        Results are loaded from what lies under these ids: name only jobs that you trust.

        Args:
            ids: what `detach` gave, or `job.id` of `jobs`.
            site: as for `Executor`.
            client: as for `Executor`.

        Raises:
            UsageError: one of them is no job of an executor.
            JobferryError: the bucket cannot be read.
        """
        executor = cls(site=site, client=client)
        jobs = [attached(executor._client.job(job_id), time.monotonic) for job_id in ids]
        executor.futures = tuple(promise.future for job in jobs for promise in job.promises)
        for future in executor.futures:
            executor._count(future)
        executor._worker.adopt(jobs)
        return executor

    @property
    def jobs(self) -> list[Job]:
        """The jobs that the calls have become so far."""
        return [self._client.job(job_id) for job_id in self._worker.job_ids()]

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Ask for a call. Calls that follow within a short moment become one job.

        Function and arguments are pickled at once: later changes of them are not seen.

        Raises:
            NotPicklable: the function or an argument cannot travel.
            ConfigurationError: cloudpickle is not installed.
            RuntimeError: the executor is shut down.
        """
        self._open()
        call = self._call(pickled_function(fn), args, kwargs)
        self._worker.gather(call)
        return call.future

    def map(
        self,
        fn: Callable[..., _T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
    ) -> Iterator[_T]:
        """Ask for a call for each tuple of arguments, all as one job; the results in their order.

        Args:
            fn: the function.
            iterables: its arguments; the shortest one counts.
            timeout: seconds until `TimeoutError`, from now on.
            chunksize: how many calls one array element runs; by default the executor's `chunk`.

        Raises:
            NotPicklable, ConfigurationError, RuntimeError: see `submit`.
        """
        self._open()
        function = pickled_function(fn)
        chunk = self._chunk if chunksize is None else _checked(chunksize)
        calls = [self._call(function, each, {}) for each in zip(*iterables, strict=False)]
        self._worker.take(calls, chunk)
        deadline = None if timeout is None else time.monotonic() + timeout
        return _results([call.future for call in calls], deadline)

    def progress(self, label: str = "Calls") -> None:
        """Wait for the calls so far; on a terminal or in a notebook a bar shows how many ended."""
        waiting = self._worker.unfinished()
        with ProgressBar(label, self._calls) as bar:
            ended = self._calls - len(waiting)
            bar.show(ended)
            for number, _ in enumerate(as_completed(waiting), ended + 1):
                bar.show(number)

    def detach(self) -> list[str]:
        """Leave the jobs to themselves and return their ids, for `attach`.

        What was not submitted yet is submitted first. Futures that wait end with `Detached`.
        """
        self._closed = self._closed or "detached"
        self._worker.detach()
        return self._worker.job_ids()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls.

        Args:
            wait: return when all calls have ended, else when all of them are submitted.
            cancel_futures: cancel what does not run yet; jobs of which nothing runs are stopped.
        """
        self._closed = self._closed or "shut down"
        if cancel_futures:
            for future in self._worker.unfinished():
                future.cancel()
        self._worker.flush()
        if wait:
            self._worker.join()

    def _open(self) -> None:
        if self._closed:
            raise RuntimeError(f"this executor is {self._closed} and takes no more calls")

    def _call(
        self, function: PickledFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Call:
        call = Call(function, pickled_call(function, args, kwargs), Future())
        self._count(call.future)
        return call

    def _count(self, future: Future[Any]) -> None:
        self._calls += 1
        future.add_done_callback(lambda done: self._worker.wake() if done.cancelled() else None)

    def _submitted(self, batch: Batch) -> OpenJob:
        name = f"{self._prefix}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        with tempfile.TemporaryDirectory(prefix="jobferry-") as directory:
            write_upload(Path(directory), batch, self._surroundings)
            job = self._client.submit(directory, job=name, **self._settings)
        return OpenJob(job, [call.future for call in batch.calls], batch.chunk, time.monotonic)


def _checked(chunk: int) -> int:
    if chunk < 1:
        raise UsageError(f"an array element runs at least one call, not {chunk}")
    return chunk


def _results(futures: list[Future[_T]], deadline: float | None) -> Iterator[_T]:
    """The results in order; what nobody asks for any more is cancelled."""
    futures.reverse()
    try:
        while futures:
            left = None if deadline is None else deadline - time.monotonic()
            yield futures.pop().result(left)
    finally:
        for future in futures:
            future.cancel()
