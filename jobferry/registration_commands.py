"""The `jobferry job` commands that take a job file: run, validate and plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from jobferry.api_client import job_path
from jobferry.errors import CloudRefused, UsageError
from jobferry.job_answers import monitored, view_now
from jobferry.job_file import ReadJob, read_job
from jobferry.nomad_plan import plan_text, printable_lines
from jobferry.nomad_tables import is_template
from jobferry.nomad_times import launch_text, next_launch
from jobferry.options import api_of, examples, place_options, print_json, say
from jobferry.signing_commands import SIZE, sign_options, signing_of

_Command = TypeVar("_Command", bound=Callable[..., Any])


def file_options(command: _Command) -> _Command:
    """Add the job file and its variables."""
    for option in (
        click.option(
            "--var-file", "variable_files", multiple=True, metavar="FILE", help="Repeatable."
        ),
        click.option(
            "--var", "variables", multiple=True, metavar="KEY=VALUE", help="Of HCL; repeatable."
        ),
        click.argument("file", metavar="FILE|-"),
    ):
        command = option(command)
    return command


@click.command(
    "run",
    short_help="Register a job file; a batch job runs.",
    help=examples(
        "jobferry job run hello.nomad",
        "jobferry job run -var count=3 -check-index 7 sweep.nomad.hcl",
        "jobferry job plan x.nomad && jobferry job run -detach x.nomad",
        "jobferry job run encrypter.nomad --sign --sign-runs 100 --sign-meta 'profile=[a-z]+'",
    )
    + """

Registers a job file, in HCL or JSON: a batch job runs, a parameterized one waits for dispatches, a
periodic one for its next launch. An unchanged job that has ended does not run again.

With --sign the file is read and rendered here; its script, settings and bounds are signed. A
template is signed once, for so many runs of its children. A meta value must match its pattern as a
whole (--sign-meta KEY=PATTERN or KEY:BYTES=PATTERN; else a word of at most 128 bytes); a payload is
bounded by its size (else 16 KiB). --sign-print registers nothing.""",
)
@file_options
@click.option("--sign-print", is_flag=True, help="Print what would be signed.")
@click.option("--sign-payload", type=SIZE, metavar="SIZE", help="Largest payload; 0 for none.")
@click.option("--sign-meta", multiple=True, metavar="KEY=PATTERN", help="What a value may be.")
@sign_options
@click.option("--detach", is_flag=True, help="Do not tell what comes of it.")
@click.option("--check-index", type=click.IntRange(0), metavar="N", help="Only if it is there so.")
@click.option("--verbose", is_flag=True, help="Whole ids.")
@place_options
def run_job(
    file: str,
    variables: tuple[str, ...],
    variable_files: tuple[str, ...],
    detach: bool,
    check_index: int | None,
    verbose: bool,
    as_json: bool,
    sign_key: str | None,
    sign_expires: int,
    sign_runs: int | None,
    sign_meta: tuple[str, ...],
    sign_payload: int | None,
    sign_print: bool,
    **place: Any,
) -> None:
    """Register it."""
    signing = signing_of(sign_key, sign_expires, sign_runs)
    if signing is None:
        if sign_meta or sign_payload is not None or sign_print:
            raise UsageError("--sign-meta, --sign-payload and --sign-print go with --sign")
        api = api_of(place).client
        read = read_job(api, file, variables, variable_files)
        job = read.job
        body: dict[str, Any] = {"Job": job, "Submission": read.source}
    else:
        from jobferry import nomad_signing  # renders, which few commands do

        read = read_job(None, file, variables, variable_files)
        job = read.job
        site = nomad_signing.site_to_sign(place["site"] or os.environ.get("JOBFERRY_SITE"), job)
        bounds = nomad_signing.Bounds.stated(sign_meta, sign_payload)
        document = nomad_signing.nomad_document(job, site, signing, bounds, datetime.now(UTC))
        if sign_print:
            click.echo(document.decode(), nl=False)
            return
        api = api_of({**place, "site": site}).client
        signed = {"Document": document.decode(), "Signature": signing.signature(document).decode()}
        body = {"Job": job, "Submission": read.source, "Signed": signed}
    if check_index is not None:
        body |= {"EnforceIndex": True, "JobModifyIndex": check_index}
    registered = api.write("POST", "/v1/jobs", f"register job {job.get('ID')!r}", body)
    answer = _with_warnings(registered, read)
    _warn(answer)
    if as_json:
        print_json({"ID": job.get("ID"), **answer})
        return
    evaluation = answer.get("EvalID")
    if evaluation and answer.get("Ran") is not False and not detach:
        click.echo("\n".join(monitored(api, evaluation, view_now(verbose=verbose))))
        return
    click.echo("Job registration successful")
    if answer.get("Ran") is False and not is_template(job):
        say("the job is unchanged: nothing new runs")
    elif evaluation:
        click.echo(f"Evaluation ID: {evaluation}")
    now = datetime.now(UTC)
    launch = next_launch(job, now)
    if launch is not None:
        click.echo(f"Approximate next launch time: {launch_text(launch, now)}")


@click.command(
    "validate",
    short_help="Say what is wrong with a job file.",
    help=examples("jobferry job validate hello.nomad", "cat x.hcl | jobferry job validate -")
    + """

Says what is wrong with a job file; nothing is registered. Exits with 1 if something is.""",
)
@file_options
@place_options
def validate_job(
    file: str,
    variables: tuple[str, ...],
    variable_files: tuple[str, ...],
    as_json: bool,
    **place: Any,
) -> int:
    """Validate it."""
    api = api_of(place).client
    try:
        read = read_job(api, file, variables, variable_files)
        judged = api.write("POST", "/v1/validate/job", f"validate {file}", {"Job": read.job})
        answer = _with_warnings(judged, read)
    except CloudRefused as refused:
        lines = list(refused.problems) or [str(refused)]
        answer = {"ValidationErrors": lines, "Error": str(refused), "Warnings": ""}
    errors = answer.get("ValidationErrors") or []
    if as_json:
        print_json(answer)
        return 1 if errors else 0
    _warn(answer)
    if errors:
        say("Job validation errors:")
        for error in errors:
            say(f"* {printable_lines(error)}")
        return 1
    click.echo("Job validation successful")
    return 0


@click.command(
    "plan",
    short_help="Say what a job file would change.",
    help=examples("jobferry job plan sweep.nomad", "jobferry job plan -var count=3 x.nomad")
    + """

Says what registering a job file would change, and when a periodic job would launch next. Nothing is
registered.""",
)
@file_options
@place_options
def plan_job(
    file: str,
    variables: tuple[str, ...],
    variable_files: tuple[str, ...],
    as_json: bool,
    **place: Any,
) -> None:
    """Plan it."""
    api = api_of(place).client
    read = read_job(api, file, variables, variable_files)
    job = read.job
    job_id = str(job.get("ID"))
    body = {"Job": job, "Diff": True}
    planned = api.write("POST", job_path(job_id, "plan"), f"plan job {job_id!r}", body)
    answer = _with_warnings(planned, read)
    if as_json:
        print_json(answer)
    else:
        click.echo(plan_text(answer, job, file, datetime.now(UTC)))


def _with_warnings(answer: dict[str, Any], read: ReadJob) -> dict[str, Any]:
    """An answer that warns of what the file states, too."""
    warnings = [*read.warnings, answer.get("Warnings") or ""]
    return {**answer, "Warnings": "\n".join(filter(None, warnings))}


def _warn(answer: dict[str, Any]) -> None:
    if answer.get("Warnings"):
        say(f"Job Warnings:\n{printable_lines(answer['Warnings'])}")
