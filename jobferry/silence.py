"""Tells at once when the site of a job that was just submitted is silent or drained."""

from __future__ import annotations

from jobferry.errors import JobferryError
from jobferry.job import Job
from jobferry.options import say
from jobferry.rendering import printable


def tell_silence(job: Job) -> str | None:
    """Say why a job waits, where that is the site itself; the submission has succeeded anyway.

    Returns:
        The site that has it, as far as that can be seen.
    """
    try:
        details = job.status().details
    except JobferryError:  # it is not there yet over S3, or cannot be read
        return None
    waiting = details.get("waiting")
    for reason in waiting if isinstance(waiting, list) else []:
        if str(reason).startswith("site ") and "has not come for it yet" not in str(reason):
            say(f"note: {printable(reason)}")
    site = details.get("site")
    return None if site is None else str(site)
