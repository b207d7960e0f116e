"""`jobferry job dispatch`: a run of a parameterized job, with metadata and a payload."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from job_protocol.sweep import MAX_SWEEP_BYTES, SweepError, read_sweep
from jobferry.api_client import http_session, job_path
from jobferry.completion import complete_jobs
from jobferry.errors import UsageError
from jobferry.job_answers import monitored, view_now
from jobferry.nomad_tables import dispatched_lines
from jobferry.options import api_of, examples, place_options, print_json, progress_bar
from jobferry.over_api import ApiAccess
from jobferry.rendering import printable
from jobferry.upload_plan import LocalFile
from jobferry.url_transfer import put_all

_INLINE = 16 * 1024
"""Bytes of a payload in a request, Nomad's limit."""


@click.command(
    "dispatch",
    short_help="Run a parameterized job once.",
    help=examples(
        "jobferry job dispatch encrypter secret.txt",
        "echo hello | jobferry job dispatch -meta user=ann encrypter -",
        "jobferry job dispatch -detach -idempotency-token 2026-11-25 nightly",
        "jobferry job dispatch --sweep values.csv --max-running 20 study",
    )
    + """

Runs a parameterized job once: the payload is INPUT, or the standard input (-). Two dispatches of
one job with the same idempotency token are one.

With --sweep the run is an array: an element for each row of a CSV file, whose first row names keys
of metadata; an empty cell gives none. Each element has its values as NOMAD_META_key.""",
)
@click.argument("job", shell_complete=complete_jobs)
@click.argument("payload", metavar="[INPUT|-]", required=False)
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Metadata; repeatable.")
@click.option("--payload-file", metavar="FILE|-", help="The same as INPUT.")
@click.option("--idempotency-token", metavar="TEXT", help="Makes it repeatable.")
@click.option("--id-prefix-template", metavar="TEXT", help="Words in the new job's id.")
@click.option("--priority", type=click.IntRange(1, 100), help="Of this run.")
@click.option(
    "--sweep",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="CSV: an element for each row, with its values as metadata.",
)
@click.option(
    "--max-running",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many elements of a sweep run at once.",
)
@click.option("--detach", is_flag=True, help="Do not tell what comes of it.")
@click.option("--verbose", is_flag=True, help="Whole ids.")
@place_options
def dispatch_job(
    job: str,
    payload: str | None,
    payload_file: str | None,
    meta: tuple[str, ...],
    idempotency_token: str | None,
    id_prefix_template: str | None,
    priority: int | None,
    sweep: Path | None,
    max_running: int | None,
    detach: bool,
    verbose: bool,
    as_json: bool,
    **place: Any,
) -> None:
    """Dispatch it."""
    if payload is not None and payload_file is not None:
        raise UsageError("state the payload once: INPUT or --payload-file")
    access = api_of(place)
    stated: dict[str, Any] = {
        "Meta": _meta(meta),
        "IdPrefixTemplate": id_prefix_template,
        "Priority": priority,
        "Sweep": _table(sweep) if sweep is not None else None,
        "MaxRunning": max_running,
    }
    if max_running is not None and sweep is None:
        raise UsageError("--max-running is for the elements of a --sweep")
    body = {name: value for name, value in stated.items() if value}
    with _opened(payload or payload_file) as content:
        answer = _dispatched(access, job, body, content, idempotency_token)
    if as_json:
        print_json(answer)
        return
    view = view_now(verbose=verbose)
    click.echo("\n".join(dispatched_lines(answer, view)))
    for reason in answer.get("Waiting") or ():
        click.echo(f"It waits: {printable(reason)}.", err=True)
    if answer.get("EvalID") and not detach:
        click.echo("\n".join(["", *monitored(access.client, answer["EvalID"], view)]))


@contextmanager
def _opened(payload: str | None) -> Iterator[Path | None]:
    """The file of the payload; what comes through a pipe lies in one while it is sent."""
    if payload is None or (payload != "-" and Path(payload).is_file()):
        yield None if payload is None else Path(payload)
        return
    with tempfile.NamedTemporaryFile() as content:
        try:
            stdin = nullcontext(sys.stdin.buffer)
            with stdin if payload == "-" else Path(payload).open("rb") as pipe:
                shutil.copyfileobj(pipe, content)
        except OSError as error:
            raise UsageError(f"{payload} cannot be read: {error}") from error
        content.flush()
        yield Path(content.name)


def _table(sweep: Path) -> str:
    """The table of a sweep; what is wrong with it as a table is said without a request."""
    try:
        with sweep.open("rb") as content:
            body = content.read(MAX_SWEEP_BYTES + 1)
        read_sweep(body, metadata=True)
    except OSError as error:
        raise UsageError(f"--sweep {sweep}: it cannot be read ({error.strerror})") from error
    except SweepError as error:
        raise UsageError(f"--sweep {sweep}: {error}") from error
    return body.decode("utf-8-sig")


def _meta(stated: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in stated:
        key, equals, value = one.partition("=")
        if not (key and equals):
            raise UsageError(f"-meta {one!r}: write -meta KEY=VALUE")
        found[key] = value
    return found


def _measured(payload: Path | None) -> tuple[int, str]:
    """Bytes and SHA-256 of a payload, which may be larger than the memory."""
    if payload is None:
        return 0, ""
    try:
        with payload.open("rb") as content:
            return payload.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{payload} cannot be read: {error}") from error


def _dispatched(
    access: ApiAccess, job: str, body: dict[str, Any], payload: Path | None, token: str | None
) -> dict[str, Any]:
    """The answer to a dispatch; a payload that is too large for it goes to the bucket first."""
    size, digest = _measured(payload)
    path, doing = job_path(job, "dispatch"), f"dispatch job {job!r}"
    query = {"idempotency_token": token}
    if payload is None or size <= _INLINE:
        if payload is not None and size:
            body["Payload"] = base64.b64encode(payload.read_bytes()).decode()
        answer: dict[str, Any] = access.client.write("POST", path, doing, body, query=query)
        return answer
    body["PayloadUpload"] = {"Size": size, "SHA256": digest}
    announced = access.client.write("POST", path, doing, body, query=query)
    if "Upload" not in announced:  # the same token came before
        return dict(announced)
    child, upload = announced["ID"], announced["Upload"]
    place = {"site": announced["Site"]}
    with progress_bar("Uploading") as progress:
        requests = announced["Uploads"]
        file = LocalFile(requests[0]["Path"], payload, size, 0o644)

        def missing() -> list[dict[str, Any]]:
            query = {"upload": upload, **place}
            rows: list[dict[str, Any]] = access.client.get(
                job_path(child, "start"), "see what the payload misses", query
            )["Uploads"]
            return rows

        http = http_session(access.client.address)
        put_all(http, requests, missing, {file.path: file}, progress(size))
    started = access.client.write(
        "POST", job_path(child, "start"), f"start job {child!r}", {"Upload": upload}, query=place
    )
    return {"DispatchedJobID": child, "EvalID": started.get("EvalID"), "Site": announced["Site"]}
