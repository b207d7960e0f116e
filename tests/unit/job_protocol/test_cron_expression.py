"""Cron expressions: the grammar, the calendar, and whatever a stranger may write."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_protocol.cron_expression import CronExpression, next_launches, time_zone
from job_protocol.cron_fields import CronError
from tests.unit.job_protocol.cron_reference import Drawn, Reference, references


def following(expression: str, after: str, count: int = 1, zone: str = "UTC") -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    launches = next_launches([CronExpression.parse(expression)], start, time_zone(zone))
    return [launch.strftime("%a %Y-%m-%d %H:%M:%S") for launch in islice(launches, count)]


@pytest.mark.parametrize(
    ("expression", "after", "first"),
    [
        # 2013-01-01 is a Tuesday, 2013-09-01 a Sunday.
        ("* * * * *", "2013-01-01 00:00:59", "Tue 2013-01-01 00:01:00"),
        ("* * * * *", "2012-12-31 23:59:00", "Tue 2013-01-01 00:00:00"),
        ("17-43/5 * * * *", "2013-01-01 00:30:00", "Tue 2013-01-01 00:32:00"),
        ("17-43/5 * * * *", "2013-01-01 00:50:00", "Tue 2013-01-01 01:17:00"),
        ("15-30/4,55 * * * *", "2016-02-28 23:55:00", "Mon 2016-02-29 00:15:00"),
        ("50/4 * * * *", "2013-01-01 00:54:00", "Tue 2013-01-01 00:58:00"),
        ("0 20/2 * * *", "2013-01-01 20:00:00", "Tue 2013-01-01 22:00:00"),
        ("0 0 * * MON", "2013-12-30 00:30:00", "Mon 2014-01-06 00:00:00"),
        ("0 0 * * friday", "2013-01-28 00:00:00", "Fri 2013-02-01 00:00:00"),
        ("0 0 * * 6,7", "2013-01-05 00:00:00", "Sun 2013-01-06 00:00:00"),
        ("0 0 * * 5-7", "2013-01-05 12:00:00", "Sun 2013-01-06 00:00:00"),
        ("0 0 * * 5-7/2", "2013-01-04 12:00:00", "Sun 2013-01-06 00:00:00"),
        ("0 0 * * fri-sun", "2013-01-05 12:00:00", "Sun 2013-01-06 00:00:00"),
        ("0 0 * * sun-tue", "2013-01-02 00:00:00", "Sun 2013-01-06 00:00:00"),
        ("0 0 * * 0-0", "2013-01-08 12:00:00", "Sun 2013-01-13 00:00:00"),
        ("0 0 * * 7-7", "2013-01-08 12:00:00", "Sun 2013-01-13 00:00:00"),
        ("0 0 * * sun-sun", "2013-01-08 12:00:00", "Sun 2013-01-13 00:00:00"),
        ("0 0 * * 7-1", "2013-01-08 12:00:00", "Sun 2013-01-13 00:00:00"),
        ("0 0 * * 0-7", "2013-01-08 12:00:00", "Wed 2013-01-09 00:00:00"),
        ("0 0 * * 6#5", "2013-09-02 00:00:00", "Sat 2013-11-30 00:00:00"),
        ("0 0 * * fri#3", "2013-09-02 00:00:00", "Fri 2013-09-20 00:00:00"),
        ("0 0 * * 5L", "2013-09-02 00:00:00", "Fri 2013-09-27 00:00:00"),
        ("0 0 * * FridayL", "2013-11-02 00:00:00", "Fri 2013-11-29 00:00:00"),
        ("0 0 14W * *", "2013-03-31 00:00:00", "Mon 2013-04-15 00:00:00"),
        ("0 0 14w * *", "2013-08-31 00:00:00", "Fri 2013-09-13 00:00:00"),
        ("0 0 30W * *", "2013-03-02 00:00:00", "Fri 2013-03-29 00:00:00"),
        ("0 0 30W * *", "2013-06-02 00:00:00", "Fri 2013-06-28 00:00:00"),
        ("0 0 1W 6 *", "2013-05-31 00:00:00", "Mon 2013-06-03 00:00:00"),
        ("0 0 L * *", "2016-02-15 00:00:00", "Mon 2016-02-29 00:00:00"),
        ("0 0 LW * *", "2014-08-15 00:00:00", "Fri 2014-08-29 00:00:00"),
        ("0 0 * 04 * *", "2013-09-02 00:00:00", "Tue 2014-04-01 00:00:00"),
        ("0 0 1 sep,OCTOBER ?", "2013-09-02 00:00:00", "Tue 2013-10-01 00:00:00"),
        ("0 0 29 2 *", "2013-08-29 09:28:00", "Mon 2016-02-29 00:00:00"),
        # Six fields add a year, seven put a second first; the rest is passed over.
        ("30 5 * * * 2050", "2013-01-01 00:00:00", "Sat 2050-01-01 05:30:00"),
        ("0 0 1 1 * 2020/5", "2021-01-01 00:00:00", "Wed 2025-01-01 00:00:00"),
        ("15 30 5 * * * *", "2013-01-01 00:00:00", "Tue 2013-01-01 05:30:15"),
        ("15 30 5 * * ? 2014-2016", "2013-01-01 00:00:00", "Wed 2014-01-01 05:30:15"),
        ("0 30 5 * * * * more", "2013-01-01 00:00:00", "Tue 2013-01-01 05:30:00"),
        # Both days restricted: either suffices. `*/2` and `1-31` restrict, a wildcard never.
        ("0 0 13 * fri", "2013-09-02 00:00:00", "Fri 2013-09-06 00:00:00"),
        ("0 0 13 * fri", "2013-08-10 00:00:00", "Tue 2013-08-13 00:00:00"),
        ("0 0 */2 * mon", "2013-09-01 00:00:00", "Mon 2013-09-02 00:00:00"),
        ("0 0 */2 * mon", "2013-09-02 00:00:00", "Tue 2013-09-03 00:00:00"),
        ("0 0 1-31 * mon", "2013-09-02 00:00:00", "Tue 2013-09-03 00:00:00"),
        ("0 0 13 * */2", "2013-09-01 00:00:00", "Tue 2013-09-03 00:00:00"),
        ("0 0 ? * fri", "2013-09-02 00:00:00", "Fri 2013-09-06 00:00:00"),
        ("0 0 13,* * fri", "2013-09-02 00:00:00", "Fri 2013-09-06 00:00:00"),
        ("@hourly", "2013-01-01 00:00:00", "Tue 2013-01-01 01:00:00"),
        ("@daily", "2013-01-01 00:00:00", "Wed 2013-01-02 00:00:00"),
        ("@weekly", "2013-01-01 00:00:00", "Sun 2013-01-06 00:00:00"),
        ("@monthly", "2013-01-01 00:00:00", "Fri 2013-02-01 00:00:00"),
        ("@yearly", "2013-01-01 00:00:00", "Wed 2014-01-01 00:00:00"),
        ("@annually", "2013-01-01 00:00:00", "Wed 2014-01-01 00:00:00"),
        (" ,5,,\t* * * * ", "2013-01-01 00:00:00", "Tue 2013-01-01 00:05:00"),
    ],
)
def test_the_next_launch(expression: str, after: str, first: str) -> None:
    assert following(expression, after) == [first]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "fewer than five fields"),
        ("* * * *", "fewer than five fields"),
        ("@Daily", "fewer than five fields"),
        ("@reboot", "fewer than five fields"),
        ("@every 5m", "fewer than five fields"),
        ("60 * * * *", "minute field: '60' is not a number from 0 to 59"),
        ("000 * * * *", "minute field: '000' is not a number"),
        ("* 24 * * *", "hour field: '24'"),
        ("* * 0 * *", "day-of-month field: '0'"),
        ("* * 32W * *", "day-of-month field: '32'"),
        ("* * L-3 * *", "day-of-month field: 'l' is no value"),
        ("* * * 13 *", "month field: '13'"),
        ("* * * sept *", "month field: 'sept' is no value"),
        ("* * * * 8", "day-of-week field: '8'"),
        ("* * * * L", "day-of-week field"),
        ("* * * * fri#6", "day-of-week field: 'fri#6' does not name a week"),
        ("* * * * fri#²", "day-of-week field: 'fri#²' does not name a week"),
        ("* * * * ²L", "day-of-week field"),
        ("* * * * 05", "day-of-week field: '05' has a leading zero"),
        ("* * * * * 1969", "year field: '1969' is not a number from 1970 to 2099"),
        ("* * * * * 2100", "year field: '2100'"),
        ("*/60 * * * *", "minute field: '*/60' has a step that is not from 1 to 59"),
        ("5/0 * * * *", "minute field: '5/0' has a step"),
        ("* */24 * * *", "hour field: '*/24' has a step that is not from 1 to 23"),
        ("* * * * */7", "day-of-week field: '*/7' has a step that is not from 1 to 6"),
        ("?/2 * * * *", "minute field: '?/2' is not understood"),
        ("50-10 * * * *", "minute field: '50-10' is a range that ends before it begins"),
        ("* 22-2,5 * * *", "hour field: '22-2' is a range that ends before it begins"),
        ("* * * nov-feb *", "month field: 'nov-feb' is a range that ends before it begins"),
        ("* * * * sat-mon", "day-of-week field: 'sat-mon' is a range that ends before it begins"),
        ("* * * * 5-0", "day-of-week field: '5-0' is a range that ends before it begins"),
        ("* * * * * 2030-2020", "year field: '2030-2020' is a range"),
        ("*/5 * * * * * *", "second field: '*/5' asks for launches less than a minute apart"),
        ("0,30 0 0 1 1 * *", "second field: '0,30' asks for launches less than a minute apart"),
        (", * * * *", "minute field: ',' names no value"),
        ("*,x * * * *", "minute field: 'x'"),
        ("0" * 5000 + " * * * *", "longer than 4096 characters"),
        ("*/" + "9" * 4000 + " * * * *", "has a step"),
    ],
)
def test_what_is_refused_and_why(expression: str, said: str) -> None:
    with pytest.raises(CronError) as refusal:
        CronExpression.parse(expression)
    assert said in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    "expression",
    ["0 0 31 2 *", "0 0 30 2 ?", "* * * * * 1980", "0 0 31W 4,6,9,11 *", "0 0 30 2 * 2016/4"],
)
def test_what_never_comes(expression: str) -> None:
    assert following(expression, "2013-08-31", zone="Europe/London") == []


def test_the_years_end() -> None:
    assert following("0 0 1 1 *", "1000-01-01", 1) == ["Thu 1970-01-01 00:00:00"]
    assert following("0 12 31 12 *", "2098-12-31 12:00", 2) == ["Thu 2099-12-31 12:00:00"]
    # In Samoa's zone 2099 ends ten hours and more after it has ended in UTC.
    last = following("0 12 31 12 *", "2099-01-01", 2, zone="Pacific/Pago_Pago")
    assert last == ["Thu 2099-12-31 23:00:00"]


@pytest.mark.parametrize("offset", ["-14:00", "+14:00"])
def test_the_ends_of_time(offset: str) -> None:
    hourly = CronExpression.parse("@hourly")
    first = hourly.next(datetime.fromisoformat(f"0001-01-01T00:00:00{offset}"))
    assert first == datetime(1970, 1, 1, tzinfo=UTC)
    assert hourly.next(datetime.fromisoformat(f"9999-12-31T23:59:59{offset}")) is None


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        CronExpression.parse("* * * * *").next(datetime.fromisoformat("2013-01-01"))


def test_several_expressions_launch_each_time_once() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    expressions = [CronExpression.parse(t) for t in ("0 */6 * * *", "0 12 * * *", "30 12 * * *")]
    launches = [f"{launch:%H:%M}" for launch in islice(next_launches(expressions, start), 5)]
    assert launches == ["06:00", "12:00", "12:30", "18:00", "00:00"]
    assert list(next_launches([], start)) == []


def test_an_offset_with_seconds() -> None:
    # Liberia kept 44 minutes and 30 seconds until 1972.
    got = following("0 0 * * *", "1971-06-01 12:00", 1, zone="Africa/Monrovia")
    assert got == ["Wed 1971-06-02 00:44:30"]


@pytest.mark.parametrize(
    "name",
    [
        "Mars/Olympus",
        "America",
        "../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "x" * 10_000,
        "tzdata.zi",
    ],
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(CronError, match="time zone"):
        time_zone(name)


def test_no_zone_is_utc() -> None:
    assert time_zone("") is UTC
    assert time_zone("UTC") is UTC


MIDNIGHT = Drawn("0", lambda reading: True)


@settings(max_examples=80, deadline=None)
@given(reference=references, start=st.dates(date(1970, 1, 1), date(2090, 1, 1)))
def test_days_are_those_of_a_scan_over_every_day(reference: Reference, start: date) -> None:
    daily = Reference(
        MIDNIGHT, MIDNIGHT, reference.day_of_month, reference.month, reference.day_of_week
    )
    first = datetime(start.year, start.month, start.day, tzinfo=UTC)
    days = [first + timedelta(days=n) for n in range(1, 800)]
    launches = next_launches([CronExpression.parse(daily.text)], first)
    assert list(takewhile(lambda t: t <= days[-1], launches)) == [
        day for day in days if daily.matches_day(day)
    ]


PIECES = st.sampled_from([*"0123456789*?/-,#LWlw  @\t", "mon", "JAN", "@daily", "²", "İ", "\0"])


class CountedZone(tzinfo):
    """A zone that counts how often it is asked, the measure of an evaluator's work."""

    def __init__(self, name: str) -> None:
        self.asked = 0
        self._zone = ZoneInfo(name)

    def fromutc(self, at: datetime) -> datetime:
        self.asked += 1
        return self._zone.fromutc(at.replace(tzinfo=self._zone)).replace(tzinfo=self)

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return self._zone.utcoffset(at)

    def dst(self, at: datetime | None) -> timedelta | None:
        return self._zone.dst(at)


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)),
    after=st.datetimes(timezones=st.just(UTC)),
)
def test_a_stranger_gets_an_answer(text: str, after: datetime) -> None:
    try:
        expression = CronExpression.parse(text)
    except CronError:
        return
    launch = expression.next(after)
    assert launch is None or launch > after


@settings(max_examples=80, deadline=None)
@given(
    reference=references,
    year=st.integers(1970, 2099),
    after=st.datetimes(timezones=st.just(UTC)),
    name=st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_work_is_bounded_however_far_the_launch(
    reference: Reference, year: int, after: datetime, name: str
) -> None:
    zone = CountedZone(name)
    CronExpression.parse(f"{reference.text} {year}").next(after, zone)
    assert zone.asked < 1000
