"""The grammar of one field of a cron expression, as hashicorp/cronexpr (Nomad's) has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


class CronError(ValueError):
    """A cron expression or a time zone cannot be understood; says which field, and why."""


def _named(names: str, first: int) -> dict[str, int]:
    """The value of each name, long (`january`) and short (`jan`)."""
    values: dict[str, int] = {}
    for value, name in enumerate(names.split(), start=first):
        values |= {name: value, name[:3]: value}
    return values


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a cron expression.

    Attributes:
        name: as cronexpr's messages call it.
        least, greatest: the range of its values.
        digits: how many digits a number has at least and at most.
        names: names of values, in lower case.
    """

    name: str
    least: int
    greatest: int
    digits: tuple[int, int] = (1, 2)
    names: Mapping[str, int] = field(default_factory=dict)


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day-of-month", 1, 31)
MONTH = Field(
    "month",
    1,
    12,
    names=_named(
        "january february march april may june july august september october november december", 1
    ),
)
DAY_OF_WEEK = Field(
    "day-of-week",
    0,
    6,
    names=_named("sunday monday tuesday wednesday thursday friday saturday", 0),
)
YEAR = Field("year", 1970, 2099, digits=(4, 4))

_SUNDAY_AGAIN = 7
_SEVENS = ("7", "07")
_LONGEST_STEP = 4  # digits of 2099
_SHOWN = 40
_ENTRY = re.compile(
    r"(?P<all>[*?])|\*/(?P<every>[0-9]+)"
    r"|(?P<first>[0-9]+|[a-z]+)(?P<range>-(?P<last>[0-9]+|[a-z]+))?(?:/(?P<step>[0-9]+))?"
)


def refuse(of: Field, entry: str, reason: str) -> CronError:
    """The error that says what is wrong with an entry of a field."""
    shown = entry if len(entry) <= _SHOWN else entry[:_SHOWN] + "..."
    return CronError(f"{of.name} field: {shown!r} {reason}")


def entries(of: Field, text: str) -> Iterator[str]:
    """The entries of a list, in lower case. Empty ones are passed over, as cronexpr does."""
    found = [entry for entry in text.lower().split(",") if entry]
    if not found:
        raise refuse(of, text, "names no value")
    return iter(found)


def values_of(of: Field, entry: str) -> tuple[range, bool]:
    """The values that an entry stands for, and whether it is a wildcard.

    Of the day of the week, 7 (Sunday again) is among the values of a range that ends with Sunday.

    Args:
        of: the field.
        entry: `*`, `?`, `5`, `5-20`, `*/2`, `5/2` or `5-20/2`, in lower case.

    Raises:
        CronError: if it is none of these, or out of range, or a reversed range.
    """
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise refuse(of, entry, "is not understood")
    if match["all"]:
        return range(of.least, of.greatest + 1), True
    if match["every"]:
        return range(of.least, of.greatest + 1, _step(of, entry, match["every"])), False
    first, last = value_of(of, match["first"]), of.greatest
    step = 1 if match["step"] is None else _step(of, entry, match["step"])
    if match["range"]:
        first, last = _ends(of, match["first"], match["last"])
        if first > last:
            raise refuse(of, entry, "is a range that ends before it begins")
    elif match["step"] is None:
        last = first
    return range(first, last + 1, step), False


def all_values(of: Field, text: str) -> tuple[int, ...]:
    """The values of a whole field, ascending.

    Raises:
        CronError: if an entry is wrong.
    """
    values: set[int] = set()
    for entry in entries(of, text):
        values.update(values_of(of, entry)[0])
    return tuple(sorted(values))


def value_of(of: Field, word: str) -> int:
    """The value of a number or a name.

    Raises:
        CronError: if it is neither, or out of range.
    """
    if not (word.isascii() and word.isdigit()):
        if word not in of.names:
            raise refuse(of, word, "is no value of this field")
        return of.names[word]
    least, most = of.digits
    value = int(word) if least <= len(word) <= most else -1
    if of is DAY_OF_WEEK:
        value = _day_of_week(word, value)
    if not of.least <= value <= of.greatest:
        raise refuse(of, word, f"is not a number from {of.least} to {of.greatest}")
    return value


def _day_of_week(word: str, value: int) -> int:
    if len(word) > 1 and 0 < value < _SUNDAY_AGAIN:
        raise refuse(
            DAY_OF_WEEK, word, f"has a leading zero, which Nomad takes for Sunday; write {value}"
        )
    return 0 if value == _SUNDAY_AGAIN else value


def _ends(of: Field, first: str, last: str) -> tuple[int, int]:
    """The ends of a range; one of days of the week may end with Sunday (`fri-sun`, `5-7`)."""
    begin, end = value_of(of, first), value_of(of, last)
    if of is DAY_OF_WEEK and (last in _SEVENS or (end == 0 and begin > 0 and last in of.names)):
        end = _SUNDAY_AGAIN
        begin = _SUNDAY_AGAIN if first in _SEVENS else begin
    return begin, end


def _step(of: Field, entry: str, digits: str) -> int:
    step = int(digits) if len(digits) <= _LONGEST_STEP else 0
    if not 1 <= step <= of.greatest:
        raise refuse(of, entry, f"has a step that is not from 1 to {of.greatest}")
    return step
