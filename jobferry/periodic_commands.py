"""The `jobferry job periodic` commands: what concerns jobs that run at fixed times."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import click

from job_protocol.cron_expression import CronExpression, next_launches, time_zone
from job_protocol.cron_fields import CronError
from jobferry.errors import UsageError
from jobferry.options import examples, print_json, say

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


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--after {text!r} is not a time; write it as 2026-03-28 or 2026-03-28T09:00+01:00"
        ) from None
