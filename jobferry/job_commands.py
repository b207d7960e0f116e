"""The group `jobferry job`: commands about Nomad's kinds of jobs, one module for each subject."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from jobferry.api_client import job_path
from jobferry.completion import complete_jobs
from jobferry.dispatch_command import dispatch_job
from jobferry.errors import CloudRefused, UsageError
from jobferry.job import Job
from jobferry.job_answers import answers_of, monitored, view_now
from jobferry.nomad_tables import job_list, job_status
from jobferry.options import access_of, api_of, examples, place_options, print_json, say
from jobferry.over_api import ApiAccess
from jobferry.periodic_commands import periodic
from jobferry.polling import intervals
from jobferry.registration_commands import plan_job, run_job, validate_job
from jobferry.rendering import describe, describe_all, local_time, printable, table
from jobferry.state_commands import what_comes_of_stop

_MOST_LISTED = 1000


@click.group(
    short_help="Jobs as Nomad has them.",
    help=examples(
        "jobferry job run hello.nomad",
        "jobferry job status hello",
        "jobferry job dispatch -meta user=ann encrypter secret.txt",
        "jobferry job periodic next '0 9 * * mon-fri' --time-zone Europe/London",
    )
    + """

Jobs as Nomad has them: its commands, options and output. One dash before a long option is as good
as two. All but status, stop, history, wait, retry and get need the API.""",
)
def job() -> None:
    """See `help`."""


for _command in (periodic, run_job, validate_job, plan_job, dispatch_job):
    job.add_command(_command)


@job.command(
    "status",
    short_help="Show a job as Nomad does, or a table of jobs.",
    help=examples(
        "jobferry job status",
        "jobferry job status hello",
        "jobferry job status -verbose periodic-echo/periodic-1580616420",
        "jobferry job status --watch hello",
    )
    + """

Shows a job as `nomad job status` does, with how it ended and why it waits; or a table of jobs.""",
)
@click.argument("job_id", metavar="[JOB]", required=False, shell_complete=complete_jobs)
@click.option("--verbose", is_flag=True, help="Whole ids and times, and the evaluations.")
@click.option("--short", is_flag=True, help="Only the head.")
@click.option("--prefix", default="", metavar="PREFIX", help="Only jobs whose ids begin so.")
@click.option("--limit", type=click.IntRange(1, _MOST_LISTED), default=50, show_default=True)
@click.option("--watch", is_flag=True, help="Show every change until the job has ended.")
@place_options
def status(
    job_id: str | None,
    verbose: bool,
    short: bool,
    prefix: str,
    limit: int,
    watch: bool,
    as_json: bool,
    **place: Any,
) -> None:
    """Show it."""
    access = access_of(place)
    if job_id is None:
        if watch:
            raise UsageError("--watch needs a job")
        _show_all(access, prefix, limit, as_json)
    elif not isinstance(access, ApiAccess):
        found = Job(access, job_id)
        for report in found.watch() if watch else (found.status(),):
            print_json(report.to_json()) if as_json else click.echo(
                describe(report, found.location)
            )
    elif watch:
        _watch(access, job_id, verbose, as_json)
    else:
        _show(access, job_id, verbose, short, as_json)


def _show_all(access: Any, prefix: str, limit: int, as_json: bool) -> None:
    if not isinstance(access, ApiAccess):
        listing = access.reports(prefix, limit)
        if as_json:
            print_json([report.to_json() for report in listing.reports])
        else:
            click.echo(describe_all(listing))
        return
    rows: list[dict[str, Any]] = []
    query = {"prefix": prefix or None, "per_page": limit}
    for page in access.client.pages("/v1/jobs", "list jobs", query):
        rows += page
        if len(rows) >= limit:
            break
    if as_json:
        print_json(rows[:limit])
        return
    click.echo(job_list(rows[:limit], view_now()))
    if not rows and access.client.site is None:
        say("these are the jobs of the default site; name another with --site")
    if len(rows) >= limit:
        say(f"these are the newest {limit} jobs; see more with --limit or --prefix")


def _show(access: ApiAccess, job_id: str, verbose: bool, short: bool, as_json: bool) -> str:
    """Print a job once; its status."""
    answers = answers_of(access.client, job_id, verbose=verbose)
    if as_json:
        print_json(
            {
                **answers.job,
                "Summary": answers.summary,
                "Allocations": list(answers.allocations),
                "Evaluations": list(answers.evaluations),
                "Children": list(answers.children),
            }
        )
    else:
        text = job_status(answers, view_now(verbose=verbose))
        click.echo(text.split("\n\n", 1)[0] if short else text)
    return str(answers.job.get("Status"))


def _watch(access: ApiAccess, job_id: str, verbose: bool, as_json: bool) -> None:
    last = None
    for seconds in intervals():
        answers = answers_of(access.client, job_id, verbose=verbose)
        state = (answers.job.get("ModifyIndex"), answers.summary)
        if state != last:
            if sys.stdout.isatty() and not as_json:
                click.clear()
            elif last is not None and not as_json:
                click.echo()
            last = state
            _show(access, job_id, verbose, short=False, as_json=as_json)
        if answers.job.get("Status") == "dead":
            return
        time.sleep(seconds)


@job.command(
    "inspect",
    short_help="Print a job's specification as JSON.",
    help=examples("jobferry job inspect hello", "jobferry job inspect hello > hello.json")
    + """

Prints a job's specification as JSON, which `jobferry job run` takes.""",
)
@click.argument("job_id", metavar="JOB", shell_complete=complete_jobs)
@place_options
def inspect(job_id: str, as_json: bool, **place: Any) -> None:
    """Print it."""
    found = api_of(place).client.get(job_path(job_id), f"read job {job_id!r}")
    print_json(found if as_json else {"Job": found})


@job.command(
    "stop",
    short_help="Stop a job; a template launches no more.",
    help=examples("jobferry job stop hello", "jobferry job stop --purge -yes old/job7")
    + """

Stops a job that waits or runs; its results so far come back. A periodic or parameterized job has no
further children; those that run go on. --purge removes the job for good, and asks first.""",
)
@click.argument("job_id", metavar="JOB", shell_complete=complete_jobs)
@click.option("--purge", is_flag=True, help="Remove the job and its directory, too.")
@click.option("--yes", is_flag=True, help="Purge without asking.")
@click.option("--detach", is_flag=True, help="Do not tell what comes of it.")
@click.option("--verbose", is_flag=True, help="Whole ids.")
@place_options
def stop(
    job_id: str,
    purge: bool,
    yes: bool,
    detach: bool,
    verbose: bool,
    as_json: bool,
    **place: Any,
) -> None:
    """Stop it."""
    if purge and not yes:
        _ask_before_purge(job_id)
    access = access_of(place)
    if not isinstance(access, ApiAccess):
        if purge:
            raise UsageError("--purge needs the API (--via api)")
        report = Job(access, job_id).stop()
        if as_json:
            print_json({"ID": job_id, "Status": report.status.value})
        else:
            say(what_comes_of_stop(job_id, report))
        return
    before = _if_readable(access, job_id)
    query = {"purge": True if purge else None}
    doing = f"stop job {job_id!r}"
    answer = access.client.write("DELETE", job_path(job_id), doing, query=query)
    if as_json:
        print_json(answer)
        return
    had_ended = before.get("Status") == "dead" and before.get("Note") == answer.get("Note")
    if had_ended and not purge:
        outcome = f" ({before['Outcome']})" if before.get("Outcome") else ""
        say(f"job {printable(job_id)} has ended already{outcome}")
        return
    evaluation = answer.get("EvalID")
    if evaluation and not (detach or purge):
        click.echo("\n".join(monitored(access.client, evaluation, view_now(verbose=verbose))))
    elif evaluation:
        click.echo(evaluation)
    if answer.get("Note"):
        say(printable(answer["Note"]))


def _ask_before_purge(job_id: str) -> None:
    what = (
        f"a purge removes job {printable(job_id)} for good: its objects in all their versions, its "
        "directories on the site and its record"
    )
    if not sys.stdin.isatty():
        raise UsageError(f"{what}; say --yes if that is meant")
    if not click.confirm(f"{what}. Purge it?", err=True):
        say("nothing was purged")
        raise click.exceptions.Exit(1)


def _if_readable(access: ApiAccess, job_id: str) -> dict[str, Any]:
    """A job, or nothing for a caller that may stop it and not read it."""
    try:
        found: dict[str, Any] = access.client.get(job_path(job_id), f"read job {job_id!r}")
    except CloudRefused:
        return {}
    return found


@job.command(
    "history",
    short_help="Tell what happened to a job.",
    help=examples("jobferry job history hello", "jobferry job history hello --json")
    + """

Tells what happened to a job's runs, in order: the current one and those before, as far as they are
kept (over S3, as long as the bucket keeps the versions of aws-job-stat.json).""",
)
@click.argument("job_id", metavar="JOB", shell_complete=complete_jobs)
@place_options
def history(job_id: str, as_json: bool, **place: Any) -> None:
    """Tell it."""
    events = Job(access_of(place), job_id).events()
    if as_json:
        print_json(
            [
                {
                    "Time": one.time,
                    "Run": one.run,
                    "Type": one.type,
                    "AllocID": one.allocation,
                    "Message": one.message,
                }
                for one in events
            ]
        )
        return
    rows = [
        (
            local_time(one.time) or "-",
            str(one.run or "-"),
            one.type,
            (one.allocation or "-")[:8],
            printable(one.message),
        )
        for one in events
    ]
    click.echo("\n".join(table([("Time", "Run", "Type", "Alloc", "What Happened"), *rows])))
