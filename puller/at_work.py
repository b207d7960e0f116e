"""Takes steps with many things at once; one that takes long goes on while others are taken.

A large input may take an hour to arrive. What else the site holds must not wait for it: results of
a job that has ended, a job that somebody wants stopped, and a job that needs no such input.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LONG_AFTER = 5.0
"""Seconds after which a step is one that takes long."""

MOST_LONG = 8
"""Steps that take long after which no more of those begin that may: see `AtWork.crowded`."""

_THREADS = 3 * MOST_LONG


@dataclass(frozen=True, slots=True)
class _Step(Generic[R]):
    future: Future[R]
    begun: float

    def is_long(self) -> bool:
        return not self.future.done() and self.age() > LONG_AFTER

    def age(self) -> float:
        return time.monotonic() - self.begun


class AtWork(Generic[R]):
    """The steps of one process that are under way; each has a name, and a name has one step."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._steps: dict[str, _Step[R]] = {}

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="step")

    def under_way(self) -> frozenset[str]:
        """The names of the steps that go on.

        Raises:
            BaseException: what a step raised that has ended since.
        """
        ended = [name for name, step in self._steps.items() if step.future.done()]
        for step in [self._steps.pop(name) for name in ended]:
            step.future.result()
        return frozenset(self._steps)

    def finish(self) -> None:
        """Wait until nothing is under way.

        Raises:
            BaseException: what a step raised.
        """
        wait(self._running())
        self.under_way()

    def crowded(self) -> bool:
        """Whether so many steps take long that none should begin that may; any thread may ask."""
        return sum(step.is_long() for step in list(self._steps.values())) >= MOST_LONG

    def take(
        self,
        work: Callable[[T], R],
        items: Iterable[tuple[str, T]],
        *,
        at_once: int,
        to_the_end: bool,
    ) -> list[R]:
        """Take a step with each item.

        Args:
            work: the step.
            items: each with the name of its step; one whose step is under way is left out.
            at_once: how many steps, without those that take long.
            to_the_end: whether to wait for those that take long, too.

        Returns:
            What the steps gave that have ended; the others are under way.

        Raises:
            BaseException: what the first step raised that failed. No other is begun then, and
                what had begun has ended, or takes long.
        """
        patience = math.inf if to_the_end else LONG_AFTER
        waiting = (item for item in items if item[0] not in self._steps)
        begun: list[str] = []
        results: list[R] = []
        failure: BaseException | None = None
        more = True
        while True:
            for name in [name for name in begun if self._steps[name].future.done()]:
                begun.remove(name)
                future = self._steps.pop(name).future
                error = future.exception()
                if error is None:
                    results.append(future.result())
                else:
                    failure = failure or error
            ages = [self._steps[name].age() for name in begun]
            short = sum(age <= patience for age in ages)
            if more and failure is None and short < at_once and self._has_room():
                item = next(waiting, None)
                if item is None:
                    more = False
                else:
                    name, thing = item
                    future = self._pool.submit(work, thing)
                    self._steps[name] = _Step(future, time.monotonic())
                    begun.append(name)
                continue
            if short == 0 and (not more or failure is not None):
                break
            until = patience - max((age for age in ages if age <= patience), default=-math.inf)
            timeout = None if math.isinf(until) else max(0.0, until) + 0.01
            wait(self._running(), timeout, FIRST_COMPLETED)
        if failure is not None:
            raise failure
        return results

    def _running(self) -> list[Future[R]]:
        return [step.future for step in self._steps.values() if not step.future.done()]

    def _has_room(self) -> bool:
        return len(self._running()) < _THREADS
