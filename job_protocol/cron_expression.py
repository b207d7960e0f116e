"""Cron expressions with the grammar and the results of hashicorp/cronexpr, which Nomad uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from job_protocol.cron_days import DaysOfMonth, DaysOfWeek, Month, days_within
from job_protocol.cron_fields import (
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    YEAR,
    CronError,
    all_values,
    refuse,
)

_ALIASES = {
    "@yearly": "0 0 0 1 1 * *",
    "@annually": "0 0 0 1 1 * *",
    "@monthly": "0 0 0 1 * * *",
    "@weekly": "0 0 0 * * 0 *",
    "@daily": "0 0 0 * * * *",
    "@hourly": "0 0 * * * * *",
}
_BLANKS = re.compile(r"[\t\n\f\r ]+")
_LONGEST = 4096
_SHOWN = 80
_FEWEST, _MOST = 5, 7

_SECOND = timedelta(seconds=1)
_PROBE = timedelta(hours=1)
"""Within this time a zone changes its offset at most once."""
_HORIZON = timedelta(days=2)
"""More than any two offsets of a zone differ by (UTC-12 and UTC+14)."""
_EARLIEST = datetime(YEAR.least, 1, 1, tzinfo=UTC) - _HORIZON


@dataclass(frozen=True, slots=True)
class CronExpression:
    """One cron expression.

    Five fields are minute, hour, day of month, month and day of week. Six add a year, not seconds;
    seven begin with a second as well. What follows the seventh is passed over, as cronexpr does.
    """

    text: str
    second: int
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days_of_month: DaysOfMonth
    months: tuple[int, ...]
    days_of_week: DaysOfWeek
    years: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an expression.

        Raises:
            CronError: if it is not one, names a reversed range, or asks for more than one launch
                in a minute. The message names the field.
        """
        try:
            return cls._parse(text)
        except CronError as error:
            shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
            raise CronError(f"cron expression {shown!r}: {error}") from None

    @classmethod
    def _parse(cls, text: str) -> Self:
        if len(text) > _LONGEST:
            raise CronError(f"it is longer than {_LONGEST} characters")
        words = text
        for alias, meaning in _ALIASES.items():
            words = words.replace(alias, meaning)
        fields = [word for word in _BLANKS.split(words) if word]
        if len(fields) < _FEWEST:
            raise CronError(
                "it has fewer than five fields: minute, hour, day of month, month, day of week"
            )
        seconds = fields.pop(0) if len(fields) >= _MOST else "0"
        minute, hour, day_of_month, month, day_of_week, *year = fields
        return cls(
            text,
            _one_second(seconds),
            all_values(MINUTE, minute),
            all_values(HOUR, hour),
            DaysOfMonth.parse(day_of_month),
            all_values(MONTH, month),
            DaysOfWeek.parse(day_of_week),
            all_values(YEAR, year[0] if year else "*"),
        )

    def next(self, after: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The first launch after a time, in UTC, or None if there is none until 2099.

        A launch is an instant at which a clock in the zone shows what the expression names. So a
        local time that is skipped when clocks go forward is skipped, and one that is repeated when
        they go back launches twice. In UTC, because Python compares two times of one zone by what
        the clock shows, which cannot tell a repeated hour from itself.

        Args:
            after: a time with an offset; the launch is later than it.
            zone: where the expression's times are read.
        """
        if after.tzinfo is None:
            raise ValueError(f"{after} has no offset from UTC, so it is not a point in time")
        if after.year > YEAR.greatest + 1:
            return None
        at = _EARLIEST
        if after.year >= YEAR.least - 1:
            at = max(at, after.astimezone(UTC).replace(microsecond=0) + _SECOND)
        while True:
            offset = _offset(zone, at)
            reading = self._first_reading((at + offset).replace(tzinfo=None))
            launch = None if reading is None else reading.replace(tzinfo=UTC) - offset
            horizon = at + _HORIZON
            if launch is not None:
                horizon = min(horizon, launch)
            change = _change(zone, at, horizon)
            if change is not None:
                at = change
            elif launch is None or launch == horizon:
                return launch
            else:  # nothing can match until shortly before: the zone's offset changes by less
                at = max(horizon, launch - _HORIZON)

    def _first_reading(self, start: datetime) -> datetime | None:
        """The first clock reading (naive), from `start` on, that the expression names."""
        first = start.date()
        for year in self.years:
            for month in self.months:
                if (year, month) < (first.year, first.month):
                    continue
                for number in days_within(
                    Month.of(year, month), self.days_of_month, self.days_of_week
                ):
                    day = date(year, month, number)
                    if day < first:
                        continue
                    found = self._first_time(start.time() if day == first else time.min)
                    if found is not None:
                        return datetime.combine(day, found)
        return None

    def _first_time(self, start: time) -> time | None:
        """The first time of day, from `start` on, that the expression names."""
        for hour in self.hours:
            if hour < start.hour:
                continue
            for minute in self.minutes:
                found = time(hour, minute, self.second)
                if found >= start:
                    return found
        return None


def next_launches(
    expressions: Iterable[CronExpression], after: datetime, zone: tzinfo = UTC
) -> Iterator[datetime]:
    """The launches of several expressions after a time, in UTC, ascending, each once.

    Args:
        expressions: any number of them (Nomad's `crons`).
        after: a time with an offset.
        zone: where the expressions' times are read.
    """
    coming = {expression: expression.next(after, zone) for expression in expressions}
    while times := [launch for launch in coming.values() if launch is not None]:
        first = min(times)
        yield first
        for expression, launch in coming.items():
            if launch == first:
                coming[expression] = expression.next(first, zone)


def time_zone(name: str) -> tzinfo:
    """The time zone of a name in the IANA database; an empty name is UTC, as in Nomad.

    Raises:
        CronError: if there is no such zone.
    """
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "..."
        raise CronError(
            f"time zone {shown!r} is not known here; name one as the IANA database does, "
            "such as Asia/Tokyo"
        ) from None


def _one_second(text: str) -> int:
    seconds = all_values(SECOND, text)
    if len(seconds) > 1:
        raise refuse(
            SECOND, text, "asks for launches less than a minute apart; name one second, such as 0"
        )
    return seconds[0]


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The first time after `start` and not after `end` with another offset than at `start`."""
    offset = _offset(zone, start)
    before = start
    while before < end:
        probe = min(before + _PROBE, end)
        if _offset(zone, probe) != offset:
            while probe - before > _SECOND:
                middle = before + (probe - before) // (2 * _SECOND) * _SECOND
                before, probe = (
                    (middle, probe) if _offset(zone, middle) == offset else (before, middle)
                )
            return probe
        before = probe
    return None
