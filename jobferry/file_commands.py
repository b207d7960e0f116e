"""The commands about files: get, logs and fs."""

from __future__ import annotations

from typing import Any

import click

from jobferry.alloc_commands import ALLOCATION, show_files, show_logs
from jobferry.completion import complete_jobs
from jobferry.element_choice import check_element
from jobferry.fetch_report import tell_fetched
from jobferry.options import (
    access_of,
    api_of,
    client_of,
    examples,
    goes_on,
    place_options,
    print_json,
    progress_bar,
)
from jobferry.over_api import ApiAccess


@click.command(
    short_help="Fetch a job's files.",
    help=examples(
        "jobferry get job0001",
        "jobferry get job0001 -o results --only 'out/**' --only '*.png'",
        "jobferry get sweep --elements failed",
    )
    + """

Fetches a job's files and logs. What is here already, with the same size and not older, is not
fetched again, so an interrupted download goes on. Prints the directory.

--elements takes only the files of some elements of an array: their logs, and what they have put
into a folder elements/INDEX/ of the job directory; of a Nomad job what lies in GROUP.INDEX/, over
the API. failed are all that did not complete.""",
)
@click.argument("job", shell_complete=complete_jobs)
@click.option(
    "-o", "--output", type=click.Path(file_okay=False), help="Where to; else as the job is named."
)
@click.option("--only", multiple=True, metavar="GLOB", help="Only these files; repeatable.")
@click.option("--elements", metavar="WHICH", help="Of an array: failed, complete or 1,5-9.")
@click.option("--force", is_flag=True, help="Fetch all, also over files that were changed here.")
@place_options
def get(
    job: str,
    output: str | None,
    only: tuple[str, ...],
    elements: str | None,
    force: bool,
    as_json: bool,
    **place: Any,
) -> None:
    """Fetch files."""
    with goes_on("the download"), progress_bar("Fetching") as progress:
        got = (
            client_of(place)
            .job(job)
            .get(output, only=only, elements=elements, force=force, progress=progress)
        )
    tell_fetched(job, got, elements, as_json=as_json)


@click.command(
    short_help="Print what a job has printed.",
    help=examples(
        "jobferry logs job0001",
        "jobferry logs job0001 --stderr -f",
        "jobferry logs sweep --element 17",
        "jobferry logs 3d04b6fc",
    )
    + """

Prints what a job, or an allocation by the begin of its id, has printed, as far as it is in the
bucket.""",
)
@click.argument("job", shell_complete=complete_jobs)
@click.option("--stderr", is_flag=True, help="Standard error instead of standard output.")
@click.option("--element", type=click.IntRange(0), metavar="N", help="Of an array: which one.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@place_options
def logs(
    job: str, stderr: bool, element: int | None, follow: bool, as_json: bool, **place: Any
) -> None:
    """Print a log."""
    access = access_of(place)
    if isinstance(access, ApiAccess):
        is_allocation = _is_allocation(access, job)
        allocation = job if is_allocation else access.allocation_of_tasks(job)
        if allocation is not None:
            show_logs(access, allocation, None, stderr, follow, as_json, element)
            return
    if as_json and follow:
        raise click.UsageError("--json and --follow exclude each other")
    found = client_of(place).job(job)
    check_element(element, found.status())
    if as_json:
        text = found.stderr(element) if stderr else found.stdout(element)
        print_json({"job": job, "stream": "stderr" if stderr else "stdout", "text": text})
        return
    for chunk in found.follow(stderr=stderr, until_end=follow, element=element):
        click.echo(chunk, nl=False)


def _is_allocation(access: ApiAccess, name: str) -> bool:
    """Whether this means an allocation: it looks so, and no job has this id."""
    return ALLOCATION.fullmatch(name.lower()) is not None and access.report(name) is None


@click.command(
    "fs",
    short_help="List or print files of an allocation.",
    help=examples("jobferry fs 3d04b6fc", "jobferry fs 3d04b6fc alloc/logs/encrypter.stdout.0")
    + """

The same as `jobferry alloc fs`.""",
)
@click.argument("allocation", metavar="ALLOC")
@click.argument("path", default="/")
@place_options
def fs(allocation: str, path: str, as_json: bool, **place: Any) -> None:
    """List or print."""
    show_files(api_of(place), allocation, path, as_json)
