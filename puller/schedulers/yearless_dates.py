"""Dates as LSF and TCS show them, mostly without a year, as seconds since the epoch."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator

_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

_CLOCK = r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)(:(?P<second>[0-5]\d))?"
_FORMS = (
    re.compile(
        rf"\(?([A-Z][a-z]{{2}} )?(?P<month>{'|'.join(_MONTHS)}) +(?P<day>\d{{1,2}}) {_CLOCK}"
        r"( (?P<year>\d{4}))?( [A-Z])?\)?",
        re.ASCII,
    ),
    re.compile(
        rf"\(?((?P<year>\d{{4}})/)?(?P<month>\d\d)/(?P<day>\d\d) {_CLOCK}\)?<?",
        re.ASCII,
    ),
)
"""`May 28 12:45`, `Tue May  6 15:45:10 2025`, `Dec 28 19:56 L`; `11/17 09:01:41`, `(11/17 09:01)`.
Source: bjobs(1), pjstat(1); LSF shows the year where LSF_DISPLAY_YEAR=Y is set."""

_AHEAD = 86400
"""Seconds by which a scheduler's clock may be ahead."""

_YEARS_BACK = 8
"""29 February may be missing for so long."""


def epoch_of(shown: str, now: float, ahead: float = _AHEAD) -> int | None:
    """The latest moment up to `now` that a date in local time can mean, or None if it is none.

    Args:
        shown: the date as the scheduler shows it.
        now: seconds since the epoch.
        ahead: seconds by which it may lie behind `now` on the clock, as an expected start does.
    """
    for form in _FORMS:
        found = form.fullmatch(shown.strip())
        if found is not None:
            return _latest(found, now, ahead)
    return None


def _latest(found: re.Match[str], now: float, ahead: float) -> int | None:
    month = (
        (_MONTHS.index(found["month"]) + 1) if found["month"] in _MONTHS else int(found["month"])
    )
    day = int(found["day"])
    clock = (int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
    for year in _years(found["year"], now):
        if not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year, month)[1]:
            continue
        try:
            moment = int(time.mktime((year, month, day, *clock, 0, 0, -1)))
        except OverflowError:
            return None
        if found["year"] or moment <= now + ahead:
            return moment
    return None


def _years(stated: str | None, now: float) -> Iterator[int]:
    if stated is not None:
        yield max(1, int(stated))
        return
    next_year = time.localtime(now).tm_year + 1
    yield from range(next_year, next_year - _YEARS_BACK - 2, -1)
