"""`jobferry sign`: signs jobs that are uploaded later, one or a whole sweep with one signature."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from job_protocol.object_keys import SIGNATURE, SIGNED
from job_protocol.settings_document import seconds_of
from job_protocol.signed_manifest import MAX_RUNS
from jobferry.errors import SigningFailed, UsageError
from jobferry.options import examples, print_json
from jobferry.place import site_of
from jobferry.signing import Signing, signed_jobs, without_signature
from jobferry.stated_settings import Settings
from jobferry.upload_plan import plan_upload

_DEFAULT = ""
"""What `--sign` means without a key."""


class _Duration(click.ParamType[int]):
    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Seconds of a text such as `7d`."""
        if isinstance(value, int):
            return value
        try:
            seconds = seconds_of(int(value) if value.isdecimal() else value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not isinstance(seconds, int) or seconds < 1:
            self.fail("at least one second", param, ctx)
        return seconds


DURATION = _Duration()
"""A time as `aws-job.json` writes it: seconds, `12h`, `7d`."""


class _Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Bytes of a text such as `64K`."""
        if isinstance(value, int):
            return value
        if (size := re.fullmatch(r"([0-9]{1,12})([KMG]?)", value.upper())) is None:
            self.fail("write bytes, or a size such as 64K, 16M or 2G", param, ctx)
        return int(size[1]) << 10 * " KMG".index(size[2] or " ")


SIZE = _Size()
"""A size in bytes, or with K, M or G of 1024."""

runs_type = click.IntRange(1, MAX_RUNS)


def signing_of(key: str | None, expires: int, runs: int | None) -> Signing | None:
    """What the options of `submit` ask for; None if nothing is to be signed."""
    if key is None:
        if runs is not None:
            raise click.UsageError("--sign-runs goes with --sign")
        return None
    return Signing(key=_path(key), expires=expires, runs=runs)


def _path(key: str) -> Path | None:
    return None if key == _DEFAULT else Path(key)


def sign_options(command: Any) -> Any:
    """Add the options of `submit` that sign."""
    for option in (
        click.option("--sign-runs", type=runs_type, metavar="N", help="How often it may run."),
        click.option(
            "--sign-expires",
            type=DURATION,
            default="7d",
            show_default=True,
            help="How long the signature counts.",
        ),
        click.option(
            "--sign",
            "sign_key",
            is_flag=False,
            flag_value=_DEFAULT,
            metavar="[KEY]",
            help="Sign it with an SSH key; see docs/signing.md.",
        ),
    ):
        command = option(command)
    return command


@click.command(
    short_help="Sign jobs that are uploaded later.",
    help=examples(
        "jobferry sign simulation --job job0001",
        "jobferry sign sweep --jobs 'sweep/*' --runs 100",
        "jobferry sign run1 run2 run3 --prefix sweep/ --expires 12h --key ~/.ssh/id_ed25519",
        "jobferry sign simulation --job job0001 --dry-run",
    )
    + """

Signs what lies in directories, each with aws-job-run.sh in it, as jobs of a site. Writes
aws-job-signed.txt and aws-job-signed.txt.sig into each; upload them with the rest, by jobferry
submit or aws s3 cp. What changes after that does not run.

One directory can be signed for several job ids, or for a pattern in which * stands for any
characters but a slash; --runs counts for each id, and for all jobs of a pattern together. Several
directories become the jobs PREFIX + name, under one signature.""",
)
@click.argument(
    "directories",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--job", "ids", multiple=True, metavar="ID", help="Job id; repeatable.")
@click.option("--jobs", "patterns", multiple=True, metavar="PATTERN", help="Ids, as 'sweep/*'.")
@click.option("--prefix", metavar="PREFIX", help="Of the job ids of several directories.")
@click.option("--site", metavar="SITE", help="Site (JOBFERRY_SITE; dc1).")
@click.option("--key", metavar="KEY", default=_DEFAULT, help="SSH key to sign with.")
@click.option("--expires", type=DURATION, default="7d", show_default=True)
@click.option("--runs", type=runs_type, metavar="N", help="How often; 1, and 1 for each retry.")
@click.option("--dry-run", is_flag=True, help="Print what would be signed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sign(
    directories: tuple[Path, ...],
    ids: tuple[str, ...],
    patterns: tuple[str, ...],
    prefix: str | None,
    site: str | None,
    key: str,
    expires: int,
    runs: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sign directories."""
    if (prefix is not None) == bool(ids or patterns) or (len(directories) > 1 and prefix is None):
        raise UsageError("state --job or --jobs for one directory, or --prefix for several")
    signing = Signing(key=_path(key), expires=expires, runs=runs)
    jobs = []
    for directory in directories:
        name = directory.resolve().name
        own = ids if prefix is None else (f"{prefix}{name}",)
        for_messages = own[0] if own else patterns[0].replace("*", "x")
        upload = without_signature(plan_upload(for_messages, directory.absolute(), Settings()))
        jobs.append(signed_jobs(upload, own, patterns, runs))
    document = signing.document(jobs, site_of(site, os.environ), datetime.now(UTC))
    if dry_run:
        click.echo(document.decode(), nl=False)
        return
    signature = signing.signature(document)
    written = [
        _write(directory / name, content)
        for directory in directories
        for name, content in ((SIGNED, document), (SIGNATURE, signature))
    ]
    if as_json:
        print_json({"signed": written})
    else:
        click.echo("\n".join(written))


def _write(path: Path, content: bytes) -> str:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SigningFailed(f"{path} cannot be written: {error}") from error
    return str(path)
