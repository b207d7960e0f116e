"""The commands about a job's state: status, wait, stop and retry."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import click

from jobferry.completion import complete_jobs
from jobferry.job import Job
from jobferry.options import client_of, examples, place_options, print_json, say
from jobferry.rendering import describe, describe_all, printable
from jobferry.report import Report


@click.command(
    short_help="Show one job, or a table of jobs.",
    help=examples(
        "jobferry status", "jobferry status --prefix projA/", "jobferry status job0001 --watch"
    )
    + """

Shows one job, or a table of those that changed last.""",
)
@click.argument("job", required=False, shell_complete=complete_jobs)
@click.option("--prefix", default="", metavar="PREFIX", help="Only jobs whose ids begin so.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--watch", is_flag=True, help="Show every change until the job has ended.")
@place_options
def status(
    job: str | None, prefix: str, limit: int, watch: bool, as_json: bool, **place: Any
) -> None:
    """Show one job or many."""
    if job is None:
        if watch:
            raise click.UsageError("--watch needs a job")
        _show_all(prefix, limit, as_json, place)
        return
    if prefix:
        raise click.UsageError("state either a job or --prefix")
    found = client_of(place).job(job)
    for report in found.watch() if watch else (found.status(),):
        if watch and not as_json and sys.stdout.isatty():
            click.clear()
        _show(report, found, as_json)


def _show(report: Report, job: Job, as_json: bool) -> None:
    if as_json:
        print_json({**report.to_json(), "location": job.location})
    else:
        click.echo(describe(report, job.location))


def _show_all(prefix: str, limit: int, as_json: bool, place: dict[str, Any]) -> None:
    listing = client_of(place).jobs(prefix, limit)
    if as_json:
        print_json([report.to_json() for report in listing.reports])
    elif listing.reports:
        click.echo(describe_all(listing))
    else:
        say("there are no jobs; name another site with --site")
    if listing.total > limit:
        say(f"these are {limit} of {listing.total} jobs; see more with --limit")
    if not listing.complete:
        say("there are more jobs; choose a --prefix, or a higher --limit")


@click.command(
    short_help="Wait for a job's end.",
    help=examples("jobferry wait job0001", "jobferry wait job0001 --timeout 3600 && echo done")
    + """

Waits for the job's end, and tells the reason if it is not complete. Exits with the job's own code,
as `sbatch --wait` does, and with 1 if it has none: it was stopped before it ran, is lost, or was
refused.""",
)
@click.argument("job", shell_complete=complete_jobs)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up then.")
@place_options
def wait(job: str, timeout: float | None, as_json: bool, **place: Any) -> int:
    """Wait for the end."""
    return wait_for_end(client_of(place).job(job), timeout, as_json)


def wait_for_end(job: Job, timeout: float | None, as_json: bool) -> int:
    """Tell each state of a job up to its end, and why it ended so; the exit code is the job's."""
    told = None
    try:
        for report in job.watch(timeout):
            if report.word != told:
                now = datetime.now().astimezone().isoformat(timespec="seconds")
                say(f"{now}  {report.word or 'unknown word'}")
                told = report.word
    except KeyboardInterrupt:
        say(f"job {printable(job.id)} goes on; see jobferry wait, or end it: jobferry stop")
        raise
    if as_json:
        _show(report, job, as_json)
    if report.outcome == "complete":
        return 0
    say(f"job {printable(job.id)} has ended: {printable(how_it_ended(report))}")
    for reason in report.reasons:
        line = f"{reason.get('key')}: {reason.get('problem')}; {reason.get('remedy')}"
        say(f"  {printable(line)}")
    return report.exit_code or 1


def how_it_ended(report: Report) -> str:
    """How a job has ended, and why; the message often says both."""
    outcome, said = str(report.outcome), report.message or ""
    if said.startswith(outcome):
        return said
    code = "" if report.exit_code is None else f", exit code {report.exit_code}"
    return f"{outcome}{code}" + (f": {said}" if said else "")


@click.command(
    short_help="Ask for the end of a job.",
    help=examples("jobferry stop job0001")
    + """

Asks for the end of a job that waits or runs; its results so far come back.""",
)
@click.argument("job", shell_complete=complete_jobs)
@place_options
def stop(job: str, as_json: bool, **place: Any) -> None:
    """Ask for the end."""
    report = client_of(place).job(job).stop()
    if as_json:
        print_json({"job": job, "asked": not report.dead})
    else:
        say(what_comes_of_stop(job, report))


def what_comes_of_stop(job: str, before: Report) -> str:
    """What was done about a job that was to end, by its state before."""
    if before.dead:
        return f"job {printable(job)} has ended already ({before.outcome})"
    return f"job {printable(job)} has been asked to stop; see jobferry wait"


@click.command(
    short_help="Run a failed job, or the failed elements of an array, again.",
    help=examples("jobferry retry job0001", "jobferry retry sweep --failed --wait")
    + """

Runs a job that has failed, was stopped or was lost again, with the inputs of its last run: what was
uploaded since does not count. Of an array only the elements that are not complete run again, and
what the others have left stays. A job that is complete is left alone.""",
)
@click.argument("job", shell_complete=complete_jobs)
@click.option("--failed", is_flag=True, help="Only for an array; an array is always retried so.")
@click.option("--wait", is_flag=True, help="Wait for the end, and exit as `jobferry wait` does.")
@place_options
def retry(job: str, failed: bool, wait: bool, as_json: bool, **place: Any) -> int:
    """Run it again."""
    found = client_of(place).job(job)
    if failed and not isinstance(found.status().allocation.get("array"), dict):
        raise click.UsageError(f"job {printable(job)} is no array: leave --failed out")
    report = found.retry()
    if report.outcome == "complete":
        say(f"job {printable(job)} is complete; there is nothing to run again")
    elif wait:
        return wait_for_end(found, None, as_json)
    else:
        say(f"job {printable(job)} has been asked to run again; see jobferry wait")
    if as_json:
        print_json({"job": job, "asked": report.outcome != "complete"})
    return 0
