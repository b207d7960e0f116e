"""The two fields of a cron expression that choose days, and the days of a month they choose."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from typing import Self

from job_protocol.cron_fields import (
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    entries,
    refuse,
    value_of,
    values_of,
)

_SUNDAY, _SATURDAY, _WEEK = 0, 6, 7
_WEEKS = "12345"


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar: the weekday of its first day (0 is Sunday), and its length."""

    begins: int
    length: int

    @classmethod
    def of(cls, year: int, month: int) -> Self:
        """The month of a year, both counted as people do."""
        monday_based, length = calendar.monthrange(year, month)
        return cls((monday_based + 1) % _WEEK, length)

    def weekday(self, day: int) -> int:
        """The day of the week of a day of the month; 0 is Sunday."""
        return (self.begins + day - 1) % _WEEK

    def workday(self, day: int) -> int:
        """The day from Monday to Friday that is nearest to `day` within the month."""
        if self.weekday(day) == _SATURDAY:
            return day - 1 if day > 1 else day + 2
        if self.weekday(day) == _SUNDAY:
            return day + 1 if day < self.length else day - 2
        return day


@dataclass(frozen=True, slots=True)
class DaysOfMonth:
    """The field day-of-month.

    Attributes:
        restricted: whether no entry is a wildcard; `*/2` and `1-31` are restrictions.
        days: plain days.
        workdays: days of which the nearest workday is meant (`15W`).
        last: whether the month's last day is meant (`L`).
        last_workday: whether the month's last workday is meant (`LW`).
    """

    restricted: bool
    days: frozenset[int]
    workdays: frozenset[int]
    last: bool
    last_workday: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the field.

        Raises:
            CronError: if an entry is wrong.
        """
        restricted, days, workdays, special = True, set[int](), set[int](), set[str]()
        for entry in entries(DAY_OF_MONTH, text):
            if entry in ("l", "lw"):
                special.add(entry)
            elif entry.endswith("w"):
                workdays.add(value_of(DAY_OF_MONTH, entry[:-1]))
            else:
                values, wildcard = values_of(DAY_OF_MONTH, entry)
                days.update(values)
                restricted = restricted and not wildcard
        return cls(
            restricted, frozenset(days), frozenset(workdays), "l" in special, "lw" in special
        )

    def within(self, month: Month) -> set[int]:
        """The days of a month that the entries name; there is no 31 of April, nor a `31W`."""
        chosen = {day for day in self.days if day <= month.length}
        chosen |= {month.workday(day) for day in self.workdays if day <= month.length}
        if self.last:
            chosen.add(month.length)
        if self.last_workday:
            chosen.add(month.workday(month.length))
        return chosen


@dataclass(frozen=True, slots=True)
class DaysOfWeek:
    """The field day-of-week; 0 is Sunday.

    Attributes:
        restricted: whether no entry is a wildcard.
        days: days of every week.
        nth: days of one week of the month, with its number from 1 (`fri#3`).
        last: days of the month's last seven days (`5L`).
    """

    restricted: bool
    days: frozenset[int]
    nth: frozenset[tuple[int, int]]
    last: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the field.

        Raises:
            CronError: if an entry is wrong.
        """
        restricted, days, last, nth = True, set[int](), set[int](), set[tuple[int, int]]()
        for entry in entries(DAY_OF_WEEK, text):
            day, hash_sign, week = entry.partition("#")
            if hash_sign:
                if len(week) != 1 or week not in _WEEKS:
                    raise refuse(DAY_OF_WEEK, entry, "does not name a week from 1 to 5")
                nth.add((value_of(DAY_OF_WEEK, day), int(week)))
            elif entry.endswith("l"):
                last.add(value_of(DAY_OF_WEEK, entry[:-1]))
            else:
                values, wildcard = values_of(DAY_OF_WEEK, entry)
                days.update(value % _WEEK for value in values)
                restricted = restricted and not wildcard
        return cls(restricted, frozenset(days), frozenset(nth), frozenset(last))

    def within(self, month: Month) -> set[int]:
        """The days of a month that the entries name."""
        return {day for day in range(1, month.length + 1) if self._names(month, day)}

    def _names(self, month: Month, day: int) -> bool:
        weekday = month.weekday(day)
        return (
            weekday in self.days
            or (weekday, (day - 1) // _WEEK + 1) in self.nth
            or (weekday in self.last and day > month.length - _WEEK)
        )


def days_within(month: Month, of_month: DaysOfMonth, of_week: DaysOfWeek) -> list[int]:
    """The days of a month that both fields together choose, ascending.

    A field that is not restricted has no say; where both are restricted, either suffices
    (crontab(5), and cronexpr after it).
    """
    if of_month.restricted and of_week.restricted:
        return sorted(of_month.within(month) | of_week.within(month))
    if of_month.restricted:
        return sorted(of_month.within(month))
    if of_week.restricted:
        return sorted(of_week.within(month))
    return list(range(1, month.length + 1))
