"""Waiting for a job's end without asking too often."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobferry.errors import CloudUnreachable, JobNotFound, WaitTimedOut
from jobferry.report import Report

FIRST_INTERVAL = 2.0
LONGEST_INTERVAL = 15.0
_GROWTH = 1.25


def intervals() -> Iterator[float]:
    """Seconds between two looks: 2 at first, growing to 15."""
    seconds = FIRST_INTERVAL
    while True:
        yield seconds
        seconds = min(seconds * _GROWTH, LONGEST_INTERVAL)


def changes(
    look: Callable[[], Report | None],
    *,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
    timeout: float | None = None,
    before: tuple[object, object] | None = None,
) -> Iterator[Report]:
    """Each state of a job that differs from the last one seen, up to its end.

    Args:
        look: reads the state.
        sleep: waits for some seconds.
        clock: seconds, never going back.
        timeout: seconds until it gives up; None is never.
        before: `Report.identity` of a run that had ended before this one was asked for: a late
            publication of that end is not the end of this run.

    Raises:
        JobNotFound: there is no such job.
        WaitTimedOut: the time is up.
        JobferryError: the first look failed; later ones may fail for a while.
    """
    deadline = None if timeout is None else clock() + timeout
    last: Report | None = None
    for seconds in intervals():
        try:
            report = look()
        except CloudUnreachable:
            if last is None:
                raise
            report = last
        if report is None:
            raise JobNotFound("there is no job under this id (any more); check the id")
        late = report.dead and before is not None and report.identity == before
        if report != last and not late:
            yield report
            last = report
            if report.dead:
                return
        if deadline is not None and clock() + seconds > deadline:
            left = deadline - clock()
            if left <= 0:
                word = last.word.value if last and last.word else "not accepted yet"
                raise WaitTimedOut(
                    f"job {report.job!r} had not ended after {timeout:g} s ({word}); it goes on, "
                    "wait again"
                )
            seconds = left
        sleep(seconds)
