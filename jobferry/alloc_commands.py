"""The `jobferry alloc` commands: one submission to the site's scheduler, its logs and files."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from job_protocol.identifiers import element_allocation
from jobferry.errors import CloudRefused, UsageError
from jobferry.fetch_report import tell_fetched
from jobferry.job import Job
from jobferry.job_answers import view_now
from jobferry.nomad_files import allocation_text, file_table
from jobferry.options import api_of, examples, goes_on, place_options, print_json, progress_bar
from jobferry.over_api import ApiAccess
from jobferry.polling import intervals

ALLOCATION = re.compile(r"[0-9a-f]{2,8}|[0-9a-f]{8}-[0-9a-f-]{0,27}")
"""An allocation's id, or the begin of it."""

_NEXT_OFFSET = "X-Jobferry-Next-Offset"
_ENDED = ("complete", "failed", "lost")


@click.group(
    short_help="Allocations: submissions to the scheduler.",
    help=examples(
        "jobferry alloc status 3d04b6fc",
        "jobferry alloc logs -f 3d04b6fc",
        "jobferry alloc fs 3d04b6fc alloc/logs/",
    )
    + """

An allocation is one submission of a job to the site's scheduler. It is named by its id, or the
begin of it.""",
)
def alloc() -> None:
    """See `help`."""


def allocation_of(access: ApiAccess, alloc_id: str, element: int | None = None) -> dict[str, Any]:
    """An allocation, by the begin of its id.

    Args:
        access: asks the API.
        alloc_id: its id, or the begin of it; of an array, that of any of its elements.
        element: of an array, the index of the element that is meant instead.

    Raises:
        UsageError: this cannot be an id, or there is no such element.
    """
    wanted = alloc_id.lower()
    if not ALLOCATION.fullmatch(wanted):
        raise UsageError(f"{alloc_id!r} is no allocation id; `jobferry job status JOB` shows them")
    whole = _read(access, wanted, alloc_id)
    if element is None:
        return whole
    count = (whole.get("Array") or {}).get("count")
    if count is None:
        raise UsageError(f"allocation {alloc_id} is no array; leave --element out")
    if element >= count:
        raise UsageError(f"--element {element}: the elements are 0 to {count - 1}")
    return _read(access, element_allocation(whole["EvalID"], element), alloc_id)


def _read(access: ApiAccess, wanted: str, shown: str) -> dict[str, Any]:
    found: dict[str, Any] = access.client.get(
        f"/v1/allocation/{wanted}", f"read allocation {shown}"
    )
    return found


@alloc.command(
    "status",
    short_help="Show an allocation.",
    help=examples("jobferry alloc status 3d04b6fc", "jobferry alloc status -verbose 3d04b6fc")
    + """

Shows an allocation and what happened to its tasks.""",
)
@click.argument("allocation", metavar="ALLOC")
@click.option("--element", type=click.IntRange(0), metavar="N", help="Of an array: which one.")
@click.option("--verbose", is_flag=True, help="Whole ids and times.")
@place_options
def status(
    allocation: str, element: int | None, verbose: bool, as_json: bool, **place: Any
) -> None:
    """Show it."""
    found = allocation_of(api_of(place), allocation, element)
    if as_json:
        print_json(found)
    else:
        click.echo(allocation_text(found, view_now(verbose=verbose)))


@alloc.command(
    "logs",
    short_help="Print what a task has printed.",
    help=examples(
        "jobferry alloc logs 3d04b6fc",
        "jobferry alloc logs -f -stderr 3d04b6fc",
        "jobferry alloc logs 3d04b6fc encrypter",
        "jobferry alloc logs --element 17 3d04b6fc",
    )
    + """

Prints what a task of an allocation has printed, as far as it is in the bucket.""",
)
@click.argument("allocation", metavar="ALLOC")
@click.argument("task", required=False)
@click.option("--task", "task_option", metavar="TASK", help="The task, if there are several.")
@click.option("--stderr", is_flag=True, help="Standard error instead of standard output.")
@click.option("--element", type=click.IntRange(0), metavar="N", help="Of an array: which one.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the allocation has ended.")
@place_options
def logs(
    allocation: str,
    task: str | None,
    task_option: str | None,
    stderr: bool,
    element: int | None,
    follow: bool,
    as_json: bool,
    **place: Any,
) -> None:
    """Print a log."""
    access = api_of(place)
    show_logs(access, allocation, task or task_option, stderr, follow, as_json, element)


def show_logs(
    access: ApiAccess,
    allocation: str,
    task: str | None,
    stderr: bool,
    follow: bool,
    as_json: bool,
    element: int | None = None,
) -> None:
    """Print a task's log.

    Args:
        access: asks the API.
        allocation: its id, or the begin of it.
        task: which task; None for the only one.
        stderr: the standard error instead of the standard output.
        follow: go on until the allocation has ended.
        as_json: print one JSON document.
        element: of an array, the index of the element that is meant.
    """
    found = allocation_of(access, allocation, element)
    name = _task_of(found, task)
    kind = "stderr" if stderr else "stdout"
    if not as_json:
        for chunk in _followed(access, found, name, kind, follow):
            click.echo(chunk, nl=False)
        return
    if follow:
        raise UsageError("--json and --follow exclude each other")
    text = b"".join(_followed(access, found, name, kind, follow)).decode("utf-8", "replace")
    print_json({"allocation": found["ID"], "task": name, "stream": kind, "text": text})


def _task_of(allocation: Mapping[str, Any], stated: str | None) -> str:
    tasks = sorted(allocation.get("TaskStates") or {})
    if stated is not None:
        if tasks and stated not in tasks:
            raise UsageError(f"this allocation has no task {stated!r}; it has {', '.join(tasks)}")
        return stated
    if len(tasks) != 1:
        named = ", ".join(tasks) or "none yet"
        raise UsageError(
            f"state the task (jobferry alloc logs ALLOC TASK): this allocation has {named}"
        )
    return str(tasks[0])


def _followed(
    access: ApiAccess, allocation: Mapping[str, Any], task: str, kind: str, follow: bool
) -> Iterator[bytes]:
    offset = 0
    for seconds in intervals():
        ended = allocation.get("ClientStatus") in _ENDED
        while True:
            chunk, offset = _log_piece(access, allocation["ID"], task, kind, offset)
            if not chunk:
                break
            yield chunk
        if ended or not follow:
            return
        time.sleep(seconds)
        allocation = allocation_of(access, allocation["ID"])


def _log_piece(
    access: ApiAccess, alloc_id: str, task: str, kind: str, offset: int
) -> tuple[bytes, int]:
    try:
        answer = access.client.answer(
            "GET",
            f"/v1/client/fs/logs/{alloc_id}",
            f"read the log of task {task!r}",
            query={"task": task, "type": kind, "plain": True, "offset": offset},
        )
    except CloudRefused as error:
        if "file not found" in str(error):  # it has not printed anything yet
            return b"", offset
        raise
    return answer.content, int(answer.headers.get(_NEXT_OFFSET, offset + len(answer.content)))


@alloc.command(
    "fs",
    short_help="List or print files of an allocation.",
    help=examples(
        "jobferry alloc fs 3d04b6fc",
        "jobferry alloc fs 3d04b6fc encrypter/local/",
        "jobferry alloc fs 3d04b6fc alloc/logs/encrypter.stdout.0",
        "jobferry alloc fs --element 17 3d04b6fc alloc/logs/",
    )
    + """

Lists a folder of an allocation, or prints a file. They are those in the bucket: what a running job
writes comes at its end, except the logs.""",
)
@click.argument("allocation", metavar="ALLOC")
@click.argument("path", default="/")
@click.option("--element", type=click.IntRange(0), metavar="N", help="Of an array: which one.")
@place_options
def files(allocation: str, path: str, element: int | None, as_json: bool, **place: Any) -> None:
    """List or print."""
    show_files(api_of(place), allocation, path, as_json, element)


def show_files(
    access: ApiAccess, allocation: str, path: str, as_json: bool, element: int | None = None
) -> None:
    """List a folder, or print a file.

    Args:
        access: asks the API.
        allocation: its id, or the begin of it.
        path: Nomad's path in its directory.
        as_json: print the list, or what is known of the file, as JSON.
        element: of an array, the index of the element that is meant.
    """
    found = allocation_of(access, allocation, element)
    alloc_id = quote(found["ID"], safe="")
    doing = f"look at {path} of allocation {found['ID'][:8]}"
    stat = access.client.get(f"/v1/client/fs/stat/{alloc_id}", doing, {"path": path})
    if stat["IsDir"]:
        pages = access.client.pages(f"/v1/client/fs/ls/{alloc_id}", doing, {"path": path})
        rows = [row for page in pages for row in page]
        print_json(rows) if as_json else click.echo(file_table(rows))
    elif as_json:
        print_json(stat)
    else:
        for chunk in access.read_of(found["ID"], path):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


@alloc.command(
    "get",
    short_help="Fetch the files of an allocation's job.",
    help=examples(
        "jobferry alloc get 3d04b6fc -o results --only 'out/**'",
        "jobferry alloc get 3d04b6fc --elements 0-3",
    )
    + """

Fetches the files of an allocation's job, as `jobferry get` does.""",
)
@click.argument("allocation", metavar="ALLOC")
@click.option("-o", "--output", type=click.Path(file_okay=False), help="Where to.")
@click.option("--only", multiple=True, metavar="GLOB", help="Only these files; repeatable.")
@click.option("--elements", metavar="WHICH", help="Of an array: failed, complete or 1,5-9.")
@click.option("--force", is_flag=True, help="Fetch all, also over files that were changed here.")
@place_options
def get(
    allocation: str,
    output: str | None,
    only: tuple[str, ...],
    elements: str | None,
    force: bool,
    as_json: bool,
    **place: Any,
) -> None:
    """Fetch them."""
    access = api_of(place)
    job = Job(access, allocation_of(access, allocation)["JobID"])
    with goes_on("the download"), progress_bar("Fetching") as progress:
        got = job.get(output, only=only, elements=elements, force=force, progress=progress)
    tell_fetched(job.id, got, elements, as_json=as_json)
