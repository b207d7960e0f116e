"""Steps that take long go on while others are taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from puller.at_work import MOST_LONG, AtWork
from tests.patience import PATIENCE


class Held:
    """Steps that end when they are let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun: list[str] = []

    def step(self, name: str) -> str:
        self.begun.append(name)
        if name.startswith("long"):
            assert self.let_go.wait(PATIENCE)
        if name.endswith("bad"):
            raise ValueError(name)
        return name


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    monkeypatch.setattr("puller.at_work.LONG_AFTER", 0.1)
    made = Held()
    yield made
    made.let_go.set()


def take(at_work: AtWork[str], held: Held, *names: str, at_once: int = 8) -> set[str]:
    items = [(name, name) for name in names]
    return set(at_work.take(held.step, items, at_once=at_once, to_the_end=False))


def test_all_steps_are_taken_so_many_at_once() -> None:
    at_work: AtWork[int] = AtWork()
    running: set[int] = set()
    most: list[int] = []

    def step(number: int) -> int:
        running.add(number)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(number)
        return number

    items = [(str(number), number) for number in range(20)]
    assert sorted(at_work.take(step, items, at_once=3, to_the_end=True)) == list(range(20))
    assert 1 < max(most) <= 3
    assert not at_work.under_way()


def test_one_that_takes_long_goes_on(held: Held) -> None:
    at_work: AtWork[str] = AtWork()
    assert take(at_work, held, "long", "a", "b", at_once=1) == {"a", "b"}
    assert at_work.under_way() == {"long"}
    assert take(at_work, held, "c") == {"c"}
    held.let_go.set()
    at_work.finish()
    assert at_work.under_way() == frozenset()


def test_what_is_under_way_has_no_second_step(held: Held) -> None:
    at_work: AtWork[str] = AtWork()
    take(at_work, held, "long")
    assert take(at_work, held, "long", "a") == {"a"}
    assert held.begun == ["long", "a"]
    held.let_go.set()
    at_work.finish()


def test_who_waits_to_the_end_gets_all(held: Held) -> None:
    at_work: AtWork[str] = AtWork()
    threading.Timer(0.4, held.let_go.set).start()
    given = at_work.take(held.step, [("long", "long")], at_once=8, to_the_end=True)
    assert given == ["long"]


def test_it_is_crowded_where_many_take_long(held: Held) -> None:
    at_work: AtWork[str] = AtWork()
    names = [f"long {number}" for number in range(MOST_LONG)]
    take(at_work, held, *names[1:])
    assert not at_work.crowded()
    take(at_work, held, names[0])
    assert at_work.crowded()
    assert take(at_work, held, "a", "b") == {"a", "b"}
    held.let_go.set()
    at_work.finish()
    assert not at_work.crowded()


def test_however_many_take_long_the_threads_are_bounded(held: Held) -> None:
    at_work: AtWork[str] = AtWork()
    names = [f"long {number}" for number in range(100)]
    taking = threading.Thread(target=take, args=(at_work, held, *names))
    taking.start()
    deadline = time.monotonic() + PATIENCE
    while len(held.begun) < 3 * MOST_LONG and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    assert len(held.begun) == 3 * MOST_LONG
    held.let_go.set()
    taking.join(PATIENCE)
    at_work.finish()
    assert sorted(held.begun) == sorted(names)


def test_a_failure_ends_the_taking(held: Held) -> None:
    at_work: AtWork[str] = AtWork()
    with pytest.raises(ValueError, match="bad"):
        take(at_work, held, "a", "bad", "b", at_once=1)
    assert held.begun == ["a", "bad"]


def test_a_failure_of_one_that_went_on_is_told_by_whoever_asks_next(held: Held) -> None:
    at_work: AtWork[str] = AtWork()
    take(at_work, held, "long bad", "long")
    held.let_go.set()
    with pytest.raises(ValueError, match="long bad"):
        at_work.finish()
    at_work.finish()
    assert not at_work.under_way()
