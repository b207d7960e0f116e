"""Keeps passing until the next cron tick, and keeps the sign of life fresh in a long pass."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from puller.pass_outcome import Outcome
from puller.site_pass import HEARTBEAT_SECONDS, SitePass
from puller.workplace import Workplace

_LOG = logging.getLogger(__name__)

_OVERTIME = 3600.0
"""Seconds."""


class Lingering:
    """Passes at an interval until a deadline, or until TERM or INT asks for the end."""

    def __init__(self, one: SitePass, place: Workplace, interval: float) -> None:
        """Repeat a pass.

        Args:
            one: makes one pass.
            place: its tools.
            interval: seconds between the beginnings of two passes.
        """
        self._one = one
        self._place = place
        self._interval = interval
        self._leave = threading.Event()

    def run(self, deadline: float) -> Outcome:
        """Pass at least once, and again until the deadline.

        Without time to linger, it goes on for as long as a pass has left something to claim: who
        lingers is followed by another, who does not may be the last for a while. While steps that
        take long go on, so do passes, since no other puller can begin; but for an hour at most, so
        that a new version or setting has its turn.

        Args:
            deadline: on the monotonic clock, in seconds.

        Returns:
            What became of the last pass.
        """
        lingers = time.monotonic() < deadline
        with self._leaving_on_signals(), self._signs_of_life():
            while True:
                next_begin = time.monotonic() + self._interval
                leaving = next_begin >= deadline
                outcome = self._one.run(leaving=leaving, to_the_end=False)
                goes_on = outcome.under_way or (outcome.more and not lingers)
                late = next_begin >= deadline + _OVERTIME
                if self._leave.is_set() or (leaving and (late or not goes_on)):
                    break
                if not outcome.more:
                    self._leave.wait(max(0.0, next_begin - time.monotonic()))
                    if self._leave.is_set():
                        break
            self._one.finish()
            return outcome

    @contextmanager
    def _leaving_on_signals(self) -> Iterator[None]:
        """A pass that is asked to end finishes its steps first; nothing is cut short."""

        def leave(_number: int, _frame: FrameType | None) -> None:
            self._leave.set()

        before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def _signs_of_life(self) -> Iterator[None]:
        """While a pass moves large files, the site must not look silent."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS * 5):
                try:
                    self._one.beat()
                except Exception as error:  # the pass itself will meet and tell it
                    _LOG.warning("no sign of life was written: %s", error)

        thread = threading.Thread(target=beat, name="signs of life", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
