"""The `jobferry` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

try:
    import click
except ModuleNotFoundError:
    raise SystemExit("jobferry: click is not installed: pip install 'jobferry[client]'") from None

from jobferry import __version__
from jobferry.client import Job
from jobferry.errors import JobferryError
from jobferry.job_commands import job as job_group
from jobferry.options import (
    PLACE,
    client_of,
    examples,
    place_options,
    print_json,
    progress_bar,
    say,
)
from jobferry.rendering import describe, describe_all, human_size, printable
from jobferry.report import Report
from jobferry.shared_inputs import parse_wish
from jobferry.silence import tell_silence

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 done, 1 the job or the operation failed, 2 usage, 3 configuration or credentials, 4 refused
    by the cloud, 130 interrupted.
    """
    try:
        code = cli.main(arguments, prog_name="jobferry", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except JobferryError as error:
        say("error: " + "\n".join(printable(line) for line in str(error).splitlines()))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


@click.group(
    help=examples(
        "jobferry submit simulation --wait",
        "jobferry status",
        "jobferry get simulation-20260102T030405Z-5e1f",
    )
    + """

Runs batch jobs on an on-premises computer that nothing outside can connect to.

The site is named by --site (and --stack), or its bucket by --bucket; profile, region and endpoint
follow AWS's own conventions (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL).

Exit codes: 0 done; 1 the job or the operation failed; 2 usage; 3 configuration or credentials;
4 refused by the cloud.""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def cli() -> None:
    """See `help`."""


cli.add_command(job_group)


@cli.command(
    short_help="Upload a directory or a script, and ask for its run.",
    help=examples(
        "jobferry submit simulation",
        "jobferry submit simulation --job projA/run7 --time-limit 2h --wait",
        "jobferry submit job.sh --queue short --results 'out/**'",
        "jobferry submit job.sh --input mesh.h5=data/mesh.h5",
        "jobferry submit job.sh --site tokyo,osaka",
        "jobferry submit sweep --count 1000 --max-running 50",
    )
    + """

Uploads a directory with aws-job-run.sh in it, or a script alone, and asks for its run.

What .jobferryignore names is not uploaded; its patterns are those of aws-job.json. The settings
join an aws-job.json in the directory. Prints the job id.

--input puts an object of the site's bucket (s3://BUCKET/KEY, or its key) at the path TO in the job
directory. A file or directory that lies here is uploaded once, under shared/ and named after its
content. The site, too, fetches it once for all jobs. Over the API it becomes a file of the job.

Of several sites (--site a,b,c) the first that is alive and has room takes the job. An upload that
broke off goes on with the same command: over the API, only what is missing is sent again.""",
)
@click.argument("path", metavar="DIR_OR_SCRIPT", type=click.Path(exists=True, path_type=Path))
@click.option("--job", metavar="ID", help="Job id, the prefix in the bucket.")
@click.option("--name", metavar="NAME", help="The job's name at the scheduler.")
@click.option("--priority", type=click.IntRange(1, 100), help="A higher one first; 50 if unstated.")
@click.option("--time-limit", metavar="TIME", help="Seconds, or such as 1h30m, 01:30:00.")
@click.option("--account", metavar="ACCOUNT", help="Whom the scheduler charges.")
@click.option("--queue", "--partition", metavar="QUEUE", help="The scheduler's queue.")
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="Runs as an array of N elements."
)
@click.option("--max-running", type=click.IntRange(1), metavar="M", help="Elements at once.")
@click.option("--retries", type=click.IntRange(0, 100), help="Attempts after a failed one.")
@click.option("--results", multiple=True, metavar="PATTERN", help="What comes back; repeatable.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="What stays there; repeatable.")
@click.option("--input", "inputs", multiple=True, metavar="FROM=TO", help="Shared; repeatable.")
@click.option("--wait", is_flag=True, help="Wait for the end, and exit as `jobferry wait` does.")
@place_options
def submit(path: Path, job: str | None, wait: bool, as_json: bool, **options: Any) -> int:
    """Upload and ask for the run."""
    place = {name: options.pop(name) for name in PLACE}
    wishes = [parse_wish(text) for text in options.pop("inputs")]
    sites = (place["site"] or "").split(",")
    if len(sites) > 1:
        place["site"] = None
    client = client_of(place)
    with progress_bar("Uploading") as progress:
        submitted = client.submit(
            path,
            job=job,
            inputs=wishes,
            sites=sites if len(sites) > 1 else (),
            progress=progress,
            **options,
        )
    tell_silence(submitted)
    if not wait:
        document = {"job": submitted.id, "location": submitted.location}
        print_json(document) if as_json else click.echo(submitted.id)
        return 0
    if not as_json:
        click.echo(submitted.id)
    return _wait(submitted, None, as_json)


@cli.command(
    short_help="Show one job, or a table of jobs.",
    help=examples(
        "jobferry status", "jobferry status --prefix projA/", "jobferry status job0001 --watch"
    )
    + """

Shows one job, or a table of those that changed last.""",
)
@click.argument("job", required=False)
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
        say("there are no jobs")
    if listing.total > limit:
        say(f"these are {limit} of {listing.total} jobs; see more with --limit")
    if not listing.complete:
        say("there are more jobs; choose a --prefix, or a higher --limit")


@cli.command(
    short_help="Wait for a job's end.",
    help=examples("jobferry wait job0001", "jobferry wait job0001 --timeout 3600 && echo done")
    + """

Waits for the job's end. Exits with 0 if it is complete, else with 1 and the reason.""",
)
@click.argument("job")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up then.")
@place_options
def wait(job: str, timeout: float | None, as_json: bool, **place: Any) -> int:
    """Wait for the end."""
    return _wait(client_of(place).job(job), timeout, as_json)


def _wait(job: Job, timeout: float | None, as_json: bool) -> int:
    for report in job.watch(timeout):
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        say(f"{now}  {report.word or 'unknown word'}")
    if as_json:
        _show(report, job, as_json)
    if report.outcome == "complete":
        return 0
    code = "" if report.exit_code is None else f", exit code {report.exit_code}"
    about = "" if report.message is None else f": {printable(report.message)}"
    say(f"job {printable(job.id)} has ended: {report.outcome}{code}{about}")
    for reason in report.reasons:
        line = f"{reason.get('key')}: {reason.get('problem')}; {reason.get('remedy')}"
        say(f"  {printable(line)}")
    return 1


@cli.command(
    short_help="Ask for the end of a job.",
    help=examples("jobferry stop job0001")
    + """

Asks for the end of a job that waits or runs; its results so far come back.""",
)
@click.argument("job")
@place_options
def stop(job: str, as_json: bool, **place: Any) -> None:
    """Ask for the end."""
    report = client_of(place).job(job).stop()
    if as_json:
        print_json({"job": job, "asked": not report.dead})
    elif report.dead:
        say(f"job {printable(job)} has ended already ({report.outcome})")
    else:
        say(f"job {printable(job)} has been asked to stop; see jobferry wait")


@cli.command(
    short_help="Run a failed job, or the failed elements of an array, again.",
    help=examples("jobferry retry job0001", "jobferry retry sweep --failed --wait")
    + """

Runs a job that has failed, was stopped or was lost again, with the inputs of its last run: what was
uploaded since does not count. Of an array only the elements that are not complete run again, and
what the others have left stays. A job that is complete is left alone.""",
)
@click.argument("job")
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
        return _wait(found, None, as_json)
    else:
        say(f"job {printable(job)} has been asked to run again; see jobferry wait")
    if as_json:
        print_json({"job": job, "asked": report.outcome != "complete"})
    return 0


@cli.command(
    short_help="Fetch a job's files.",
    help=examples(
        "jobferry get job0001", "jobferry get job0001 -o results --only 'out/**' --only '*.png'"
    )
    + """

Fetches a job's files and logs. What is here already, with the same size and not older, is not
fetched again, so an interrupted download goes on. Prints the directory.""",
)
@click.argument("job")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False), help="Where to; else as the job is named."
)
@click.option("--only", multiple=True, metavar="GLOB", help="Only these files; repeatable.")
@click.option("--force", is_flag=True, help="Fetch all, also over files that were changed here.")
@place_options
def get(
    job: str, output: str | None, only: tuple[str, ...], force: bool, as_json: bool, **place: Any
) -> None:
    """Fetch files."""
    with progress_bar("Fetching") as progress:
        got = client_of(place).job(job).get(output, only=only, force=force, progress=progress)
    if as_json:
        print_json(
            {
                "job": job,
                "directory": str(got.directory),
                "files": got.files,
                "bytes": got.size,
                "present": got.present,
                "unsafe": got.unsafe,
            }
        )
    else:
        click.echo(str(got.directory))
        say(f"{got.files} files fetched, {human_size(got.size)}; {got.present} were there already")
    for path in got.unsafe:
        say(f"left out, its name is not safe: {printable(path)}")


@cli.command(
    short_help="Print what a job has printed.",
    help=examples(
        "jobferry logs job0001",
        "jobferry logs job0001 --stderr -f",
        "jobferry logs sweep --element 17",
    )
    + """

Prints what the job has printed, as far as it is in the bucket.""",
)
@click.argument("job")
@click.option("--stderr", is_flag=True, help="Standard error instead of standard output.")
@click.option("--element", type=click.IntRange(0), metavar="N", help="Of an array: which one.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@place_options
def logs(
    job: str, stderr: bool, element: int | None, follow: bool, as_json: bool, **place: Any
) -> None:
    """Print a log."""
    found = client_of(place).job(job)
    if as_json:
        if follow:
            raise click.UsageError("--json and --follow exclude each other")
        found.status()
        text = found.stderr(element) if stderr else found.stdout(element)
        print_json({"job": job, "stream": "stderr" if stderr else "stdout", "text": text})
        return
    for chunk in found.follow(stderr=stderr, until_end=follow, element=element):
        click.echo(chunk, nl=False)
