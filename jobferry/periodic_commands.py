"""The `jobferry job periodic` commands: what concerns jobs that run at fixed times."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click

from job_protocol.cron_expression import CronExpression, next_launches, time_zone
from job_protocol.cron_fields import CronError
from jobferry.api_client import job_path
from jobferry.completion import complete_jobs
from jobferry.errors import UsageError
from jobferry.job_answers import monitored, view_now
from jobferry.options import api_of, examples, place_options, print_json, say

_MOST = 1000


@click.group(
    short_help="Jobs that run at fixed times.",
    help=examples(
        "jobferry job periodic next '0 9 * * mon-fri' --time-zone Europe/London",
    )
    + """

What concerns jobs that run at fixed times.""",
)
def periodic() -> None:
    """See `help`."""


@periodic.command(
    "next",
    short_help="Print when a cron expression launches next.",
    help=examples(
        "jobferry job periodic next '0 9 * * mon-fri' --time-zone Europe/London",
        "jobferry job periodic next '@daily' '30 12 L * *' --count 10",
        "jobferry job periodic next '30 2 * * *' --time-zone Europe/Paris --after 2026-03-28",
    )
    + """

Prints when a job with these cron expressions launches next. Asks no server.

The expressions are Nomad's: minute, hour, day of month, month, day of week; a sixth field is the
year; with seven fields, the first is the second. A time that clocks skip is skipped, one that they
repeat launches twice. Exits with 1 if there is no launch.""",
)
@click.argument("expressions", metavar="EXPR...", nargs=-1, required=True)
@click.option(
    "--time-zone",
    "zone_name",
    metavar="TZ",
    default="UTC",
    show_default=True,
    help="Where the times are read.",
)
@click.option("--after", metavar="ISO", help="A date or time, in the job's zone; else now.")
@click.option(
    "--count",
    type=click.IntRange(1, _MOST),
    default=5,
    show_default=True,
    help="How many.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in UTC.")
def next_command(
    expressions: tuple[str, ...], zone_name: str, after: str | None, count: int, as_json: bool
) -> int:
    """Print the next launches."""
    try:
        zone = time_zone(zone_name)
        parsed = [CronExpression.parse(text) for text in expressions]
    except CronError as error:
        raise UsageError(str(error)) from None
    start = datetime.now(UTC) if after is None else _time(after)
    if start.tzinfo is None:
        start = start.replace(tzinfo=zone)
    launches = list(islice(next_launches(parsed, start, zone), count))
    if as_json:
        print_json(
            {"time_zone": zone_name, "launches": [f"{t:%Y-%m-%dT%H:%M:%SZ}" for t in launches]}
        )
    else:
        for launch in launches:
            click.echo(launch.astimezone(zone).isoformat(timespec="seconds"))
    if not launches:
        say(f"there is no launch after {start.isoformat(timespec='seconds')}, until 2099")
        return 1
    return 0


@periodic.command(
    "force",
    short_help="Launch a periodic job now.",
    help=examples("jobferry job periodic force nightly")
    + """

Launches a periodic job now, whatever else of it runs.""",
)
@click.argument("job_id", metavar="JOB", shell_complete=complete_jobs)
@click.option("--detach", is_flag=True, help="Do not tell what comes of it.")
@click.option("--verbose", is_flag=True, help="Whole ids.")
@place_options
def force_command(job_id: str, detach: bool, verbose: bool, as_json: bool, **place: Any) -> None:
    """Launch it."""
    api = api_of(place).client
    path = job_path(job_id, "periodic/force")
    answer = api.write("POST", path, f"force a launch of job {job_id!r}")
    if as_json:
        print_json(answer)
    elif detach or not answer.get("EvalID"):
        click.echo("Force periodic successful")
        click.echo(f"Evaluation ID: {answer.get('EvalID')}")
    else:
        view = view_now(verbose=verbose)
        click.echo("\n".join(monitored(api, answer["EvalID"], view)))


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--after {text!r} is not a time; write it as 2026-03-28 or 2026-03-28T09:00+01:00"
        ) from None
