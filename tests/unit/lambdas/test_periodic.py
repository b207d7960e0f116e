"""Launches of periodic jobs, with triggers that are late, doubled, or die after any write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_protocol.cron_fields import CronError
from lambdas.rules.periodic import CATCH_UP_SECONDS, Periodic, Step, child_id, next_step

START = 1_700_000_000 // 3600 * 3600  # a full hour in November 2023
PARENT = "reports/nightly"


def every(minutes: int, **more: Any) -> Periodic:
    return Periodic.of_job({"Spec": f"*/{minutes} * * * *", **more})


def multiples(minutes: int, after: int, until: int) -> list[int]:
    """The launches of `*/minutes`, told without cron: whole multiples of the interval."""
    step = 60 * minutes
    return [t for t in range(after // step * step, until + 1, step) if t > after]


def step(
    periodic: Periodic, next_due: int | None, now: int, overlapping: bool = False
) -> Step | None:
    return next_step(periodic, PARENT, next_due, now, overlapping=overlapping)


def test_nothing_is_due_before_its_time() -> None:
    assert step(every(5), START + 300, START + 299) is None
    assert step(every(5), None, START) is None


def test_a_due_time_launches_a_child_named_after_it() -> None:
    got = step(every(5), START + 300, START + 311)
    assert got == Step(START + 300, f"{PARENT}/periodic-{START + 300}", START + 600)


def test_each_time_within_three_minutes_launches_in_turn() -> None:
    now = START + CATCH_UP_SECONDS
    first = step(every(1), START, now)
    assert first is not None
    assert (first.due, first.next_due) == (START, START + 60)
    last = step(every(1), START + 180, now)
    assert last is not None
    assert last.next_due == START + 240
    assert step(every(1), last.next_due, now) is None


def test_a_longer_downtime_launches_once_and_the_newest() -> None:
    got = step(every(1), START, START + CATCH_UP_SECONDS + 1)
    assert got == Step(START + 180, child_id(PARENT, START + 180), START + 240)
    years = 3 * 366 * 86400
    got = step(every(1), START, START + years + 59)
    assert got == Step(START + years, child_id(PARENT, START + years), START + years + 60)


def test_a_due_time_that_the_rule_no_longer_knows_is_kept() -> None:
    # The time zone database has changed since `next_due` was written.
    got = step(every(5), START + 17, START + 20)
    assert got == Step(START + 17, child_id(PARENT, START + 17), START + 300)
    assert step(Periodic.of_job({"Spec": "@yearly"}), START, START + 9999).due == START


def test_the_last_launch_is_followed_by_none() -> None:
    periodic = Periodic.of_job({"Spec": "0 0 * 11 * 2023"})
    last = 1_701_302_400  # 2023-11-30
    assert step(periodic, last, last) == Step(last, child_id(PARENT, last), None)


def test_overlap_skips_where_it_is_prohibited_and_is_never_made_up_for() -> None:
    strict = every(5, ProhibitOverlap=True)
    skipped = step(strict, START, START, overlapping=True)
    assert skipped == Step(START, None, START + 300)
    assert step(strict, skipped.next_due, START + 60) is None
    assert step(every(5), START, START, overlapping=True).child == child_id(PARENT, START)


def test_a_disabled_job_never_launches() -> None:
    periodic = every(5, Enabled=False)
    assert periodic.next_after(START) is None
    assert step(periodic, START, START + 1000) is None


def test_what_the_job_says_is_read() -> None:
    periodic = Periodic.of_job(
        {
            "Enabled": True,
            "Spec": "",
            "Specs": ["0 9 * * *", "30 9 * * *"],
            "SpecType": "cron",
            "ProhibitOverlap": True,
            "TimeZone": "Asia/Tokyo",
        }
    )
    assert periodic.prohibit_overlap
    assert periodic.next_after(0) == 1800  # 1970-01-01 09:30 in Tokyo
    plain = Periodic.of_job({"Spec": "@daily", "Specs": None, "TimeZone": None, "Enabled": None})
    assert (plain.enabled, plain.prohibit_overlap, plain.next_after(1)) == (True, False, 86400)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({}, ["no cron expression"]),
        ({"Spec": "@daily", "Specs": ["@hourly"]}, ["either cron or crons"]),
        ({"Spec": "x", "TimeZone": "Mars"}, ["fewer than five fields", "time zone 'Mars'"]),
        ({"Specs": ["@daily", "61 * * * *", 5]}, ["minute field: '61'", "5 is not a cron"]),
        ({"Specs": {"a": 1}}, ["is not a cron expression"]),
        ({"Spec": "@daily", "TimeZone": 9}, ["time zone 9 is not a name"]),
        ({"Spec": "@daily", "SpecType": "_internal_test"}, ["only cron is"]),
    ],
)
def test_every_reason_is_told(block: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(CronError) as refusal:
        Periodic.of_job(block)
    lines = str(refusal.value).splitlines()
    assert all(line.startswith("periodic: ") for line in lines)
    assert all(any(words in line for line in lines) for words in said)


@dataclass
class Table:
    """What the launcher writes to: `next_due` of one job, and its children with their ends."""

    next_due: int | None
    ends: dict[str, int] = field(default_factory=dict)

    def create(self, child: str, end: int, read: int) -> None:
        """Create a child unless it exists, or somebody has moved on since `next_due` was read."""
        if self.next_due == read:
            self.ends.setdefault(child, end)

    def advance(self, read: int, to: int | None) -> bool:
        """Move `next_due` if it is still the one that was read."""
        if self.next_due != read:
            return False
        self.next_due = to
        return True

    def active(self, now: int) -> bool:
        return any(end > now for end in self.ends.values())


def launcher(table: Table, periodic: Periodic, now: int, runtime: int = 0) -> Iterator[None]:
    """One trigger; it can be left for ever at each `yield`, which is before each access."""
    while True:
        yield
        read, active = table.next_due, table.active(now)
        found = step(periodic, read, now, active)
        if found is None or read is None:
            return
        if found.child is not None:
            yield
            table.create(found.child, now + runtime, read)
        yield
        if not table.advance(read, found.next_due):
            return


triggers = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 200), st.integers(0, 4000)),  # seconds since the one before
        st.one_of(st.none(), st.integers(0, 9)),  # the access before which it dies
    ),
    min_size=1,
    max_size=12,
)
intervals = st.sampled_from([1, 2, 5, 15, 30])


def run(trigger: Iterator[None], accesses: int | None) -> None:
    for number, _ in enumerate(trigger):
        if number == accesses:
            return


@settings(max_examples=200, deadline=None)
@given(minutes=intervals, history=triggers)
def test_with_any_deaths_each_due_time_launches_exactly_once(
    minutes: int, history: list[tuple[int, int | None]]
) -> None:
    periodic = every(minutes)
    table = Table(periodic.next_after(START))
    now = START
    undecided_after = START
    expected: set[int] = set()
    for wait, dies in [*history, (0, None)]:
        now += wait
        run(launcher(table, periodic, now), dies)
        # The model: three accesses for each launch (read, create, advance), in this order.
        left = 99_999 if dies is None else dies
        while left > 1 and (due := multiples(minutes, undecided_after, now)):
            launch = due[0] if now - due[0] <= CATCH_UP_SECONDS else due[-1]
            expected.add(launch)
            if left > 2:
                undecided_after = launch
            left -= 3
    assert set(table.ends) == {child_id(PARENT, launch) for launch in expected}
    assert table.next_due == multiples(minutes, now, now + 3600)[0]


@settings(max_examples=200, deadline=None)
@given(
    minutes=st.sampled_from([1, 2]),
    late=st.lists(st.integers(0, 50), min_size=2, max_size=4),
    order=st.lists(st.integers(0, 3), max_size=60),
)
def test_triggers_at_once_launch_each_due_time_exactly_once(
    minutes: int, late: list[int], order: list[int]
) -> None:
    periodic = every(minutes)
    table = Table(periodic.next_after(START - 1))
    nows = [START + 120 + seconds for seconds in late]
    running = [launcher(table, periodic, now) for now in nows]
    for number in order:
        next(running[number % len(running)], None)
    for trigger in running:
        run(trigger, None)
    launches = multiples(minutes, START - 1, max(nows))
    assert set(table.ends) == {child_id(PARENT, launch) for launch in launches}


@settings(max_examples=200, deadline=None)
@given(
    minutes=intervals,
    runtime=st.integers(1, 4000),
    waits=st.lists(st.integers(1, 170), min_size=1, max_size=40),
)
def test_children_never_overlap_where_that_is_prohibited(
    minutes: int, runtime: int, waits: list[int]
) -> None:
    periodic = every(minutes, ProhibitOverlap=True)
    table = Table(periodic.next_after(START))
    moments = list(accumulate(waits, initial=START))[1:]
    for now in moments:
        run(launcher(table, periodic, now, runtime), None)
    begins = sorted(end - runtime for end in table.ends.values())
    assert all(later - earlier >= runtime for earlier, later in pairwise(begins))
    for launch in multiples(minutes, START, moments[-1]):
        decided = next(moment for moment in moments if moment >= launch)
        covered = any(begin <= decided < begin + runtime for begin in begins)
        assert child_id(PARENT, launch) in table.ends or covered
