"""`jobferry audit`: the whole life of a job, and whether it is what the site saw."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from jobferry.audit import read_site_log, verify
from jobferry.completion import complete_jobs
from jobferry.errors import JobNotFound, UsageError
from jobferry.options import access_of, examples, place_options, print_json, say
from jobferry.rendering import printable

_SHOWN = (
    "status",
    "exit_code",
    "reason",
    "scheduler",
    "scheduler_id",
    "signer",
    "objects",
    "bytes",
)


@click.group(
    short_help="The event log of a job.",
    help=examples(
        "jobferry audit verify job0001", "jobferry audit verify job0001 --site-log site.log"
    )
    + """

The event log of a job: who did what, when, and whether it is the one that the site saw.""",
)
def audit() -> None:
    """See `help`."""


@audit.command(
    "verify",
    short_help="Tell the life of a job, and verify it.",
    help=examples(
        "jobferry audit verify job0001",
        "jobferry-puller audit show job0001 > site.log   # on the site",
        "jobferry audit verify job0001 --site-log site.log",
    )
    + """

Prints every event of a job with the hash that chains it to the one before. With the site's log it
compares what the site saw when it claimed the job and when it ended: only that proves something
against the cloud. Exits with 1 if something does not fit.""",
)
@click.argument("job", shell_complete=complete_jobs)
@click.option(
    "--site-log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What `jobferry-puller audit show` printed, or the site's audit.log.",
)
@place_options
def verify_job(job: str, site_log: Path | None, as_json: bool, **place: Any) -> int:
    """Verify a job."""
    entries = None
    if site_log is not None:
        try:
            entries = read_site_log(site_log.read_text(encoding="utf-8"), job)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{site_log} cannot be read: {error}") from error
    links = access_of(place).audit(job)
    if not links:
        raise JobNotFound(f"nothing is told of a job {job!r}; perhaps it was rejected, or is gone")
    verdict = verify(links, entries)
    sound = not verdict.problems
    if as_json:
        print_json(
            {
                "ok": sound,
                "anchored": verdict.anchored,
                "problems": verdict.problems,
                "notes": verdict.notes,
                "events": verdict.events,
            }
        )
        return 0 if sound else 1
    for event in sorted(verdict.events, key=_time):
        click.echo(printable(_line(event)))
    for problem in verdict.problems:
        say(f"problem: {printable(problem)}")
    for note in verdict.notes:
        say(f"note: {printable(note)}")
    if sound and verdict.anchored:
        say(f"the chain is sound; {verdict.anchored} of its hashes are in the site's log")
    elif sound:
        say("the chain is sound")
    return 0 if sound else 1


def _time(event: dict[str, Any]) -> str:
    at = event.get("at")
    if isinstance(at, int):
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(at or "")


def _line(event: dict[str, Any]) -> str:
    by = event.get("by") or f"{event.get('log', '')} log"
    facts = " ".join(f"{name}={event[name]}" for name in _SHOWN if event.get(name) is not None)
    chain = str(event.get("hash") or event.get("head") or "")[:12]
    return f"{_time(event)}  {chain:12}  {event.get('event'):10}  {by}  {facts}".rstrip()
