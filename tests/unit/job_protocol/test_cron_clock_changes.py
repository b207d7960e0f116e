"""Cron expressions where clocks change, against a scan over every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_protocol.cron_expression import CronExpression, next_launches
from tests.unit.job_protocol.cron_reference import Reference, references

CHANGES = [
    ("America/New_York", "2024-03-10T07:00"),
    ("America/New_York", "2024-11-03T06:00"),
    ("Europe/London", "2024-03-31T01:00"),
    ("Europe/London", "2024-10-27T01:00"),
    ("Asia/Tokyo", "2024-02-29T00:00"),  # none: Tokyo's clocks do not change
    ("Australia/Lord_Howe", "2024-04-06T15:00"),  # back by half an hour
    ("Australia/Lord_Howe", "2024-10-05T15:30"),
    ("Pacific/Apia", "2011-12-30T10:00"),  # no 30 December at all
    ("Pacific/Apia", "2012-03-31T14:00"),
    ("America/St_Johns", "2006-10-29T02:31"),  # back over midnight, at 00:01
    ("America/Sao_Paulo", "2018-11-04T03:00"),  # no midnight
    ("America/Sao_Paulo", "2018-02-18T02:00"),  # 23:00 to midnight twice
]
BEFORE, AFTER = timedelta(hours=27), timedelta(hours=30)


@cache
def minutes_around(zone: str, change: str) -> list[tuple[datetime, datetime]]:
    """Every minute around a change: the time in UTC, and what the zone's clocks show."""
    middle = datetime.fromisoformat(change).replace(tzinfo=UTC)
    count = int((BEFORE + AFTER) / timedelta(minutes=1))
    times = [middle - BEFORE + timedelta(minutes=n) for n in range(count)]
    return [(t, t.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for t in times]


@settings(max_examples=120, deadline=None)
@given(
    reference=references,
    place=st.sampled_from(CHANGES),
    offset=st.integers(0, int(BEFORE.total_seconds())),
)
def test_launches_are_those_of_a_scan_over_every_minute(
    reference: Reference, place: tuple[str, str], offset: int
) -> None:
    minutes = minutes_around(*place)
    after = minutes[0][0] + timedelta(seconds=offset)
    launches = next_launches([CronExpression.parse(reference.text)], after, ZoneInfo(place[0]))
    assert list(takewhile(lambda t: t <= minutes[-1][0], launches)) == [
        t for t, reading in minutes if t > after and reference.matches(reading)
    ]


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize("expression", ["*/7 * * * *", "*/30 0-3 * * *", "59 23 30,29 * *"])
def test_the_times_around_every_change(zone: str, change: str, expression: str) -> None:
    minutes = minutes_around(zone, change)
    chosen = {
        "*/7 * * * *": lambda r: r.minute % 7 == 0,
        "*/30 0-3 * * *": lambda r: r.minute % 30 == 0 and r.hour <= 3,
        "59 23 30,29 * *": lambda r: (r.hour, r.minute) == (23, 59) and r.day in (29, 30),
    }[expression]
    launches = next_launches([CronExpression.parse(expression)], minutes[0][0], ZoneInfo(zone))
    assert list(takewhile(lambda t: t <= minutes[-1][0], launches)) == [
        t for t, reading in minutes[1:] if chosen(reading)
    ]


def launches_of(expression: str, zone: str, after: str, count: int) -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    found = next_launches([CronExpression.parse(expression)], start, ZoneInfo(zone))
    return [f"{t.astimezone(ZoneInfo(zone)):%m-%d %H:%M %z}" for t in islice(found, count)]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 2 * * *", "2019-03-09T01:00", ["03-09 02:00 -0800", "03-11 02:00 -0700"]),
        ("0 4 * * *", "2019-03-09T05:00", ["03-10 04:00 -0700", "03-11 04:00 -0700"]),
        ("0 1 * * *", "2019-03-09T02:00", ["03-10 01:00 -0800", "03-11 01:00 -0700"]),
        ("30 3 * * *", "2019-11-03T00:00", ["11-03 03:30 -0800", "11-04 03:30 -0800"]),
        ("30 1 * * *", "2019-11-03T00:00", ["11-03 01:30 -0700", "11-03 01:30 -0800"]),
        ("0 1 * * *", "2019-11-03T00:00", ["11-03 01:00 -0700", "11-03 01:00 -0800"]),
        ("0 2 * * *", "2019-11-03T00:00", ["11-03 02:00 -0800", "11-04 02:00 -0800"]),
        ("30 1 3 11 *", "2019-11-03T01:30", ["11-03 01:30 -0800", "11-03 01:30 -0800"]),
    ],
)
def test_a_skipped_time_is_skipped_and_a_repeated_one_launches_twice(
    expression: str, after: str, expected: list[str]
) -> None:
    assert launches_of(expression, "America/Los_Angeles", after, 2) == expected


def test_the_day_that_samoa_left_out() -> None:
    assert launches_of("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", 2) == [
        "12-29 12:00 -1000",
        "12-31 12:00 +1400",
    ]
