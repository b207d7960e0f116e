"""What a cron expression means, said a second time: texts of fields, each with its own test.

Nothing here parses. A strategy draws the text of a field together with a predicate over what a
clock shows, so that the evaluator can be compared with a scan over every minute.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import strategies as st

Shows = Callable[[datetime], bool]
"""Whether a field matches the clock's reading."""

MONTHS = [
    "Jan",
    "february",
    "MAR",
    "april",
    "May",
    "june",
    "jul",
    "august",
    "Sep",
    "october",
    "nov",
    "December",
]
DAYS = ["sun", "monday", "TUE", "wednesday", "thu", "Friday", "sat"]


@dataclass(frozen=True)
class Drawn:
    """The text of a field, what it matches, and whether it restricts the day."""

    text: str
    shows: Shows
    restricts: bool = True


def _numbers(least: int, greatest: int, of: Callable[[datetime], int]) -> st.SearchStrategy[Drawn]:
    value = st.integers(least, greatest)
    step = st.integers(1, greatest)
    span = st.tuples(value, value).map(sorted)
    return st.one_of(
        value.map(lambda a: Drawn(str(a), lambda t: of(t) == a)),
        value.map(lambda a: Drawn(f"{a:02d}", lambda t: of(t) == a)),
        st.lists(value, min_size=2, max_size=4).map(
            lambda many: Drawn(",".join(map(str, many)), lambda t: of(t) in many)
        ),
        span.map(lambda s: Drawn(f"{s[0]}-{s[1]}", lambda t: s[0] <= of(t) <= s[1])),
        step.map(lambda n: Drawn(f"*/{n}", lambda t: (of(t) - least) % n == 0)),
        st.tuples(value, step).map(
            lambda s: Drawn(
                f"{s[0]}/{s[1]}", lambda t: of(t) >= s[0] and (of(t) - s[0]) % s[1] == 0
            )
        ),
        st.tuples(span, step).map(
            lambda s: Drawn(
                f"{s[0][0]}-{s[0][1]}/{s[1]}",
                lambda t: s[0][0] <= of(t) <= s[0][1] and (of(t) - s[0][0]) % s[1] == 0,
            )
        ),
    )


def _wild() -> st.SearchStrategy[Drawn]:
    return st.sampled_from("*?").map(lambda sign: Drawn(sign, lambda t: True, restricts=False))


def _last_of_month(reading: datetime) -> int:
    return calendar.monthrange(reading.year, reading.month)[1]


def _nearest_workday(reading: datetime, day: int) -> int | None:
    last = _last_of_month(reading)
    if day > last:
        return None
    workdays = [d for d in range(1, last + 1) if reading.replace(day=d).isoweekday() <= 5]
    return min(workdays, key=lambda d: abs(d - day))


def _is_last_of_its_weekday(reading: datetime) -> bool:
    return (reading + timedelta(days=7)).month != reading.month


def _sunday_based(reading: datetime) -> int:
    return reading.isoweekday() % 7


def _any_of(drawn: list[Drawn]) -> Drawn:
    return Drawn(
        ",".join(d.text for d in drawn),
        lambda t: any(d.shows(t) for d in drawn),
        all(d.restricts for d in drawn),
    )


minutes = st.one_of(_wild(), _numbers(0, 59, lambda t: t.minute))
hours = st.one_of(_wild(), _numbers(0, 23, lambda t: t.hour))
months = st.one_of(
    _wild(),
    _numbers(1, 12, lambda t: t.month),
    st.integers(1, 12).map(lambda m: Drawn(MONTHS[m - 1], lambda t: t.month == m)),
)
days_of_month = st.one_of(
    _wild(),
    st.lists(
        st.one_of(
            _numbers(1, 31, lambda t: t.day),
            st.just(Drawn("L", lambda t: t.day == _last_of_month(t))),
            st.just(Drawn("LW", lambda t: t.day == _nearest_workday(t, _last_of_month(t)))),
            st.integers(1, 31).map(
                lambda d: Drawn(f"{d}W", lambda t: t.day == _nearest_workday(t, d))
            ),
        ),
        min_size=1,
        max_size=2,
    ).map(_any_of),
)
_weekday = st.integers(0, 6)
days_of_week = st.one_of(
    _wild(),
    st.lists(
        st.one_of(
            st.integers(0, 7).map(lambda d: Drawn(str(d), lambda t: _sunday_based(t) == d % 7)),
            _weekday.map(lambda d: Drawn(DAYS[d], lambda t: _sunday_based(t) == d)),
            st.integers(1, 7).map(
                lambda d: Drawn(f"{d}-7", lambda t: t.isoweekday() >= d)  # ISO: Sunday is 7
            ),
            st.integers(1, 6).map(lambda d: Drawn(f"{DAYS[d]}-SUN", lambda t: t.isoweekday() >= d)),
            _weekday.map(
                lambda d: Drawn(
                    f"{DAYS[d]}L", lambda t: _sunday_based(t) == d and _is_last_of_its_weekday(t)
                )
            ),
            st.tuples(_weekday, st.integers(1, 5)).map(
                lambda s: Drawn(
                    f"{DAYS[s[0]]}#{s[1]}",
                    lambda t: _sunday_based(t) == s[0] and (t.day - 1) // 7 + 1 == s[1],
                )
            ),
        ),
        min_size=1,
        max_size=2,
    ).map(_any_of),
)


@dataclass(frozen=True)
class Reference:
    """An expression and what it matches."""

    minute: Drawn
    hour: Drawn
    day_of_month: Drawn
    month: Drawn
    day_of_week: Drawn

    @property
    def text(self) -> str:
        """The expression of five fields."""
        drawn = (self.minute, self.hour, self.day_of_month, self.month, self.day_of_week)
        return " ".join(field.text for field in drawn)

    def matches(self, reading: datetime) -> bool:
        """Whether a clock that shows this is a time to launch."""
        return (
            reading.second == 0
            and self.minute.shows(reading)
            and self.hour.shows(reading)
            and self.matches_day(reading)
        )

    def matches_day(self, reading: datetime) -> bool:
        """Whether the day is one: either field suffices where both restrict."""
        if not self.month.shows(reading):
            return False
        day, weekday = self.day_of_month, self.day_of_week
        if day.restricts and weekday.restricts:
            return day.shows(reading) or weekday.shows(reading)
        return (not day.restricts or day.shows(reading)) and (
            not weekday.restricts or weekday.shows(reading)
        )


references = st.builds(Reference, minutes, hours, days_of_month, months, days_of_week)
