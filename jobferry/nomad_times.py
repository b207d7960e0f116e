"""Times and ids as Nomad's commands show them, and the coming launches of a periodic job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any

from job_protocol.cron_expression import CronExpression, next_launches, time_zone
from job_protocol.cron_fields import CronError
from jobferry.rendering import printable

_SHORT = 8
_NANOSECONDS = 10**9
_UNITS = (("s", 60), ("m", 60), ("h", 24), ("d", 30), ("mo", 12), ("y", None))


@dataclass(frozen=True, slots=True)
class View:
    """How things are shown.

    Attributes:
        now: the time.
        zone: in which times are shown; None is the computer's.
        verbose: whole ids and times instead of short ones.
    """

    now: datetime
    zone: tzinfo | None = None
    verbose: bool = False

    def id(self, text: object) -> str:
        """An id, as long as it is wanted."""
        return printable(text) if self.verbose else printable(text)[:_SHORT]

    def id_among(self, text: object, others: Collection[object]) -> str:
        """An id that tells it from others: whole, where a short one would be theirs too.

        The ids of an array's elements differ in their last digits.
        """
        short = printable(text)[:_SHORT]
        same = sum(printable(other)[:_SHORT] == short for other in others)
        return printable(text) if same > 1 else self.id(text)

    def time(self, nanoseconds: object) -> str:
        """Nanoseconds since the epoch as a time, with its offset."""
        if not isinstance(nanoseconds, int) or nanoseconds <= 0:
            return ""
        moment = datetime.fromtimestamp(nanoseconds // _NANOSECONDS, UTC)
        return moment.astimezone(self.zone).isoformat(timespec="seconds")

    def age(self, nanoseconds: object) -> str:
        """How long ago that was; with `verbose`, when it was."""
        if self.verbose or not isinstance(nanoseconds, int) or nanoseconds <= 0:
            return self.time(nanoseconds)
        return time_difference(self.now.timestamp() - nanoseconds / _NANOSECONDS)


def time_difference(seconds: float) -> str:
    """A time as Nomad tells it: at most two units, as in `5m3s ago`."""
    left = abs(round(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count = left if size is None else left % size
        if count:
            parts.insert(0, f"{count}{unit}")
        left = 0 if size is None else left // size
    return f"{''.join(parts[:2]) or '0s'} {'ago' if seconds > -0.5 else 'from now'}"


def duration(seconds: int) -> str:
    """Seconds as Go writes them: `22s`, `3m0s`, `1h0m5s`."""
    hours, rest = divmod(max(0, seconds), 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def next_launch(job: Mapping[str, Any], now: datetime) -> datetime | None:
    """When a periodic job is launched next, in the job's own zone; None if it is not.

    Args:
        job: its specification.
        now: the time.
    """
    return next(iter(coming_launches(job, now, 1)), None)


def coming_launches(job: Mapping[str, Any], now: datetime, count: int) -> list[datetime]:
    """The next launches of a periodic job, in the job's own zone."""
    periodic = job.get("Periodic")
    if not isinstance(periodic, Mapping) or job.get("Stop") or periodic.get("Enabled") is False:
        return []
    stated = periodic.get("Specs") or ([periodic["Spec"]] if periodic.get("Spec") else [])
    try:
        zone = time_zone(periodic.get("TimeZone") or "UTC")
        parsed = [CronExpression.parse(text) for text in stated]
    except CronError:
        return []
    found = islice(next_launches(parsed, now, zone), count)
    return [moment.astimezone(zone) for moment in found]


def launch_text(moment: datetime, now: datetime) -> str:
    """A coming time, and how long it is until then."""
    left = int((moment - now) / timedelta(seconds=1))
    return f"{moment.isoformat(timespec='seconds')} ({duration(left)} from now)"
