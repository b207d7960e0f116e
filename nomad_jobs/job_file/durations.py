"""Durations as Go writes them (`1h30m`, `1.5s`), in nanoseconds as Nomad's API has them."""

from __future__ import annotations

import re
from decimal import Decimal

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
MAX_DURATION = 2**63 - 1
"""The largest duration of Go, about 292 years."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign, and the Greek letter
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_PART = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_MAX_LENGTH = 200


def nanoseconds(text: str) -> int:
    """The nanoseconds of a duration.

    Raises:
        ValueError: it is none.
    """
    wrong = ValueError(f"{text[:40]!r} is no duration; write it as 30s, 5m or 1h30m")
    unsigned = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if unsigned == "0":
        return 0
    if not unsigned or len(text) > _MAX_LENGTH:
        raise wrong
    total, end = Decimal(0), 0
    while end < len(unsigned):
        part = _PART.match(unsigned, end)
        if part is None:
            raise wrong
        total += Decimal(part[1]) * _UNITS[part[2]]
        end = part.end()
    if total > MAX_DURATION:
        raise ValueError(f"the duration {text[:40]!r} is too long")
    return -int(total) if text.startswith("-") else int(total)


def written(duration: int) -> str:
    """A duration as Go writes it: `24h0m0s`, `15s`; fractions of a second as decimals."""
    sign, rest = ("-", -duration) if duration < 0 else ("", duration)
    seconds = Decimal(rest) / SECOND
    hours, minutes = int(seconds // 3600), int(seconds // 60 % 60)
    text = f"{(seconds % 60).normalize():f}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text
