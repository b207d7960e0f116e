"""Shows one job on the terminal, and waits for its end."""

from __future__ import annotations

from datetime import datetime

import click

from jobferry.client import Job
from jobferry.options import print_json, say
from jobferry.rendering import describe, printable
from jobferry.report import Report


def show(report: Report, job: Job, as_json: bool) -> None:
    """Print a job's state."""
    if as_json:
        print_json({**report.to_json(), "location": job.location})
    else:
        click.echo(describe(report, job.location))


def wait_for_end(job: Job, timeout: float | None, as_json: bool) -> int:
    """Tell each state of a job up to its end; the exit code that this end means.

    Args:
        job: the job.
        timeout: seconds until it gives up; None is never.
        as_json: whether to print the end as JSON.
    """
    for report in job.watch(timeout):
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        say(f"{now}  {report.word or 'unknown word'}")
    if as_json:
        show(report, job, as_json)
    if report.outcome == "complete":
        return 0
    code = "" if report.exit_code is None else f", exit code {report.exit_code}"
    about = "" if report.message is None else f": {printable(report.message)}"
    say(f"job {printable(job.id)} has ended: {report.outcome}{code}{about}")
    for reason in report.reasons:
        line = f"{reason.get('key')}: {reason.get('problem')}; {reason.get('remedy')}"
        say(f"  {printable(line)}")
    return 1
