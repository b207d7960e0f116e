"""A puller that lingers: it goes on until its deadline, and TERM lets it finish its steps."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from puller.errors import HeldElsewhere
from puller.lingering import Lingering
from puller.pass_outcome import Outcome


@dataclass
class Passes:
    """In place of a `SitePass`: notes when passes begin and end."""

    during: Callable[[int], None] = lambda number: None
    leaving_more: int = 0
    with_long_steps: int = 0
    finished: int = 0
    begun: list[float] = field(default_factory=list)
    ended: int = 0

    def run(self, **_: object) -> Outcome:
        self.begun.append(time.monotonic())
        self.during(len(self.begun))
        self.ended += 1
        return Outcome(
            unreachable=f"pass {self.ended}",
            more=self.ended <= self.leaving_more,
            under_way=self.ended <= self.with_long_steps,
        )

    def finish(self) -> None:
        self.finished += 1

    def beat(self) -> None:
        """Not called within a test's time."""


def lingering(passes: Passes, interval: float = 0.05) -> Lingering:
    anything: Any = passes
    return Lingering(anything, anything, interval)


def test_without_time_there_is_one_pass() -> None:
    passes = Passes()
    outcome = lingering(passes).run(time.monotonic())
    assert passes.ended == 1
    assert outcome.unreachable == "pass 1"


def test_passes_follow_at_the_interval_until_the_deadline() -> None:
    passes = Passes()
    deadline = time.monotonic() + 2
    outcome = lingering(passes, 0.5).run(deadline)
    assert 2 <= passes.ended <= 5
    assert passes.begun[-1] <= deadline
    assert all(b - a >= 0.499 for a, b in zip(passes.begun, passes.begun[1:], strict=False))
    assert outcome.unreachable == f"pass {passes.ended}"


def test_a_pass_that_left_something_to_claim_is_followed_at_once() -> None:
    passes = Passes(leaving_more=3)
    passes.during = lambda number: os.kill(os.getpid(), signal.SIGTERM) if number == 4 else None
    lingering(passes, 300).run(time.monotonic() + 600)
    assert passes.ended == 4


def test_without_time_it_goes_on_while_something_is_left() -> None:
    passes = Passes(leaving_more=3)
    assert lingering(passes, 300).run(time.monotonic()).unreachable == "pass 4"


def test_one_that_lingers_leaves_the_rest_to_its_successor() -> None:
    passes = Passes(leaving_more=3)
    lingering(passes, 300).run(time.monotonic() + 10)
    assert passes.ended == 1


def test_who_is_told_to_leave_begins_no_further_claims() -> None:
    passes = Passes(leaving_more=3, during=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    lingering(passes).run(time.monotonic())
    assert passes.ended == 1


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_passes_go_on_as_long_as_a_step_does(seconds: float) -> None:
    passes = Passes(with_long_steps=3)
    lingering(passes, 0.2).run(time.monotonic() + seconds)
    assert passes.ended == 4
    assert passes.begun[-1] - passes.begun[0] >= 0.6


def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("puller.lingering._OVERTIME", 0.5)
    passes = Passes(with_long_steps=1_000_000)
    lingering(passes, 0.05).run(time.monotonic())
    assert 2 <= passes.ended <= 11
    assert passes.finished == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_pass_that_is_told_to_end_finishes_its_step_first(number: signal.Signals) -> None:
    done: list[str] = []

    def step(_number: int) -> None:
        os.kill(os.getpid(), number)
        time.sleep(0.05)
        done.append("whole")

    passes = Passes(during=step)
    lingering(passes).run(time.monotonic() + 30)
    assert (passes.ended, passes.finished, done) == (1, 1, ["whole"])


def test_waiting_ends_at_once_when_it_is_told_to() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    passes = Passes()
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        begun = time.monotonic()
        lingering(passes, 300).run(begun + 600)
        assert time.monotonic() - begun < 60
    finally:
        signal.signal(signal.SIGALRM, before)
    assert passes.ended == 1


def test_the_handlers_of_signals_are_put_back_even_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def held(_number: int) -> None:
        raise HeldElsewhere("another host runs this installation")

    with pytest.raises(HeldElsewhere):
        lingering(Passes(during=held)).run(time.monotonic() + 30)
    assert signal.getsignal(signal.SIGTERM) is before
