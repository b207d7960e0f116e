"""The executor as `concurrent.futures` would have it, against a site in a folder."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, as_completed, wait
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from job_protocol.states import Word
from jobferry import (
    CloudRefused,
    CloudUnreachable,
    Detached,
    Executor,
    ResultMissing,
    UsageError,
    executor_job,
    executor_worker,
)
from jobferry.progress_bar import ProgressBar, bar_text
from tests.unit.jobferry.folder_site import FolderAccess, FolderClient

PATIENCE = 60


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_job, "intervals", lambda: repeat(0.02))
    monkeypatch.setattr(executor_worker, "GATHER", 0.0)


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on, calls become a job only when they must, however slow this computer is."""

    def gather() -> None:
        monkeypatch.setattr(executor_worker, "GATHER", 600.0)
        monkeypatch.setattr(executor_worker, "GATHER_AT_MOST", 600.0)

    return gather


@pytest.fixture
def access(tmp_path: Path) -> FolderAccess:
    """Runs what is submitted."""
    return FolderAccess(tmp_path)


@pytest.fixture
def waiting(tmp_path: Path) -> FolderAccess:
    """Leaves what is submitted in the queue."""
    return FolderAccess(tmp_path, run=False)


def executor_of(access: FolderAccess, **arguments: Any) -> Executor:
    return Executor(client=FolderClient(access), **arguments)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "jobferry"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    until(lambda: not threads())


def test_map_is_one_job_and_its_results_come_in_order(access: FolderAccess) -> None:
    with executor_of(access, job_prefix="projA/sum") as executor:
        sums = list(executor.map(lambda a, b: a + b, [1, 2, 3, 4], [10, 20, 30]))
        assert [job.id for job in executor.jobs] == access.submitted
    assert sums == [11, 22, 33]
    assert len(access.submitted) == 1
    assert access.submitted[0].startswith("projA/sum-")


def test_calls_within_a_moment_are_one_job_and_all_kinds_of_waiting_work(
    access: FolderAccess, gathering: Callable[[], None]
) -> None:
    gathering()
    with executor_of(access, chunk=2) as executor:
        futures = [executor.submit(divmod, 7, n) for n in range(4)]
        assert access.submitted == []
        executor.shutdown(wait=False)
        assert all(type(future) is Future for future in futures)
        assert set(as_completed(futures, PATIENCE)) == set(futures)
        assert wait(futures, PATIENCE).not_done == set()
    assert len(access.submitted) == 1
    assert isinstance(futures[0].exception(), ZeroDivisionError)
    assert [future.result() for future in futures[1:]] == [(7, 0), (3, 1), (2, 1)]


def test_keyword_arguments_and_arguments_as_they_were(access: FolderAccess) -> None:
    with executor_of(access) as executor:
        items = [3, 1, 2]
        future = executor.submit(sorted, items, reverse=True)
        items.clear()
        assert future.result(PATIENCE) == [3, 2, 1]


def test_no_results_are_asked_for_while_a_job_waits_and_none_twice(waiting: FolderAccess) -> None:
    with executor_of(waiting) as executor:
        executor.map(abs, range(-3, 0))
        until(lambda: waiting.looks > 4)
        assert waiting.listed == []
        (job_id,) = waiting.submitted
        waiting.end(job_id, Word.JOB_RUNNING)
        until(lambda: waiting.listed)
        until(lambda: waiting.looks > 10)
        assert len(waiting.listed) == 1
        waiting.run_to_end(job_id)
    assert waiting.listed == [("executor/results/", "")] * 2


def test_results_that_come_early_are_not_listed_again(waiting: FolderAccess) -> None:
    with executor_of(waiting) as executor:
        results = executor.map(abs, range(-2, 0))
        until(lambda: waiting.submitted)
        (job_id,) = waiting.submitted
        waiting.run_untold(job_id)
        late = waiting.root / job_id / "executor/results/000001"
        body = late.read_bytes()
        late.unlink()
        waiting.end(job_id, Word.JOB_RUNNING)
        assert next(results) == 2
        late.write_bytes(body)
        waiting.end(job_id, Word.JOB_COMPLETE)
        assert next(results) == 1
    assert waiting.listed[-1] == ("executor/results/", "executor/results/000000")


def test_a_job_of_which_every_call_is_cancelled_is_stopped(
    waiting: FolderAccess, gathering: Callable[[], None]
) -> None:
    gathering()
    with executor_of(waiting) as executor:
        futures = [executor.submit(abs, n) for n in range(2)]
        executor.shutdown(wait=False)
        assert futures[0].cancel()
        assert wait(futures[:1], PATIENCE).done == {futures[0]}
        assert waiting.stopped == []
        assert futures[1].cancel()
        with pytest.raises(CancelledError):
            futures[1].result(PATIENCE)
    assert waiting.stopped == waiting.submitted


def test_a_running_call_cannot_be_cancelled(waiting: FolderAccess) -> None:
    with executor_of(waiting) as executor:
        future = executor.submit(abs, -1)
        until(lambda: waiting.submitted)
        waiting.end(waiting.submitted[0], Word.JOB_RUNNING)
        until(future.running)
        assert not future.cancel()
        waiting.run_to_end(waiting.submitted[0])
    assert future.result() == 1
    assert waiting.stopped == []


def test_shutdown_cancels_what_does_not_run(
    waiting: FolderAccess, gathering: Callable[[], None]
) -> None:
    executor = executor_of(waiting)
    first = executor.submit(abs, 1)
    until(lambda: waiting.submitted)
    gathering()
    second = executor.submit(abs, 2)
    executor.shutdown(cancel_futures=True)
    assert first.cancelled()
    assert second.cancelled()
    assert waiting.stopped == waiting.submitted
    assert len(waiting.submitted) == 1
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(abs, 3)
    with pytest.raises(RuntimeError, match="shut down"):
        executor.map(abs, [3])


def test_shutdown_without_waiting_returns_when_all_is_submitted(waiting: FolderAccess) -> None:
    executor = executor_of(waiting)
    future = executor.submit(abs, -1)
    executor.shutdown(wait=False)
    assert len(waiting.submitted) == 1
    assert not future.done()
    waiting.run_to_end(waiting.submitted[0])
    assert future.result(PATIENCE) == 1


def test_a_callback_may_submit_and_shut_down(access: FolderAccess) -> None:
    executor = executor_of(access)
    second: list[Future[int]] = []

    def after(_first: Future[int]) -> None:
        second.append(executor.submit(abs, -2))
        executor.shutdown(wait=False)

    executor.submit(abs, -1).add_done_callback(after)
    until(lambda: second)
    assert second[0].result(PATIENCE) == 2


def test_what_is_left_of_a_broken_off_map_is_cancelled(waiting: FolderAccess) -> None:
    with executor_of(waiting) as executor:
        results = executor.map(abs, range(2), timeout=0)
        with pytest.raises(TimeoutError):
            next(results)
        until(lambda: waiting.submitted)
        waiting.run_to_end(waiting.submitted[0])


def test_jobs_are_detached_and_attached_again(
    waiting: FolderAccess, gathering: Callable[[], None]
) -> None:
    gathering()
    executor = executor_of(waiting, chunk=2)
    futures = [executor.submit(abs, n) for n in (-1, -2, -3)]
    ids = executor.detach()
    assert ids == waiting.submitted
    for future in futures:
        with pytest.raises(Detached, match=ids[0]):
            future.result(PATIENCE)
    assert waiting.stopped == []
    waiting.run_to_end(ids[0])
    with Executor.attach(ids, client=FolderClient(waiting)) as again:
        assert [future.result(PATIENCE) for future in again.futures] == [1, 2, 3]


def test_what_was_cancelled_before_the_executor_is_detached_is_stopped(
    waiting: FolderAccess,
) -> None:
    executor = executor_of(waiting)
    future = executor.submit(abs, 1)
    until(lambda: waiting.submitted)
    assert future.cancel()
    assert executor.detach() == waiting.submitted
    assert waiting.stopped == waiting.submitted


@pytest.mark.parametrize(
    ("failure", "is_stopped"), [(CloudUnreachable("no route"), True), (ValueError("a bug"), False)]
)
def test_a_stop_is_tried_again_where_that_can_help(
    waiting: FolderAccess, failure: Exception, is_stopped: bool
) -> None:
    with executor_of(waiting) as executor:
        future = executor.submit(abs, 1)
        waiting.stop_failures = [failure]
        executor.shutdown(wait=False)
        assert future.cancel()
    assert waiting.stop_failures == []
    assert (waiting.stopped == waiting.submitted) is is_stopped


def test_only_jobs_of_an_executor_can_be_attached(access: FolderAccess) -> None:
    with pytest.raises(UsageError, match="no job of an executor"):
        Executor.attach(["job0001"], client=FolderClient(access))
    (access.root / "job0002/executor").mkdir(parents=True)
    (access.root / "job0002/executor/job.json").write_text('{"format": 99, "calls": 1, "chunk": 1}')
    with pytest.raises(UsageError, match="newer version"):
        Executor.attach(["job0002"], client=FolderClient(access))


def test_a_rejected_job_says_why(waiting: FolderAccess) -> None:
    with executor_of(waiting, resources={"cpus": 0}) as executor:
        future = executor.submit(abs, 1)
        until(lambda: waiting.submitted)
        reason = {"key": "aws-job.json", "problem": "cpus is 0", "remedy": "state one or more"}
        waiting.end(waiting.submitted[0], Word.FILE_REJECTED, reasons=[reason])
    with pytest.raises(ResultMissing, match=r"aws-job\.json: cpus is 0; state one or more"):
        future.result()


def test_a_dead_job_keeps_the_results_that_it_has_and_tells_its_last_words(
    waiting: FolderAccess, gathering: Callable[[], None]
) -> None:
    gathering()
    with executor_of(waiting, chunk=2) as executor:
        results = [executor.submit(lambda n: n or __import__("os")._exit(7), n) for n in (1, 0)]
        executor.shutdown(wait=False)
        job_id = waiting.submitted[0]
        stderr = waiting.root / job_id / "aws-job-stderr.txt"
        stderr.write_text("a" * 3000 + "\nillegal instruction\n")
        waiting.run_to_end(job_id)
    assert results[0].result() == 1
    with pytest.raises(ResultMissing, match=r"(?s)failed, exit code 7.*illegal instruction$"):
        results[1].result()


def test_a_result_that_was_seen_half_way_is_fetched_again_at_the_end(
    waiting: FolderAccess,
) -> None:
    with executor_of(waiting) as executor:
        future = executor.submit(abs, -1)
        until(lambda: waiting.submitted)
        (job_id,) = waiting.submitted
        waiting.run_untold(job_id)
        results = waiting.root / job_id / "executor/results/000000"
        body = results.read_bytes()
        results.write_bytes(bytes(len(body)))
        (results.parent / "stray.txt").write_text("not a result")
        waiting.end(job_id, Word.JOB_RUNNING)
        until(lambda: len(waiting.listed) == 1)
        results.write_bytes(body)
        waiting.end(job_id, Word.JOB_COMPLETE)
    assert future.result() == 1


def test_the_last_words_of_an_element_are_its_own_and_few_are_read(
    waiting: FolderAccess, gathering: Callable[[], None]
) -> None:
    gathering()
    with executor_of(waiting) as executor:
        futures = [executor.submit(abs, n) for n in range(30)]
        executor.shutdown(wait=False)
        (job_id,) = waiting.submitted
        for element in range(30):
            log = waiting.root / job_id / f"aws-job-stderr.{element}.txt"
            log.write_text(f"out of memory in {element}\n")
        waiting.end(job_id, Word.JOB_FAILED, message="30 of 30 elements failed")
    told = [str(future.exception()) for future in futures]
    assert "30 of 30 elements failed" in told[29]
    assert told[12].endswith("out of memory in 12")
    assert sum("out of memory" in text for text in told) == 20
    assert waiting.listed == [("executor/results/", ""), ("aws-job-stderr.", "")]


def test_a_fault_that_passes_is_waited_out_and_a_refusal_is_told(waiting: FolderAccess) -> None:
    with executor_of(waiting) as executor:
        future = executor.submit(abs, -1)
        until(lambda: waiting.submitted)
        waiting.failures = [CloudUnreachable("no route"), CloudUnreachable("no route")]
        until(lambda: not waiting.failures)
        waiting.run_to_end(waiting.submitted[0])
        assert future.result(PATIENCE) == 1
        refused = executor.submit(abs, -1)
        until(lambda: len(waiting.submitted) == 2)
        waiting.failures = [CloudRefused("no right")]
        error = refused.exception(PATIENCE)
    assert isinstance(error, CloudRefused)
    assert "Executor.attach" in error.__notes__[0]


def test_an_upload_that_fails_is_the_end_of_its_calls_only(access: FolderAccess) -> None:
    access.failures = [CloudRefused("no right")]
    with executor_of(access) as executor:
        with pytest.raises(CloudRefused):
            executor.submit(abs, -1).result(PATIENCE)
        assert executor.submit(abs, -1).result(PATIENCE) == 1


def test_arguments_that_have_no_meaning(access: FolderAccess) -> None:
    with pytest.raises(UsageError, match="at least one call"):
        executor_of(access, chunk=0)
    with pytest.raises(UsageError, match="not both"):
        executor_of(access, site="dc1")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_waits_and_is_seen_on_a_terminal_only(
    access: FolderAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    with executor_of(access) as executor:
        executor.map(abs, range(3))
        monkeypatch.setattr("sys.stderr", terminal)
        executor.progress("Plates")
        monkeypatch.setattr("sys.stderr", pipe)
        executor.progress()
    assert terminal.getvalue().endswith(f"\r{bar_text('Plates', 3, 3)}\n")
    assert pipe.getvalue() == ""


def test_a_bar_is_seen_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    cell = io.StringIO()
    with ProgressBar("Calls", 0, cell) as bar:
        bar.show(0)
    assert cell.getvalue() == f"\rCalls [{'#' * 40}] 0/0\n"


def test_a_bar_is_drawn_anew_only_when_it_changes() -> None:
    terminal = Terminal()
    with ProgressBar("Calls", 4, terminal) as bar:
        for done in (0, 1, 1, 4):
            bar.show(done)
    lines = terminal.getvalue().split("\r")[1:]
    assert lines[1] == "Calls [##########------------------------------] 1/4"
    assert len(lines) == 3
