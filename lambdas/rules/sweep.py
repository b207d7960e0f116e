"""What is wrong with a job's sweep, and how many elements it makes."""

from __future__ import annotations

from dataclasses import replace

from job_protocol import object_keys
from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import Problem
from job_protocol.sweep import SweepError, read_sweep


def swept(
    job_id: str, settings: JobSettings, body: bytes | None
) -> tuple[JobSettings, list[Problem]]:
    """The settings with as many elements as the sweep has rows, and every problem found.

    Args:
        job_id: the job.
        settings: what the user stated; without a sweep, nothing changes.
        body: the table, or its first bytes if it is too large; None if it is not there.
    """
    if settings.sweep is None:
        return settings, []
    if body is None:
        key = object_keys.input_key(job_id, object_keys.SETTINGS)
        problem = f"sweep: there is no input {settings.sweep!r}"
        return settings, [Problem(key, problem, "upload the table with the other inputs")]
    key = object_keys.input_key(job_id, settings.sweep)
    try:
        rows = len(read_sweep(body).rows)
    except SweepError as error:
        return settings, [Problem(key, str(error), "correct the table; see docs/protocol.md")]
    if settings.count not in (None, rows):
        problem = f"it has {rows} rows of values, and count is {settings.count}"
        return settings, [Problem(key, problem, "leave count out: the rows say how many there are")]
    return replace(settings, count=rows), []
