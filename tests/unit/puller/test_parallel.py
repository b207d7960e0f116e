"""Bounded parallel work: every result counts, and a failure stops what has not begun."""

from __future__ import annotations

import threading

import pytest

from puller.parallel import in_parallel


def test_every_result_comes_once() -> None:
    assert sorted(in_parallel(lambda n: n * n, range(500), workers=8)) == [
        n * n for n in range(500)
    ]


def test_no_more_than_the_workers_are_under_way_and_items_are_taken_as_needed() -> None:
    taken: list[int] = []
    running, most = 0, 0
    lock = threading.Lock()

    def items() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        return number

    results = in_parallel(work, items(), workers=3)
    next(results)
    assert len(taken) < 20
    assert len(list(results)) == 99
    assert most <= 3


def test_after_a_failure_nothing_new_begins_and_finished_work_is_not_lost() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 10:
            raise ValueError("ten")
        return number

    collected: list[int] = []

    def collect() -> None:
        for result in in_parallel(work, range(1000), workers=2):
            collected.append(result)

    with pytest.raises(ValueError, match="ten"):
        collect()
    assert sorted([*collected, 10]) == sorted(begun)
    assert len(begun) < 30
