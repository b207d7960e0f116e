"""Waiting for the end of a job."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import pytest

from job_protocol.states import Word
from jobferry.errors import CloudUnreachable, JobNotFound, WaitTimedOut
from jobferry.polling import changes, intervals
from jobferry.report import Report


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


def _report(word: Word, revision: int = 1) -> Report:
    return Report("job0001", word, {"revision": revision, "upload": {"version": "v"}})


def _words(
    states: Iterable[Report | Exception | None],
    time: Time | None = None,
    timeout: float | None = None,
    before: tuple[object, object] | None = None,
) -> list[Word | None]:
    time = time or Time()
    left = iter(states)

    def look() -> Report | None:
        state = next(left)
        if isinstance(state, Exception):
            raise state
        return state

    found = changes(look, sleep=time.sleep, clock=time.clock, timeout=timeout, before=before)
    return [report.word for report in found]


def test_intervals_grow_from_two_to_fifteen_seconds() -> None:
    seconds = list(islice(intervals(), 30))
    assert seconds[0] == 2
    assert seconds == sorted(seconds)
    assert seconds[-1] == 15


def test_each_change_is_told_once_up_to_the_end() -> None:
    queued, done = _report(Word.JOB_QUEUED), _report(Word.JOB_COMPLETE, 2)
    assert _words([queued, queued, done]) == [Word.JOB_QUEUED, Word.JOB_COMPLETE]


def test_the_end_of_an_earlier_run_is_not_the_end() -> None:
    late, done = _report(Word.JOB_FAILED, 7), _report(Word.JOB_COMPLETE, 9)
    assert _words([late, late, done], before=late.identity) == [Word.JOB_COMPLETE]


def test_a_cloud_that_is_silent_for_a_while_does_not_end_the_wait() -> None:
    states = [_report(Word.JOB_RUNNING), CloudUnreachable("x"), _report(Word.JOB_COMPLETE, 2)]
    assert _words(states) == [Word.JOB_RUNNING, Word.JOB_COMPLETE]


def test_a_cloud_that_never_answered_ends_it_at_once() -> None:
    with pytest.raises(CloudUnreachable):
        _words([CloudUnreachable("x")])


def test_a_job_that_vanishes_ends_it() -> None:
    with pytest.raises(JobNotFound):
        _words([_report(Word.JOB_RUNNING), None])


def test_the_time_limit_is_kept_to_the_second_and_names_the_last_word() -> None:
    time = Time()
    with pytest.raises(WaitTimedOut, match=r"10 s \(JOB_RUNNING\)"):
        _words([_report(Word.JOB_RUNNING)] * 20, time, timeout=10)
    assert time.now == 10
