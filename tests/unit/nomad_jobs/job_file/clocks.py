"""What judges cron expressions and time zones in these tests: the time zones are the real ones."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from nomad_jobs.job_file.validation import Clock


def _parse_cron(text: str) -> None:
    if len(text.split()) not in (5, 6, 7):
        raise ValueError("missing field(s)")


def _time_zone(name: str) -> None:
    try:
        ZoneInfo(name or "UTC")
    except (KeyError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


CLOCK = Clock(parse_cron=_parse_cron, time_zone=_time_zone)
